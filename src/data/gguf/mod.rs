//! GGUF: the container of llama.cpp and Ollama. One file holds typed metadata (sizes of the model, tokenizer, chat
//! template) and the tensors, often quantised.
//!
//! Here is the container alone, for whoever needs a part of it: the tokenizer its vocabulary, the engine its tensors.
//! Format: the GGUF specification of the ggml project, versions 2 and 3.

mod encode;
mod find;
mod kind;
mod parse;
mod value;

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use protocol::{Result, Text, UserError};

pub use encode::{NewTensor, encode};
pub use find::find;
pub use kind::TensorKind;
pub use parse::parse;
pub use value::{List, Metadata, Value};

const MAGIC: [u8; 4] = *b"GGUF";
/// Multiples of this many bytes at which tensors begin, unless the file says otherwise.
pub const DEFAULT_ALIGNMENT: u64 = 32;

/// The head of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Gguf {
    /// 2 or 3.
    pub version: u32,
    pub metadata: Metadata,
    /// In the order of the file.
    pub tensors: Vec<TensorEntry>,
}

/// Form and place of a tensor; checked against the file's size, the other tensors and the alignment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorEntry {
    pub name: String,
    /// Elements along each dimension, fastest first: the reverse of a shape.
    pub dims: Vec<u64>,
    pub kind: TensorKind,
    /// Byte of the file at which it begins.
    pub start: u64,
    /// Its length in bytes.
    pub bytes: u64,
}

/// Reads the head of a file.
///
/// # Errors
/// The file cannot be read, or as [`parse`].
pub fn open(file: &Path) -> Result<Gguf> {
    let failed = |err: std::io::Error| UserError::io(Text::fixed("read the file", "读取文件"), file, &err);
    let opened = File::open(file).map_err(failed)?;
    let size = opened.metadata().map_err(failed)?.len();
    parse(BufReader::with_capacity(1 << 16, opened), size).map_err(|err| err.in_file(file))
}
