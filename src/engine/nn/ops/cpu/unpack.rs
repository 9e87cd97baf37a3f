//! Matrices in few bits made dense: as fast as memory takes them.

use burn::tensor::{FloatDType, Int, Tensor};
use burn_flex::{Flex, FlexTensor};
use half::{bf16, f16};
use rayon::prelude::*;

use super::bridge::primitive;
use super::buffer::{GRAIN, elements, ordered, tensor};
use super::simd::vectorised;

/// See [`super::super::Nibbles::dense`].
pub fn nibbles(
    codes: Tensor<1, Int>,
    table: &[f32; 16],
    scales: Tensor<1>,
    block: usize,
    shape: [usize; 2],
    rounded: FloatDType,
) -> Tensor<2> {
    let (codes, scales) = (bytes_of(codes), ordered(primitive(scales)));
    let codes: &[u8] = codes.as_slice().expect("bytes in order");
    let mut out = vec![0.0; shape[0] * shape[1]];
    unpack_nibbles(codes, table, elements(&scales), block, rounded, &mut out);
    Tensor::from_primitive::<Flex>(tensor(out, shape))
}

/// See [`super::super::Bytes::dense`].
pub fn bytes(
    codes: Tensor<1, Int>,
    scales: Tensor<1>,
    by_rows: bool,
    shape: [usize; 2],
    rounded: FloatDType,
) -> Tensor<2> {
    let (codes, scales) = (bytes_of(codes), ordered(primitive(scales)));
    let codes: &[i8] = codes.as_slice().expect("signed bytes in order");
    let mut out = vec![0.0; shape[0] * shape[1]];
    unpack_bytes(codes, elements(&scales), shape[1], by_rows, rounded, &mut out);
    Tensor::from_primitive::<Flex>(tensor(out, shape))
}

/// The buffer of codes.
///
/// # Panics
/// If they are not on the CPU backend.
pub(super) fn bytes_of(codes: Tensor<1, Int>) -> FlexTensor {
    ordered(codes.try_into_primitive::<Flex>().expect("codes on the CPU backend"))
}

/// `out[i] = table[code i] · scales[i / block]`, rounded. There may be more codes than elements; `block` is even.
pub fn unpack_nibbles(
    codes: &[u8],
    table: &[f32; 16],
    scales: &[f32],
    block: usize,
    rounded: FloatDType,
    out: &mut [f32],
) {
    let pairs = pairs(table);
    let blocks = (GRAIN / block).max(1);
    let tasks = out
        .par_chunks_mut(blocks * block)
        .zip(codes.par_chunks(blocks * block / 2))
        .zip(scales.par_chunks(blocks));
    tasks.for_each(|((out, codes), scales)| fill_nibbles(codes, &pairs, scales, block, rounded, out));
}

/// What the two codes of a byte stand for.
pub(super) fn pairs(table: &[f32; 16]) -> [[f32; 2]; 256] {
    std::array::from_fn(|byte| [table[byte >> 4], table[byte & 15]])
}

/// [`unpack_nibbles`] in the calling thread, of what fills `out`.
pub(super) fn fill_nibbles(
    codes: &[u8],
    pairs: &[[f32; 2]; 256],
    scales: &[f32],
    block: usize,
    rounded: FloatDType,
    out: &mut [f32],
) {
    for ((out, codes), scale) in out.chunks_mut(block).zip(codes.chunks(block / 2)).zip(scales) {
        let (twos, last) = out.as_chunks_mut::<2>();
        for (two, code) in twos.iter_mut().zip(codes) {
            let [high, low] = pairs[usize::from(*code)];
            *two = [high * scale, low * scale];
        }
        if let ([last], Some(code)) = (last, codes.get(twos.len())) {
            *last = pairs[usize::from(*code)][0] * scale;
        }
    }
    round(out, rounded);
}

/// `out[i] = code i · scale` of its row, or of its column, rounded.
pub fn unpack_bytes(
    codes: &[i8],
    scales: &[f32],
    columns: usize,
    by_rows: bool,
    rounded: FloatDType,
    out: &mut [f32],
) {
    let columns = columns.max(1);
    let rows = out.par_chunks_mut(columns).zip(codes.par_chunks(columns)).enumerate();
    rows.with_min_len((GRAIN / columns).max(1)).for_each(|(row, (out, codes))| {
        if by_rows {
            fill_bytes(codes, std::iter::repeat(&scales[row]), rounded, out);
        } else {
            fill_bytes(codes, scales, rounded, out);
        }
    });
}

/// `out[i] = code i · scale i`, rounded.
pub(super) fn fill_bytes<'a>(
    codes: &[i8],
    scales: impl IntoIterator<Item = &'a f32>,
    rounded: FloatDType,
    out: &mut [f32],
) {
    vectorised(
        #[inline(always)]
        || {
            for ((out, code), scale) in out.iter_mut().zip(codes).zip(scales) {
                *out = f32::from(*code) * scale;
            }
        },
    );
    round(out, rounded);
}

fn round(numbers: &mut [f32], rounded: FloatDType) {
    match rounded {
        FloatDType::BF16 => numbers.iter_mut().for_each(|number| *number = bf16::from_f32(*number).to_f32()),
        FloatDType::F16 => numbers.iter_mut().for_each(|number| *number = f16::from_f32(*number).to_f32()),
        _ => {}
    }
}
