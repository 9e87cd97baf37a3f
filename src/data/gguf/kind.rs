//! Number formats of tensors and types of metadata values, by the numbers that files give them.
//! Facts: `ggml.h` and the GGUF specification of the ggml project.

use std::fmt;

/// How a file stores a tensor: `block` elements in `bytes` bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TensorKind {
    /// The number in the file.
    pub id: u32,
    /// ggml's name, in the spelling of `llama-quantize`.
    pub name: &'static str,
    /// Elements of a block; the first dimension is a multiple of this.
    pub block: u64,
    /// Bytes of a block.
    pub bytes: u64,
}

impl TensorKind {
    pub const F32: Self = Self::of(0, "F32", 1, 4);
    pub const F16: Self = Self::of(1, "F16", 1, 2);
    pub const Q4_0: Self = Self::of(2, "Q4_0", 32, 18);
    pub const Q8_0: Self = Self::of(8, "Q8_0", 32, 34);
    pub const Q4_K: Self = Self::of(12, "Q4_K", 256, 144);
    pub const Q6_K: Self = Self::of(14, "Q6_K", 256, 210);
    pub const BF16: Self = Self::of(30, "BF16", 1, 2);

    /// Every kind whose size is known, so that a file with a kind that is not read can still be measured and
    /// refused by name.
    const ALL: [Self; 34] = [
        Self::F32,
        Self::F16,
        Self::Q4_0,
        Self::of(3, "Q4_1", 32, 20),
        Self::of(6, "Q5_0", 32, 22),
        Self::of(7, "Q5_1", 32, 24),
        Self::Q8_0,
        Self::of(9, "Q8_1", 32, 36),
        Self::of(10, "Q2_K", 256, 84),
        Self::of(11, "Q3_K", 256, 110),
        Self::Q4_K,
        Self::of(13, "Q5_K", 256, 176),
        Self::Q6_K,
        Self::of(15, "Q8_K", 256, 292),
        Self::of(16, "IQ2_XXS", 256, 66),
        Self::of(17, "IQ2_XS", 256, 74),
        Self::of(18, "IQ3_XXS", 256, 98),
        Self::of(19, "IQ1_S", 256, 50),
        Self::of(20, "IQ4_NL", 32, 18),
        Self::of(21, "IQ3_S", 256, 110),
        Self::of(22, "IQ2_S", 256, 82),
        Self::of(23, "IQ4_XS", 256, 136),
        Self::of(24, "I8", 1, 1),
        Self::of(25, "I16", 1, 2),
        Self::of(26, "I32", 1, 4),
        Self::of(27, "I64", 1, 8),
        Self::of(28, "F64", 1, 8),
        Self::of(29, "IQ1_M", 256, 56),
        Self::BF16,
        Self::of(34, "TQ1_0", 256, 54),
        Self::of(35, "TQ2_0", 256, 66),
        Self::of(39, "MXFP4", 32, 17),
        Self::of(40, "NVFP4", 64, 36),
        Self::of(41, "Q1_0", 128, 18),
    ];

    const fn of(id: u32, name: &'static str, block: u64, bytes: u64) -> Self {
        Self { id, name, block, bytes }
    }

    pub fn from_id(id: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.id == id)
    }

    /// Bytes of a tensor whose dimensions are `dims`, fastest first. None where the first is no multiple of
    /// the block, or the product overflows.
    pub fn byte_len(self, dims: &[u64]) -> Option<u64> {
        let first = dims.first().copied().unwrap_or(1);
        if !first.is_multiple_of(self.block) {
            return None;
        }
        let elements = dims.iter().try_fold(1u64, |product, &dim| product.checked_mul(dim))?;
        (elements / self.block).checked_mul(self.bytes)
    }
}

impl fmt::Display for TensorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// Type of a metadata value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ValueKind {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    F32,
    Bool,
    Text,
    List,
    U64,
    I64,
    F64,
}

impl ValueKind {
    const ALL: [Self; 13] = [
        Self::U8,
        Self::I8,
        Self::U16,
        Self::I16,
        Self::U32,
        Self::I32,
        Self::F32,
        Self::Bool,
        Self::Text,
        Self::List,
        Self::U64,
        Self::I64,
        Self::F64,
    ];

    pub fn from_id(id: u32) -> Option<Self> {
        Self::ALL.get(id as usize).copied()
    }

    pub fn id(self) -> u32 {
        self as u32
    }

    /// Bytes of the shortest value of this type.
    pub fn least_bytes(self) -> u64 {
        match self {
            Self::U8 | Self::I8 | Self::Bool => 1,
            Self::U16 | Self::I16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::Text | Self::U64 | Self::I64 | Self::F64 => 8,
            Self::List => 12,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique_and_value_types_are_numbered_as_in_files() {
        for kind in TensorKind::ALL {
            assert_eq!(TensorKind::from_id(kind.id), Some(kind));
        }
        assert_eq!(ValueKind::Text.id(), 8);
        assert_eq!(ValueKind::F64.id(), 12);
        assert_eq!(ValueKind::from_id(13), None);
    }

    #[test]
    fn sizes_count_blocks_and_overflow_is_seen() {
        assert_eq!(TensorKind::Q8_0.byte_len(&[64, 3]), Some(6 * 34));
        assert_eq!(TensorKind::Q8_0.byte_len(&[33]), None);
        assert_eq!(TensorKind::F32.byte_len(&[]), Some(4));
        assert_eq!(TensorKind::F32.byte_len(&[1 << 32, 1 << 32]), None);
        assert_eq!(TensorKind::F32.byte_len(&[1 << 62]), None);
    }
}
