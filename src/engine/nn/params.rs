//! Where parameters live: one flat list a model and one an adapter, keyed by the names that the
//! checkpoint uses. Layers hold only [`ParamId`]s, so that storage (dense, packed, streamed) and
//! training (frozen, trainable) are decided in one place.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use burn::tensor::{DType, FloatDType, Tensor};

use super::{Elsewhere, Packed};

/// Which list a parameter is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Space {
    Base,
    Adapter,
}

/// A parameter's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ParamId {
    pub space: Space,
    pub index: usize,
}

/// A tensor on the device, in the checkpoint's own layout.
#[derive(Clone, Debug)]
pub enum Value {
    /// Not loaded (inspection), or taken out for an update.
    Absent,
    Vector(Tensor<1>),
    Matrix(Tensor<2>),
    /// A frozen matrix in few bits.
    Packed(Arc<Packed>),
    /// A frozen matrix that is brought to the device for its block's work.
    Elsewhere(Arc<Elsewhere>),
}

impl Value {
    /// The matrix, on the device, and made dense as f32 if it is packed; None where there is none.
    pub fn matrix(&self) -> Option<Tensor<2>> {
        match self {
            Self::Matrix(matrix) => Some(matrix.clone()),
            Self::Packed(packed) => Some(packed.dense(FloatDType::F32)),
            Self::Elsewhere(matrix) => Some(matrix.matrix()),
            Self::Vector(_) | Self::Absent => None,
        }
    }

    /// All elements in row-major order.
    ///
    /// # Panics
    /// When the parameter is not loaded: a bug in the caller, not in the input.
    pub fn flat(&self) -> Tensor<1> {
        self.clone().into_flat()
    }

    /// As [`flat`](Self::flat), without another handle: the optimizer can then work in place.
    pub fn into_flat(self) -> Tensor<1> {
        match self {
            Self::Absent => panic!("a parameter is used that was not loaded"),
            Self::Vector(vector) => vector,
            Self::Matrix(matrix) => matrix.flatten(0, 1),
            Self::Packed(packed) => packed.dense(FloatDType::F32).flatten(0, 1),
            Self::Elsewhere(matrix) => matrix.matrix().flatten(0, 1),
        }
    }

    /// The inverse of [`flat`](Self::flat).
    pub fn from_flat(flat: Tensor<1>, shape: &[usize]) -> Self {
        match shape {
            [rows, columns] => Self::Matrix(flat.reshape([*rows, *columns])),
            _ => Self::Vector(flat),
        }
    }

    /// In another element type, dense and on the device to stay.
    pub fn cast(self, dtype: FloatDType) -> Self {
        match self {
            Self::Absent => Self::Absent,
            Self::Vector(vector) => Self::Vector(vector.cast(dtype)),
            Self::Matrix(matrix) => Self::Matrix(matrix.cast(dtype)),
            Self::Packed(packed) => Self::Matrix(packed.dense(dtype)),
            Self::Elsewhere(matrix) => Self::Matrix(matrix.matrix().cast(dtype)),
        }
    }
}

/// Whether weight decay touches a parameter: Hugging Face's Trainer leaves out biases and the
/// weights of norm layers (`Trainer.get_decay_parameter_names`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decay {
    Yes,
    No,
}

/// What a parameter holds before anything is learned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Initial {
    /// Normal with the config's `initializer_range`.
    Normal,
    /// Normal around 0 with this standard deviation.
    Spread(f64),
    /// Uniform between the negative of this and it.
    Uniform(f64),
    Zeros,
    Ones,
}

/// One parameter.
#[derive(Clone, Debug)]
pub struct Param {
    /// As in the checkpoint, such as `model.layers.0.mlp.up_proj.weight`.
    pub name: String,
    pub shape: Vec<usize>,
    pub value: Value,
    pub trainable: bool,
    pub decay: Decay,
    /// Factor on the run's learning rate (LoRA+).
    pub lr_scale: f64,
    /// What training from scratch begins with.
    pub initial: Initial,
    /// See [`ParamStore::row_lengths`].
    row_lengths: OnceLock<Tensor<1>>,
}

