//! Numbers in 16 bits for linear maps: widened, multiplied and added as `f32`, and the result is rounded once.
//!
//! Products of a few rows widen the matrix on the way; others cost so much more than the widening that they take a copy.

use burn::tensor::{Bytes, DType};
use burn_flex::{FlexTensor, Layout};
use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use rayon::prelude::*;

use super::buffer::{GRAIN, elements, tensor};
use super::few::{Half, few_rows_of_halves};
use super::simd::vectorised;

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
}

impl Half for f16 {
    fn widen(from: &[Self], to: &mut [f32]) {
        from.convert_to_f32_slice(to);
    }
}

/// `x · weightᵀ` in `f32` for `[B, 1, I]` and `[O, I]` in 16 bits, of a few rows.
pub(super) fn few_rows_of(x: &FlexTensor, weight: &FlexTensor) -> FlexTensor {
    let ([batch, _, i], [o, _]): ([usize; 3], [usize; 2]) =
        (x.layout().shape().dims(), weight.layout().shape().dims());
    let (x, dims) = (wide(x), [batch, i, o]);
    let y = match weight.dtype() {
        DType::F16 => few_rows_of_halves(elements(&x), halves::<f16>(weight), dims),
        _ => few_rows_of_halves(elements(&x), halves::<bf16>(weight), dims),
    };
    tensor(y, [batch, 1, o])
}

/// The numbers of an ordered tensor.
fn halves<E: burn::tensor::Element + bytemuck::Pod>(tensor: &FlexTensor) -> &[E] {
    tensor.as_slice().expect("a tensor in order, of this element type")
}

/// An ordered tensor in `f32`.
pub(super) fn wide(from: &FlexTensor) -> FlexTensor {
    if from.dtype() == DType::F32 {
        return from.clone();
    }
    fn all<E: Half>(from: &[E]) -> Vec<f32> {
        let mut to = vec![0.0; from.len()];
        let pieces = to.par_chunks_mut(GRAIN).zip(from.par_chunks(GRAIN));
        pieces.for_each(|(to, from)| E::widen(from, to));
        to
    }
    let numbers = match from.dtype() {
        DType::F16 => all(halves::<f16>(from)),
        _ => all(halves::<bf16>(from)),
    };
    tensor(numbers, from.layout().shape().clone())
}

/// An ordered tensor of `f32`, rounded to the nearest number of 16 bits where those are wanted.
pub(super) fn narrow(from: FlexTensor, dtype: DType) -> FlexTensor {
    if dtype == DType::F32 {
        return from;
    }
    fn all<E: Send>(from: &[f32], rounded: impl Fn(f32) -> E + Sync) -> Vec<E> {
        from.par_iter().with_min_len(GRAIN).map(|number| rounded(*number)).collect()
    }
    let bytes = match dtype {
        DType::F16 => Bytes::from_elems(all(elements(&from), f16::from_f32)),
        _ => Bytes::from_elems(all(elements(&from), bf16::from_f32)),
    };
    FlexTensor::new(bytes, Layout::contiguous(from.layout().shape().clone()), dtype)
}
