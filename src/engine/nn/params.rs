//! Where parameters live: one flat list a model and one an adapter, keyed by the names that the
//! checkpoint uses. Layers hold only [`ParamId`]s, so that storage (dense, packed, streamed) and
//! training (frozen, trainable) are decided in one place.

use std::collections::HashMap;

use burn::tensor::{DType, FloatDType, Tensor};

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
}

impl Value {
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
        }
    }

    /// The inverse of [`flat`](Self::flat).
    pub fn from_flat(flat: Tensor<1>, shape: &[usize]) -> Self {
        match shape {
            [rows, columns] => Self::Matrix(flat.reshape([*rows, *columns])),
            _ => Self::Vector(flat),
        }
    }

    pub fn cast(self, dtype: FloatDType) -> Self {
        match self {
            Self::Absent => Self::Absent,
            Self::Vector(vector) => Self::Vector(vector.cast(dtype)),
            Self::Matrix(matrix) => Self::Matrix(matrix.cast(dtype)),
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
        }
    }

    /// Number of elements.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }
}

/// A list of parameters with unique names.
#[derive(Debug)]
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
        &mut self.params[id.index]
    }

    pub fn find(&self, name: &str) -> Option<ParamId> {
        self.by_name.get(name).map(|index| ParamId { space: self.space, index: *index })
    }

    pub fn iter(&self) -> impl Iterator<Item = (ParamId, &Param)> {
        let space = self.space;
        self.params.iter().enumerate().map(move |(index, param)| (ParamId { space, index }, param))
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Param> {
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

/// Burn's float dtype for one of its dtypes, if it is a float.
pub fn float_dtype(dtype: DType) -> FloatDType {
    match dtype {
        DType::BF16 => FloatDType::BF16,
        DType::F16 => FloatDType::F16,
        _ => FloatDType::F32,
    }
}
