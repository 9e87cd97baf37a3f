//! What the pickle machine computes with.
//!
//! Compound values live in one arena and refer to each other by index: nothing recurses, so neither deep
//! nesting nor cycles can exhaust the call stack, and dropping them is flat.

use std::ops::Range;

use crate::weights::dtype::FileDtype;

/// Index of an [`Object`] in the machine's arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObjectId(pub u32);

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    None,
    Bool(bool),
    /// Every integer that fits; larger ones are [`Value::Huge`].
    Int(i64),
    /// An integer beyond 64 bits (the legacy format's magic number): its bytes' range in the pickle.
    Huge(Span),
    Float,
    /// Text or bytes: its range in the pickle.
    Text(Span),
    Bytes,
    Callable(Callable),
    Object(ObjectId),
}

/// A range of bytes in the pickle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub start: usize,
    pub end: usize,
}

impl Span {
    pub fn range(self) -> Range<usize> {
        self.start..self.end
    }
}

#[derive(Clone, Debug)]
pub enum Object {
    Tuple(Vec<Value>),
    List(Vec<Value>),
    /// A plain or an ordered dictionary.
    Dict(Vec<(Value, Value)>),
    Storage(StorageRef),
    Tensor(TensorRef),
}

/// The names a pickle may mention. None of them is ever called: the machine knows what each would make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Callable {
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
    /// `torch.FloatStorage` and its like.
    Storage(FileDtype),
}

impl Callable {
    /// The allow-list.
    pub fn named(module: &str, name: &str) -> Option<Self> {
        Some(match (module, name) {
            ("collections", "OrderedDict") => Self::OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2") => Self::RebuildTensor,
            ("torch._utils", "_rebuild_parameter") => Self::RebuildParameter,
            ("torch", "DoubleStorage") => Self::Storage(FileDtype::F64),
            ("torch", "FloatStorage") => Self::Storage(FileDtype::F32),
            ("torch", "HalfStorage") => Self::Storage(FileDtype::F16),
            ("torch", "BFloat16Storage") => Self::Storage(FileDtype::BF16),
            ("torch", "LongStorage") => Self::Storage(FileDtype::I64),
            ("torch", "IntStorage") => Self::Storage(FileDtype::I32),
            ("torch", "ShortStorage") => Self::Storage(FileDtype::I16),
            ("torch", "CharStorage") => Self::Storage(FileDtype::I8),
            ("torch", "ByteStorage") => Self::Storage(FileDtype::U8),
            ("torch", "BoolStorage") => Self::Storage(FileDtype::Bool),
            _ => return None,
        })
    }
}

/// `('storage', class, key, location, elements)`, with a view `(view key, offset, elements)` in legacy files.
#[derive(Clone, Debug)]
pub struct StorageRef {
    pub dtype: FileDtype,
    /// The storage's name in the container.
    pub key: String,
    /// Elements that the pickle claims the storage to have.
    pub elements: usize,
    /// Offset and length in elements of a view of the storage.
    pub view: Option<(usize, usize)>,
}

/// The arguments of `_rebuild_tensor_v2` that matter here. All in elements.
#[derive(Clone, Debug)]
pub struct TensorRef {
    pub storage: ObjectId,
    pub offset: usize,
    pub shape: Vec<usize>,
    pub strides: Vec<usize>,
}
