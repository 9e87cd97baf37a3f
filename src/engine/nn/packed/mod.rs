//! Matrices in few bits: coded on the host while they are loaded, kept so on the device, and dense only while a block
//! is at work.
//!
//! NF4 and double quantisation: Dettmers et al. 2023 (arXiv:2305.14314); codes, packing and scales are those of
//! bitsandbytes.

mod device;
mod quantise;

use burn::tensor::FloatDType;
use protocol::{Result, Text, UserError, text};

pub use device::Packed;
pub use quantise::{NF4, nested, nf4};

/// Elements that share a scale in NF4.
const BLOCK: usize = 64;
/// Scales that share a scale of their own in double quantisation.
const NESTED_BLOCK: usize = 256;

/// How the matrices of the blocks are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantization {
    /// 4 bits with a scale for every 64 elements.
    Nf4,
    /// The same with 8-bit scales.
    Nf4Double,
    /// 8 bits with a scale for every output.
    Int8,
}

impl Quantization {
    pub const ALL: [Self; 3] = [Self::Nf4, Self::Nf4Double, Self::Int8];

    /// The word of a run file's `model.quantization`; an empty one stands for `none`.
    ///
    /// # Errors
    /// When nobody knows it.
    pub fn from_name(name: &str) -> Result<Option<Self>> {
        if name.is_empty() || name == "none" {
            return Ok(None);
        }
        Self::ALL.into_iter().find(|known| known.name() == name).map(Some).ok_or_else(|| {
            UserError::bad_input(text!("There is no quantization `{name}`", "没有名为 `{name}` 的量化方式"))
                .at_item("model.quantization")
                .mend(Text::fixed(
                    "use none, nf4, nf4-double or int8",
                    "请使用 none、nf4、nf4-double 或 int8",
                ))
        })
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Nf4 => "nf4",
            Self::Nf4Double => "nf4-double",
            Self::Int8 => "int8",
        }
    }

    /// Bytes of a matrix's codes and scales.
    pub fn bytes(self, elements: u64, outputs: u64) -> u64 {
        let blocks = elements.div_ceil(BLOCK as u64);
        let scales = match self {
            Self::Nf4 => blocks * 4,
            Self::Nf4Double => blocks + blocks.div_ceil(NESTED_BLOCK as u64) * 4,
            Self::Int8 => return elements + outputs * 4,
        };
        elements.div_ceil(2) + scales
    }
}

/// Which way the outputs of a matrix lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outputs {
    /// `[out, in]`
    Rows,
    /// `[in, out]`
    Columns,
}

/// What a code stands for.
#[derive(Clone, Debug, PartialEq)]
pub enum Code {
    /// Two elements a byte, in row-major order, the first in the high half; `block` of them share a scale. `block` is
    /// even.
    Nibbles { table: [f32; 16], block: usize },
    /// A signed byte an element; those of an output share a scale.
    Bytes(Outputs),
}

/// The factors of the codes.
#[derive(Clone, Debug, PartialEq)]
pub enum Scales {
    Plain(Vec<f32>),
    Nested(Nested),
}

/// Scales in 8 bits: `table[code] · scales[i / block] + offset`.
#[derive(Clone, Debug, PartialEq)]
pub struct Nested {
    pub codes: Vec<u8>,
    /// 256 values.
    pub table: Vec<f32>,
    pub block: usize,
    pub scales: Vec<f32>,
    pub offset: f32,
}

/// A matrix in few bits on the host. Lengths fit one another: that is checked where files are read.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantised {
    pub shape: [usize; 2],
    pub code: Code,
    pub codes: Vec<u8>,
    pub scales: Scales,
    /// What an element is rounded to before it is used: files say so, what is quantised here is not rounded.
    pub rounded: FloatDType,
}

impl Quantised {
    /// Whether the codes are of this kind; how their scales are kept does not matter.
    pub fn suits(&self, quantization: Quantization) -> bool {
        match (&self.code, quantization) {
            (Code::Nibbles { .. }, Quantization::Nf4 | Quantization::Nf4Double) => true,
            (Code::Bytes(_), Quantization::Int8) => true,
            (Code::Nibbles { .. }, Quantization::Int8)
            | (Code::Bytes(_), Quantization::Nf4 | Quantization::Nf4Double) => false,
        }
    }

    /// Every element, in row-major order.
    pub fn dense(&self) -> Vec<f32> {
        let mut out = vec![0.0; self.shape[0] * self.shape[1]];
        let scales = self.scales.expanded();
        match &self.code {
            Code::Nibbles { table, block } => {
                super::ops::unpack_nibbles(&self.codes, table, &scales, *block, self.rounded, &mut out);
            }
            Code::Bytes(outputs) => {
                let (codes, by_rows) = (bytemuck::cast_slice(&self.codes), *outputs == Outputs::Rows);
                super::ops::unpack_bytes(codes, &scales, self.shape[1], by_rows, self.rounded, &mut out);
            }
        }
        out
    }
}

impl Scales {
    /// Every scale.
    pub fn expanded(&self) -> Vec<f32> {
        match self {
            Self::Plain(scales) => scales.clone(),
            Self::Nested(nested) => {
                let blocks = nested.codes.chunks(nested.block).zip(&nested.scales);
                let of = |code: &u8, scale: f32| nested.table[usize::from(*code)] * scale + nested.offset;
                blocks.flat_map(|(codes, scale)| codes.iter().map(move |code| of(code, *scale))).collect()
            }
        }
    }
}
