//! Number formats of tensors in files.

use std::fmt;

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};

/// How a file stores the elements of a tensor. Always little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FileDtype {
    F64,
    F32,
    F16,
    BF16,
    I64,
    I32,
    I16,
    I8,
    U64,
    U32,
    U16,
    U8,
    Bool,
}

/// A finite number became infinite: it is outside the range of the wanted format.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OutOfRange {
    pub value: f32,
    /// Position among the converted elements.
    pub index: usize,
}

/// Elements converted at a time: what a conversion needs beside its source and its destination.
const CHUNK: usize = 4096;

impl FileDtype {
    /// Bytes of one element.
    pub const fn size(self) -> usize {
        match self {
            Self::F64 | Self::I64 | Self::U64 => 8,
            Self::F32 | Self::I32 | Self::U32 => 4,
            Self::F16 | Self::BF16 | Self::I16 | Self::U16 => 2,
            Self::I8 | Self::U8 | Self::Bool => 1,
        }
    }

    pub const fn is_float(self) -> bool {
        matches!(self, Self::F64 | Self::F32 | Self::F16 | Self::BF16)
    }

    /// The name in a safetensors header.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F64 => "F64",
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::BF16 => "BF16",
            Self::I64 => "I64",
            Self::I32 => "I32",
            Self::I16 => "I16",
            Self::I8 => "I8",
            Self::U64 => "U64",
            Self::U32 => "U32",
            Self::U16 => "U16",
            Self::U8 => "U8",
            Self::Bool => "BOOL",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        const ALL: [FileDtype; 13] = [
            FileDtype::F64,
            FileDtype::F32,
            FileDtype::F16,
            FileDtype::BF16,
            FileDtype::I64,
            FileDtype::I32,
            FileDtype::I16,
            FileDtype::I8,
            FileDtype::U64,
            FileDtype::U32,
            FileDtype::U16,
            FileDtype::U8,
            FileDtype::Bool,
        ];
        ALL.into_iter().find(|dtype| dtype.name() == name)
    }
}

impl fmt::Display for FileDtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Bytes of a tensor, or None where shape and dtype overflow.
pub fn byte_len(shape: &[usize], dtype: FileDtype) -> Option<usize> {
    let elements = shape.iter().try_fold(1usize, |total, &n| total.checked_mul(n))?;
    elements.checked_mul(dtype.size())
}

/// Converts floats from one format to another, `source` and `destination` being the raw bytes of equally
/// many elements (unaligned is fine). Rounds to the nearest, ties to even; what is not finite stays so.
///
/// # Errors
/// The first finite element that the destination can only hold as an infinity.
///
/// # Panics
/// If a format is no float or the lengths disagree: both are the caller's own arithmetic.
pub fn convert(
    source: &[u8],
    from: FileDtype,
    destination: &mut [u8],
    to: FileDtype,
) -> Result<(), OutOfRange> {
    assert!(from.is_float() && to.is_float(), "convert: {from} to {to}");
    assert_eq!(source.len() / from.size(), destination.len() / to.size(), "convert: lengths");
    if from == to {
        destination.copy_from_slice(source);
        return Ok(());
    }
    let mut numbers = [0f32; CHUNK];
    let chunks = source.chunks(CHUNK * from.size()).zip(destination.chunks_mut(CHUNK * to.size()));
    for (chunk, (source, destination)) in chunks.enumerate() {
        let numbers = &mut numbers[..source.len() / from.size()];
        decode_f32(source, from, numbers);
        encode_f32(numbers, destination, to)
            .map_err(|err| OutOfRange { index: chunk * CHUNK + err.index, ..err })?;
    }
    Ok(())
}

/// Reads raw floats into f32. F64 beyond the range of f32 becomes infinite.
///
/// # Panics
/// As [`convert`].
pub fn decode_f32(source: &[u8], from: FileDtype, numbers: &mut [f32]) {
    assert_eq!(source.len(), numbers.len() * from.size(), "decode_f32: lengths");
    match from {
        FileDtype::F32 => bytemuck::cast_slice_mut(numbers).copy_from_slice(source),
        FileDtype::BF16 => {
            for (number, raw) in numbers.iter_mut().zip(source.as_chunks::<2>().0) {
                *number = f32::from_bits(u32::from(u16::from_le_bytes(*raw)) << 16);
            }
        }
        FileDtype::F16 => decode_f16(source, numbers),
        FileDtype::F64 => {
            for (number, raw) in numbers.iter_mut().zip(source.as_chunks::<8>().0) {
                *number = f64::from_le_bytes(*raw) as f32;
            }
        }
        _ => panic!("decode_f32: {from} is no float"),
    }
}

/// Through an aligned buffer, so that the hardware conversion of whole slices serves unaligned files too.
fn decode_f16(source: &[u8], numbers: &mut [f32]) {
    let mut aligned = [f16::ZERO; CHUNK];
    for (source, numbers) in source.chunks(CHUNK * 2).zip(numbers.chunks_mut(CHUNK)) {
        let aligned = &mut aligned[..numbers.len()];
        bytemuck::cast_slice_mut(aligned).copy_from_slice(source);
        aligned.convert_to_f32_slice(numbers);
    }
}

