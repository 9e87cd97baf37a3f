//! One forward pass: which parameters, which adapter, with or without a graph, at which positions.

use std::any::Any;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use burn::tensor::{DType, Device, Gradients as BurnGradients, Int, Tensor};

use super::ops::{self, LowRank};
use super::params::{float_dtype, row_lengths};
use super::{
    BlockAdapter, Copies, DropoutKey, KeysValues, KvCache, NewRows, ParamId, ParamStore, Prefix,
    PrefixAdapter, PromptAdapter,
};
use super::{SiteId, Space, Value, View, put_rows};

/// Gradients of trainable parameters, flat, f32 where the parameter is.
pub type Gradients = BTreeMap<ParamId, Tensor<1>>;

/// What an adapter does at one site.
pub trait SiteAdapter: Send + Sync {
    /// What the frozen layer gets instead of `x` `[batch, time, in]`.
    fn input(&self, _: &Pass<'_>, x: Tensor<3>) -> Tensor<3> {
        x
    }

    /// Output of the site, given its input `x` `[batch, time, in]` and the frozen layer's output
    /// `base` `[batch, time, out]`. For an embedding `x` is absent and `ids` `[batch, time]` is there.
    fn apply(&self, pass: &Pass<'_>, input: SiteInput<'_>, base: Tensor<3>) -> Tensor<3>;

    /// The low-rank map that it is, where it is nothing else: then [`apply`](Self::apply) need not be called.
    fn low_rank(&self, _: &Pass<'_>) -> Option<LowRank> {
        None
    }

    /// The matrix that this adapter makes of the site's `weight`, f32 and differentiable: for layers that need more
    /// of it than its product.
    fn weight(&self, pass: &Pass<'_>, weight: Tensor<2>) -> Tensor<2>;
}

/// What goes into a site.
#[derive(Clone, Copy)]
pub enum SiteInput<'a> {
    Hidden(&'a Tensor<3>),
    Ids(&'a Tensor<2, Int>),
}

/// An adapter, as layers see it.
pub trait AdapterView: Send + Sync {
    fn params(&self) -> &ParamStore;
    fn site(&self, site: SiteId) -> Option<&dyn SiteAdapter>;
    /// A parameter of the adapter that stands for one of the base (modules saved whole, biases).
    fn replacement(&self, base: ParamId) -> Option<ParamId>;

    /// Rows of the adapter that stand in a matrix of the base (tokens added to the vocabulary).
    fn rows(&self, _base: ParamId) -> Option<NewRows> {
        None
    }

    /// What it does to block `layer` as a whole.
    fn block(&self, _layer: usize) -> Option<&dyn BlockAdapter> {
        None
    }

    /// Keys and values in front of every row.
    fn prefix(&self) -> Option<&dyn PrefixAdapter> {
        None
    }

    /// Hidden states in front of every row's embedded tokens.
    fn prompt(&self) -> Option<&dyn PromptAdapter> {
        None
    }
}

/// Positions of the tokens of a pass.
#[derive(Clone)]
pub struct Positions {
    /// Number of tokens already in the cache.
    pub offset: usize,
    /// One a kind of attention layer, as the model's `ModelInfo::views` lists them.
    pub views: Vec<View>,
    /// Hidden states of an adapter that this pass has in front of its tokens.
    pub prompt: usize,
    /// Keys and values of an adapter that this pass has in front of its own; empty where it has none, or they lie in
    /// the cache.
    pub prefix: Prefix,
    /// Position ids `[1 or batch, time]`, for families that learn an embedding of them.
    pub ids: Tensor<2, Int>,
    /// What a family with an arrangement of its own keeps for its layers.
    pub own: Option<Arc<dyn Any + Send + Sync>>,
    /// The same on other devices.
    pub copies: Copies,
}

impl Positions {
    /// Of no tokens: for what looks at none.
    pub fn none(device: &Device) -> Self {
        Self {
            offset: 0,
            views: Vec::new(),
            prompt: 0,
            prefix: Prefix::new(),
            ids: Tensor::zeros([1, 1], device),
            own: None,
            copies: Copies::default(),
        }
    }
}

/// Everything a layer needs besides its input.
pub struct Pass<'a> {
    pub base: &'a ParamStore,
    pub adapter: Option<&'a dyn AdapterView>,
    /// Dtype of activations and matrix products.
    pub dtype: DType,
    pub positions: &'a Positions,
    pub tape: Option<&'a Tape>,
    /// Stands in place of the positions' prefix while that learns.
    pub prefix: Option<&'a [KeysValues]>,
    pub cache: Option<&'a RefCell<KvCache>>,
    /// None outside training.
    pub dropout: Option<DropoutKey>,
    /// Where layers are spread: the device at work, to which parameters come that are elsewhere.
    pub at: Option<&'a Device>,
}

impl Pass<'_> {
    /// A matrix in the compute dtype; tracked when it is trained and this pass has a tape. One that is packed is made
    /// dense anew, so that it lives as long as what it is used for: outside training one product, in training the
    /// block's graph. One that is elsewhere comes to the device.
    pub fn matrix(&self, id: ParamId) -> Tensor<2> {
        match self.value(id) {
            Value::Matrix(matrix) if matrix.dtype() == self.dtype => matrix,
            Value::Matrix(matrix) => ops::cast(matrix, float_dtype(self.dtype)),
            Value::Packed(packed) => packed.dense(float_dtype(self.dtype)),
            Value::Elsewhere(matrix) => matrix.matrix(),
            Value::Vector(_) | Value::Absent => panic!("{} is not a loaded matrix", self.name(id)),
        }
    }

