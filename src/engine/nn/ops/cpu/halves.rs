//! Numbers in 16 bits: widened, calculated with as `f32`, and the result is rounded once.
//!
//! Products of a few rows widen the matrix on the way; others, where the machine does not multiply bf16 itself
//! ([`tiles`](super::tiles)), cost so much more than the widening that they take a copy.

use burn::tensor::{Bytes, DType};
use burn_flex::{FlexTensor, Layout};
use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use rayon::prelude::*;

use super::buffer::{GRAIN, elements, ordered, tensor};
use super::few::{Half, few_rows_of_halves};
use super::simd::vectorised;
use super::tiles;

impl Half for bf16 {
    fn widen(from: &[Self], to: &mut [f32]) {
        vectorised(
            #[inline(always)]
            || {
                for (to, from) in to.iter_mut().zip(from) {
                    *to = f32::from_bits(u32::from(from.to_bits()) << 16);
                }
            },
        );
    }

    /// NaN stays NaN.
    fn round(from: &[f32], to: &mut [Self]) {
        const NAN: u32 = 0x7fc0;
        vectorised(
            #[inline(always)]
            || {
                for (to, from) in to.iter_mut().zip(from) {
                    let bits = from.to_bits();
                    let even = bits >> 16 & 1;
                    let nearest = bits.wrapping_add(0x7fff + even) >> 16;
                    *to = Self::from_bits(if from.is_nan() { NAN } else { nearest } as u16);
                }
            },
        );
    }
}

impl Half for f16 {
    fn widen(from: &[Self], to: &mut [f32]) {
        from.convert_to_f32_slice(to);
    }

    fn round(from: &[f32], to: &mut [Self]) {
        to.convert_from_f32_slice(from);
    }
}

/// `x · weightᵀ` in `f32` for `[B, 1, I]` and `[O, I]` in 16 bits, of a few rows.
pub(super) fn few_rows_of(x: &FlexTensor, weight: &FlexTensor) -> FlexTensor {
    let ([batch, _, i], [o, _]): ([usize; 3], [usize; 2]) =
        (x.layout().shape().dims(), weight.layout().shape().dims());
    let (dims, wide) = ([batch, i, o], || wide(x.clone()));
    let y = match weight.dtype() {
        DType::F16 => few_rows_of_halves(elements(&wide()), halves::<f16>(weight), dims),
        _ if tiles::here() => tiles::few_rows(halves(x), halves(weight), dims),
        _ => few_rows_of_halves(elements(&wide()), halves::<bf16>(weight), dims),
    };
    tensor(y, [batch, 1, o])
}

/// The numbers of an ordered tensor.
pub(super) fn halves<E: burn::tensor::Element + bytemuck::Pod>(tensor: &FlexTensor) -> &[E] {
    tensor.as_slice().expect("a tensor in order, of this element type")
}

/// The tensor in `f32`. One whose tokens and heads are exchanged stays so.
pub(super) fn wide(from: FlexTensor) -> FlexTensor {
    if from.dtype() == DType::F32 {
        return from;
    }
    in_order(from, |from| {
        let numbers = match from.dtype() {
            DType::F16 => converted(halves(&from), f16::widen),
            _ => converted(halves(&from), bf16::widen),
        };
        tensor(numbers, from.layout().shape().clone())
    })
}

/// The tensor, rounded to the nearest numbers of 16 bits where those are wanted. Its layout as by [`wide`].
pub(super) fn narrow(from: FlexTensor, dtype: DType) -> FlexTensor {
    if dtype == DType::F32 {
        return from;
    }
    in_order(from, |from| {
        let bytes = match dtype {
            DType::F16 => Bytes::from_elems(converted(elements(&from), f16::round)),
            _ => Bytes::from_elems(converted(elements(&from), bf16::round)),
        };
        FlexTensor::new(bytes, Layout::contiguous(from.layout().shape().clone()), dtype)
    })
}

/// New numbers from others, on all threads; block by block, since memory that is to be overwritten costs as much to clear
/// as the conversion.
fn converted<A: Sync, B: Copy + Default + Send>(
    from: &[A],
    convert: impl Fn(&[A], &mut [B]) + Sync,
) -> Vec<B> {
    const BLOCK: usize = 512;
    let mut to = Vec::with_capacity(from.len());
    let room = to.spare_capacity_mut().par_chunks_mut(GRAIN);
    room.zip(from.par_chunks(GRAIN)).for_each(|(room, from)| {
        let mut numbers = [B::default(); BLOCK];
        for (room, from) in room.chunks_mut(BLOCK).zip(from.chunks(BLOCK)) {
            let numbers = &mut numbers[..from.len()];
            convert(from, numbers);
            room[..from.len()].write_copy_of_slice(numbers);
        }
    });
    #[expect(unsafe_code, reason = "memory that was written above")]
    // SAFETY: there is room for as many as `from` has, and each block of `from` was written to its place.
    unsafe {
        to.set_len(from.len());
    }
    to
}

/// Calls `work` with the tensor in order. What [`super::heads::Joined`] and projections leave, `[B, H, T, D]` lying as
/// `[B, T, H, D]`, is in order after exchanging two axes, which are exchanged again in the result.
fn in_order(from: FlexTensor, work: impl FnOnce(FlexTensor) -> FlexTensor) -> FlexTensor {
    if !from.is_contiguous() && from.layout().shape().num_dims() == 4 {
        let exchanged = from.transpose(1, 2);
        if exchanged.is_contiguous() {
            return work(exchanged).transpose(1, 2);
        }
    }
    work(ordered(from))
}