/// Writes f32 numbers in a file format; see [`convert`] for rounding and errors.
pub fn encode_f32(numbers: &[f32], destination: &mut [u8], to: FileDtype) -> Result<(), OutOfRange> {
    assert_eq!(destination.len(), numbers.len() * to.size(), "encode_f32: lengths");
    match to {
        FileDtype::F32 => {
            destination.copy_from_slice(bytemuck::cast_slice(numbers));
            Ok(())
        }
        FileDtype::F64 => {
            for (raw, number) in destination.as_chunks_mut::<8>().0.iter_mut().zip(numbers) {
                *raw = f64::from(*number).to_le_bytes();
            }
            Ok(())
        }
        FileDtype::BF16 => {
            for (raw, number) in destination.as_chunks_mut::<2>().0.iter_mut().zip(numbers) {
                *raw = bf16::from_f32(*number).to_le_bytes();
            }
            // The largest finite bf16 plus half a step: from here on the nearest is infinity.
            in_range(numbers, f32::from_bits(0x7F7F_8000))
        }
        FileDtype::F16 => {
            encode_f16(numbers, destination);
            // 65504 plus half a step of 32.
            in_range(numbers, 65520.0)
        }
        _ => panic!("encode_f32: {to} is no float"),
    }
}

fn encode_f16(numbers: &[f32], destination: &mut [u8]) {
    let mut aligned = [f16::ZERO; CHUNK];
    for (numbers, destination) in numbers.chunks(CHUNK).zip(destination.chunks_mut(CHUNK * 2)) {
        let aligned = &mut aligned[..numbers.len()];
        aligned.convert_from_f32_slice(numbers);
        destination.copy_from_slice(bytemuck::cast_slice(aligned));
    }
}

/// Finite numbers from `limit` on are out of range.
fn in_range(numbers: &[f32], limit: f32) -> Result<(), OutOfRange> {
    let outside = |number: &f32| number.is_finite() && number.abs() >= limit;
    match numbers.iter().position(outside) {
        Some(index) => Err(OutOfRange { value: numbers[index], index }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(number: f32, to: FileDtype) -> Result<Vec<u8>, OutOfRange> {
        let mut bytes = vec![0; to.size()];
        encode_f32(&[number], &mut bytes, to).map(|()| bytes)
    }

    #[test]
    fn rounds_to_nearest_even() {
        // Halfway between 1 and the next bf16 (1 + 2^-7): to the even 1. Three halves: up to 1 + 2^-6.
        let half = 2f32.powi(-8);
        assert_eq!(encoded(1.0 + half, FileDtype::BF16), Ok(vec![0x80, 0x3F]));
        assert_eq!(encoded(1.0 + 3.0 * half, FileDtype::BF16), Ok(vec![0x82, 0x3F]));
        let half = 2f32.powi(-11);
        assert_eq!(encoded(1.0 + half, FileDtype::F16), Ok(vec![0x00, 0x3C]));
        assert_eq!(encoded(1.0 + 3.0 * half, FileDtype::F16), Ok(vec![0x02, 0x3C]));
    }

    #[test]
    fn overflow_is_an_error_and_infinity_is_not() {
        assert!(encoded(65519.0, FileDtype::F16).is_ok());
        assert_eq!(encoded(-65520.0, FileDtype::F16), Err(OutOfRange { value: -65520.0, index: 0 }));
        assert!(encoded(f32::MAX, FileDtype::BF16).is_err());
        assert!(encoded(f32::from_bits(0x7F7F_7FFF), FileDtype::BF16).is_ok());
        assert_eq!(encoded(f32::INFINITY, FileDtype::F16), Ok(vec![0x00, 0x7C]));
        assert!(encoded(f32::NAN, FileDtype::BF16).is_ok());
    }

    #[test]
    fn every_sixteen_bit_pattern_survives_the_way_through_f32() {
        let all: Vec<u8> = (0..=u16::MAX).flat_map(u16::to_le_bytes).collect();
        for dtype in [FileDtype::F16, FileDtype::BF16] {
            let mut numbers = vec![0f32; 1 << 16];
            decode_f32(&all, dtype, &mut numbers);
            let mut back = vec![0; all.len()];
            encode_f32(&numbers, &mut back, dtype).unwrap();
            let nan = |pair: &[u8]| {
                let mut number = [0f32];
                decode_f32(pair, dtype, &mut number);
                number[0].is_nan()
            };
            for (a, b) in all.chunks(2).zip(back.chunks(2)) {
                assert!(a == b || (nan(a) && nan(b)), "{dtype} {a:?} {b:?}");
            }
        }
    }

    #[test]
    fn the_place_of_an_overflow_counts_from_the_start() {
        let mut numbers = vec![1f32; 3 * CHUNK];
        numbers[2 * CHUNK + 7] = 1e9;
        let source: &[u8] = bytemuck::cast_slice(&numbers);
        let mut destination = vec![0; source.len() / 2];
        let err = convert(source, FileDtype::F32, &mut destination, FileDtype::F16).unwrap_err();
        assert_eq!(err, OutOfRange { value: 1e9, index: 2 * CHUNK + 7 });
    }
}