impl Param {
    pub fn new(name: impl Into<String>, shape: &[usize], decay: Decay) -> Self {
        Self {
            name: name.into(),
            shape: shape.to_vec(),
            value: Value::Absent,
            trainable: false,
            decay,
            lr_scale: 1.0,
            initial: Initial::Normal,
            row_lengths: OnceLock::new(),
        }
    }

    /// The same, beginning otherwise.
    pub fn initially(self, initial: Initial) -> Self {
        Self { initial, ..self }
    }

    /// Number of elements.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }
}

/// A list of parameters with unique names.
#[derive(Clone, Debug)]
pub struct ParamStore {
    space: Space,
    params: Vec<Param>,
    by_name: HashMap<String, usize>,
}

impl ParamStore {
    pub fn new(space: Space) -> Self {
        Self { space, params: Vec::new(), by_name: HashMap::new() }
    }

    /// Adds a parameter, or returns the one of that name (tied weights).
    pub fn declare(&mut self, param: Param) -> ParamId {
        let next = self.params.len();
        let index = *self.by_name.entry(param.name.clone()).or_insert(next);
        if index == next {
            self.params.push(param);
        }
        ParamId { space: self.space, index }
    }

    pub fn get(&self, id: ParamId) -> &Param {
        debug_assert_eq!(id.space, self.space);
        &self.params[id.index]
    }

    pub fn get_mut(&mut self, id: ParamId) -> &mut Param {
        debug_assert_eq!(id.space, self.space);
        let param = &mut self.params[id.index];
        param.row_lengths.take();
        param
    }

    /// Lengths of the rows of a matrix, `[rows]`, f32, at least [`SHORTEST_ROW`]. They are calculated once, and again
    /// only after the parameter was handed out to be changed.
    ///
    /// # Panics
    /// When the parameter is no loaded matrix.
    pub fn row_lengths(&self, id: ParamId) -> Tensor<1> {
        let param = self.get(id);
        let lengths = param.row_lengths.get_or_init(|| match param.value.matrix() {
            Some(matrix) => row_lengths_of(&matrix),
            None => panic!("{} is not a loaded matrix", param.name),
        });
        lengths.clone()
    }

    pub fn find(&self, name: &str) -> Option<ParamId> {
        self.by_name.get(name).map(|index| ParamId { space: self.space, index: *index })
    }

    pub fn iter(&self) -> impl Iterator<Item = (ParamId, &Param)> {
        let space = self.space;
        self.params.iter().enumerate().map(move |(index, param)| (ParamId { space, index }, param))
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Param> {
        for param in &mut self.params {
            param.row_lengths.take();
        }
        self.params.iter_mut()
    }

    /// Number of elements over all parameters.
    pub fn elements(&self) -> u64 {
        self.params.iter().map(|param| param.elements() as u64).sum()
    }

    pub fn trainable_elements(&self) -> u64 {
        self.params.iter().filter(|param| param.trainable).map(|param| param.elements() as u64).sum()
    }
}

/// What a shorter row is taken to be long (`torch.nn.functional.normalize`).
pub const SHORTEST_ROW: f64 = 1e-12;

/// Lengths of the rows of `[rows, columns]`, `[rows]`, f32, differentiable.
pub fn row_lengths(matrix: Tensor<2>) -> Tensor<1> {
    // The root of nothing has no slope.
    let squares = matrix.cast(DType::F32).square().sum_dim(1).clamp_min(SHORTEST_ROW * SHORTEST_ROW);
    squares.sqrt().flatten(0, 1)
}

/// The same outside every graph, piece by piece: a head is too large to be widened to f32 at once.
fn row_lengths_of(matrix: &Tensor<2>) -> Tensor<1> {
    const PIECE: usize = 1 << 24;
    let [rows, columns] = matrix.dims();
    let step = (PIECE / columns.max(1)).max(1);
    let piece = |start: usize| row_lengths(matrix.clone().narrow(0, start, step.min(rows - start)));
    Tensor::cat((0..rows).step_by(step).map(piece).collect(), 0)
}

/// Burn's float dtype for one of its dtypes, if it is a float.
pub fn float_dtype(dtype: DType) -> FloatDType {
    match dtype {
        DType::BF16 => FloatDType::BF16,
        DType::F16 => FloatDType::F16,
        _ => FloatDType::F32,
    }
}