    /// `x · wᵀ` for the matrix `w` as it is kept, where it is packed and the product takes no dense copy.
    pub fn packed_product(&self, id: ParamId, x: &Tensor<3>) -> Option<Tensor<3>> {
        match self.value(id) {
            Value::Packed(packed) => packed.few_rows(x),
            Value::Matrix(_) | Value::Elsewhere(_) | Value::Vector(_) | Value::Absent => None,
        }
    }

    /// A vector in the compute dtype; see [`matrix`](Self::matrix).
    pub fn vector(&self, id: ParamId) -> Tensor<1> {
        match self.value(id) {
            Value::Vector(vector) if vector.dtype() == self.dtype => vector,
            Value::Vector(vector) => ops::cast(vector, float_dtype(self.dtype)),
            Value::Matrix(_) | Value::Packed(_) | Value::Elsewhere(_) | Value::Absent => {
                panic!("{} is not a loaded vector", self.name(id))
            }
        }
    }

    /// Lengths of the rows of a matrix, `[rows]`, f32; tracked when the matrix is, otherwise known from before.
    pub fn row_lengths(&self, id: ParamId) -> Tensor<1> {
        let own = self.adapter.and_then(|adapter| adapter.replacement(id)).unwrap_or(id);
        let store = self.store(own);
        let lengths = match self.value(id) {
            Value::Matrix(matrix) if self.tape.is_some() && store.get(own).trainable => row_lengths(matrix),
            _ => store.row_lengths(own),
        };
        match self.new_rows(id) {
            Some((first, rows)) => put_rows(lengths, 0, first, row_lengths(rows)),
            None => lengths,
        }
    }

    /// Keys and values of block `layer`, `[batch, kv_heads, time, dim]`, behind those of the adapter where it has any.
    pub fn behind_prefix(&self, layer: usize, keys: Tensor<4>, values: Tensor<4>) -> (Tensor<4>, Tensor<4>) {
        let Some(front) = self.prefix.unwrap_or(&self.positions.prefix).get(layer) else {
            return (keys, values);
        };
        let rate = self.adapter.and_then(AdapterView::prefix).map_or(0.0, PrefixAdapter::dropout);
        front.dropped(self, layer, rate, keys.dims()[0]).before(keys, values)
    }

    /// Embedded tokens `[batch, time, hidden]` with the adapter's prompt in front, where this pass has one.
    pub fn behind_prompt(&self, tokens: Tensor<3>) -> Tensor<3> {
        match self.adapter.and_then(AdapterView::prompt) {
            Some(prompt) if self.positions.prompt > 0 => {
                let front = prompt.states(self).cast(float_dtype(self.dtype)).unsqueeze::<3>();
                let [_, time, hidden] = front.dims();
                Tensor::cat(vec![front.expand([tokens.dims()[0], time, hidden]), tokens], 1)
            }
            _ => tokens,
        }
    }

    pub fn block_adapter(&self, layer: usize) -> Option<&dyn BlockAdapter> {
        self.adapter.and_then(|adapter| adapter.block(layer))
    }

    /// Rows that the adapter has in place of some of a base matrix's, and the place of the first.
    pub fn new_rows(&self, base: ParamId) -> Option<(usize, Tensor<2>)> {
        let rows = self.adapter?.rows(base)?;
        Some((rows.first, self.matrix(rows.param)))
    }

    pub fn site_adapter(&self, site: SiteId) -> Option<&dyn SiteAdapter> {
        self.adapter.and_then(|adapter| adapter.site(site))
    }

    fn value(&self, id: ParamId) -> Value {
        let id = self.adapter.and_then(|adapter| adapter.replacement(id)).unwrap_or(id);
        let param = self.store(id).get(id);
        let value = match self.tape {
            Some(tape) if param.trainable => tape.leaf(id, &param.value),
            _ => param.value.clone(),
        };
        match self.at {
            Some(device) => value.on(device),
            None => value,
        }
    }

    fn name(&self, id: ParamId) -> &str {
        &self.store(id).get(id).name
    }

    fn store(&self, id: ParamId) -> &ParamStore {
        match (id.space, self.adapter) {
            (Space::Adapter, Some(adapter)) => adapter.params(),
            _ => self.base,
        }
    }
}

/// The trainable parameters that a graph has touched, as autodiff leaves.
#[derive(Default)]
pub struct Tape {
    leaves: RefCell<BTreeMap<ParamId, Value>>,
}

impl Tape {
    fn leaf(&self, id: ParamId, value: &Value) -> Value {
        self.leaves.borrow_mut().entry(id).or_insert_with(|| tracked(value.clone())).clone()
    }

    /// Adds the leaves' gradients to `into`.
    pub fn collect(self, from: &mut BurnGradients, into: &mut Gradients) {
        for (id, leaf) in self.leaves.into_inner() {
            let gradient = match leaf {
                Value::Vector(vector) => vector.grad_remove(from),
                Value::Matrix(matrix) => matrix.grad_remove(from).map(|gradient| gradient.flatten(0, 1)),
                Value::Packed(_) | Value::Elsewhere(_) | Value::Absent => None,
            };
            if let Some(gradient) = gradient {
                add_gradient(into, id, gradient);
            }
        }
    }
}

/// Adds to the gradient of a parameter, if it has one already.
pub fn add_gradient(into: &mut Gradients, id: ParamId, gradient: Tensor<1>) {
    let sum = match into.remove(&id) {
        Some(so_far) => so_far + gradient,
        None => gradient,
    };
    into.insert(id, sum);
}

fn tracked(value: Value) -> Value {
    match value {
        Value::Vector(vector) => Value::Vector(vector.autodiff().require_grad()),
        Value::Matrix(matrix) => Value::Matrix(matrix.autodiff().require_grad()),
        frozen @ (Value::Packed(_) | Value::Elsewhere(_) | Value::Absent) => frozen,
    }
}
