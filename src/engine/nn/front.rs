//! What a method puts in front of the tokens: keys and values in every layer (prefix tuning, P-tuning v2), or hidden
//! states before the first block (prompt tuning, P-tuning).

use burn::tensor::{Gradients as BurnGradients, Tensor};

use super::{DropoutPlace, Pass, ops};

/// Keys and values of one layer, `[1, kv_heads, tokens, dim]` each.
#[derive(Clone, Debug)]
pub struct KeysValues {
    pub keys: Tensor<4>,
    pub values: Tensor<4>,
}

/// A pair for every layer.
pub type Prefix = Vec<KeysValues>;

/// Makes the keys and values that stand in front of every row.
pub trait PrefixAdapter: Send + Sync {
    fn tokens(&self) -> usize;

    /// Share of the keys and values that training leaves out, row by row.
    fn dropout(&self) -> f64 {
        0.0
    }

    /// A pair for every layer, tracked where the pass has a tape.
    fn states(&self, pass: &Pass<'_>) -> Prefix;
}

/// Makes the hidden states that stand in front of the embedded tokens of every row.
pub trait PromptAdapter: Send + Sync {
    fn tokens(&self) -> usize;

    /// `[tokens, hidden]`, tracked where the pass has a tape.
    fn states(&self, pass: &Pass<'_>) -> Tensor<2>;
}

/// What an adapter does to a whole block.
pub trait BlockAdapter: Send + Sync {
    /// What the feed-forward layer makes of its `input`, both `[batch, time, hidden]`.
    fn mlp(&self, _: &Pass<'_>, _input: &Tensor<3>, output: Tensor<3>) -> Tensor<3> {
        output
    }

    /// The block's output, `[batch, time, hidden]`.
    fn output(&self, _: &Pass<'_>, output: Tensor<3>) -> Tensor<3> {
        output
    }
}

impl KeysValues {
    pub fn tokens(&self) -> usize {
        self.keys.dims()[2]
    }

    /// With a pass's own keys and values, `[batch, kv_heads, time, dim]`, behind them.
    pub fn before(&self, keys: Tensor<4>, values: Tensor<4>) -> (Tensor<4>, Tensor<4>) {
        let front = self.for_rows(keys.dims()[0]);
        (Tensor::cat(vec![front.keys, keys], 2), Tensor::cat(vec![front.values, values], 2))
    }

    /// The same in front of each of `rows` rows.
    fn for_rows(&self, rows: usize) -> Self {
        let each = |front: &Tensor<4>| {
            let [_, heads, tokens, dim] = front.dims();
            front.clone().expand([rows, heads, tokens, dim])
        };
        Self { keys: each(&self.keys), values: each(&self.values) }
    }

    /// In training what each of `rows` rows sees of it in block `layer`, when `rate` of it is left out; elsewhere all.
    pub fn dropped(&self, pass: &Pass<'_>, layer: usize, rate: f64, rows: usize) -> Self {
        let each = self.for_rows(rows);
        Self {
            keys: pass.dropped(DropoutPlace::Keys(layer), rate, each.keys),
            values: pass.dropped(DropoutPlace::Values(layer), rate, each.values),
        }
    }

    /// These, and others behind them.
    pub fn joined(self, behind: Self) -> Self {
        let (keys, values) = self.before(behind.keys, behind.values);
        Self { keys, values }
    }

    /// The same numbers as leaves of a new graph.
    pub fn leaves(&self) -> Self {
        let leaf = |tensor: &Tensor<4>| tensor.clone().inner().autodiff().require_grad();
        Self { keys: leaf(&self.keys), values: leaf(&self.values) }
    }

    /// The same numbers outside every graph.
    pub fn inner(&self) -> Self {
        Self { keys: self.keys.clone().inner(), values: self.values.clone().inner() }
    }

    /// Takes the gradients of these leaves; none where a layer did not use them.
    pub fn gradients(&self, all: &mut BurnGradients) -> Option<Self> {
        Some(Self { keys: self.keys.grad_remove(all)?, values: self.values.grad_remove(all)? })
    }
}

/// The backward pass through what made a prefix, from the gradients of each layer's pair. None where nothing of it
/// is tracked.
pub fn backward_prefix(prefix: &[KeysValues], gradients: Vec<Option<KeysValues>>) -> Option<BurnGradients> {
    let pairs = prefix.iter().zip(gradients).filter_map(|(made, gradient)| Some((made, gradient?)));
    let sides = pairs.flat_map(|(made, gradient)| {
        [(made.keys.clone(), gradient.keys), (made.values.clone(), gradient.values)]
    });
    let tracked = sides.filter(|(made, _)| made.is_tracked());
    let (made, gradients): (Vec<_>, Vec<_>) = tracked.unzip();
    (!made.is_empty()).then(|| ops::backward_from(Tensor::cat(made, 1), Tensor::cat(gradients, 1)))
}
