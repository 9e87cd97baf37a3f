//! Mixtures of experts.

use burn::tensor::{DType, IndexingUpdateOp, Int, Tensor, TensorData, activation};

use super::{GatedMlp, Pass, Proj};

/// Each token goes through the experts that its router ranks highest, and through those that all tokens share
/// (Mixtral, Jiang et al. 2024, arXiv:2401.04088; Qwen2-MoE: transformers, `models/qwen2_moe`).
#[derive(Clone, Debug)]
pub struct Moe {
    pub router: Proj,
    pub experts: Vec<GatedMlp>,
    /// Experts a token.
    pub chosen: usize,
    /// The weights of the chosen experts are made to sum to 1.
    pub normalised: bool,
    pub shared: Option<SharedExpert>,
}

/// An expert for every token, with a gate of its own.
#[derive(Clone, Debug)]
pub struct SharedExpert {
    pub mlp: GatedMlp,
    /// `[1, hidden]`: the sigmoid of its product is the factor.
    pub gate: Option<Proj>,
}

impl Moe {
    /// `[batch, time, hidden]` → the same shape.
    pub fn forward(&self, pass: &Pass<'_>, x: Tensor<3>) -> Tensor<3> {
        let [batch, time, hidden] = x.dims();
        let tokens = x.reshape([1, batch * time, hidden]);
        let (weights, indices) = self.route(pass, &tokens);
        let assigned = self.assignments(indices);
        let mut mixed = tokens.zeros_like();
        for (expert, slots) in self.experts.iter().zip(assigned) {
            if slots.is_empty() {
                continue;
            }
            // A slot is `token · chosen + rank`.
            let rows = index(slots.iter().map(|slot| slot / self.chosen as i32), &tokens);
            let share =
                weights.clone().select(0, index(slots.iter().copied(), &tokens)).reshape([1, slots.len(), 1]);
            let out = expert.forward(pass, tokens.clone().select(1, rows.clone())) * share;
            mixed = mixed.select_assign(1, rows, out, IndexingUpdateOp::Add);
        }
        if let Some(shared) = &self.shared {
            mixed = mixed + shared.forward(pass, tokens);
        }
        mixed.reshape([batch, time, hidden])
    }

    /// Weights of the chosen experts, flat `[tokens · chosen]`, and which they are, `[tokens · chosen]`.
    fn route(&self, pass: &Pass<'_>, tokens: &Tensor<3>) -> (Tensor<1>, Tensor<1, Int>) {
        let logits = self.router.forward(pass, tokens.clone()).cast(DType::F32);
        let probabilities = activation::softmax(logits, 2);
        let indices = probabilities.clone().inner().argsort_descending(2).narrow(2, 0, self.chosen);
        let mut weights = probabilities.gather(2, indices.clone());
        if self.normalised {
            weights = weights.clone() / weights.sum_dim(2);
        }
        (weights.cast(tokens.dtype()).flatten(0, 2), indices.flatten(0, 2))
    }

    /// For every expert, the slots that chose it: the one place where the device is asked.
    fn assignments(&self, indices: Tensor<1, Int>) -> Vec<Vec<i32>> {
        let mut assigned = vec![Vec::new(); self.experts.len()];
        for (slot, expert) in indices.into_data().iter::<i64>().enumerate() {
            assigned[expert as usize].push(slot as i32);
        }
        assigned
    }
}

impl SharedExpert {
    fn forward(&self, pass: &Pass<'_>, x: Tensor<3>) -> Tensor<3> {
        let out = self.mlp.forward(pass, x.clone());
        match &self.gate {
            Some(gate) => out * activation::sigmoid(gate.forward(pass, x)),
            None => out,
        }
    }
}

fn index(values: impl Iterator<Item = i32>, like: &Tensor<3>) -> Tensor<1, Int> {
    let values: Vec<i32> = values.collect();
    let count = values.len();
    Tensor::from_data(TensorData::new(values, [count]), &like.device().inner())
}
