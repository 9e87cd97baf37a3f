//! Linear maps in 16 bits: numbers are widened, multiplied and added as `f32`, and the result is rounded once.
//!
//! What is kept for the gradients stays in 16 bits. Products of a few rows widen the matrix on the way; others cost so much
//! more than the widening that they take a copy.

use burn::tensor::{Bytes, DType, Tensor};
use burn_flex::{FlexTensor, Layout};
use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use rayon::prelude::*;

use super::bridge::{Fused, Operand, run};
use super::buffer::{GRAIN, elements, ordered, tensor};
use super::few::{FEW, Half, few_rows_of_halves};
use super::linear::{Linear, Saved, WeightLayout};
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

#[derive(Clone, Copy, Debug)]
struct Halves(Linear);

impl Halves {
    fn multiply(&self, x: &FlexTensor, weight: &FlexTensor) -> FlexTensor {
        let [batch, time, _] = x.layout().shape().dims();
        let wide = wide(x);
        let y = if self.0.layout == WeightLayout::OutIn && time == 1 && batch <= FEW {
            let [o, i] = weight.layout().shape().dims();
            let (x, dims) = (elements(&wide), [batch, i, o]);
            let y = match weight.dtype() {
                DType::F16 => few_rows_of_halves(x, halves::<f16>(weight), dims),
                _ => few_rows_of_halves(x, halves::<bf16>(weight), dims),
            };
            tensor(y, [batch, time, o])
        } else {
            self.0.multiply(&wide, &self::wide(weight))
        };
        narrow(&y, x.dtype())
    }
}

impl Fused<2> for Halves {
    type Saved = Saved;

    fn forward(&self, inputs: [FlexTensor; 2]) -> FlexTensor {
        let [x, weight] = inputs.map(ordered);
        self.multiply(&x, &weight)
    }

    fn forward_saving(&self, inputs: [FlexTensor; 2], wanted: [bool; 2]) -> (FlexTensor, Saved) {
        let [x, weight] = inputs.map(ordered);
        let output = self.multiply(&x, &weight);
        (output, Saved { x: wanted[1].then_some(x), weight: wanted[0].then_some(weight) })
    }

    fn backward(&self, saved: Saved, gradient: FlexTensor, wanted: [bool; 2]) -> [Option<FlexTensor>; 2] {
        let dtype = gradient.dtype();
        let widened = |kept: Option<FlexTensor>| kept.map(|kept| wide(&kept));
        let saved = Saved { x: widened(saved.x), weight: widened(saved.weight) };
        let gradients = self.0.backward(saved, wide(&ordered(gradient)), wanted);
        gradients.map(|gradient| gradient.map(|gradient| narrow(&gradient, dtype)))
    }
}

/// The numbers of an ordered tensor.
fn halves<E: burn::tensor::Element + bytemuck::Pod>(tensor: &FlexTensor) -> &[E] {
    tensor.as_slice().expect("a tensor in order, of this element type")
}

/// An ordered tensor in `f32`.
fn wide(from: &FlexTensor) -> FlexTensor {
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

/// An ordered tensor of `f32`, rounded to the nearest number of 16 bits.
fn narrow(from: &FlexTensor, dtype: DType) -> FlexTensor {
    fn all<E: Send>(from: &[f32], rounded: impl Fn(f32) -> E + Sync) -> Vec<E> {
        from.par_iter().with_min_len(GRAIN).map(|number| rounded(*number)).collect()
    }
    let bytes = match dtype {
        DType::F16 => Bytes::from_elems(all(elements(from), f16::from_f32)),
        _ => Bytes::from_elems(all(elements(from), bf16::from_f32)),
    };
    FlexTensor::new(bytes, Layout::contiguous(from.layout().shape().clone()), dtype)
}

/// `x · weightᵀ` or `x · weight` of two tensors that [`fit`](super::fits_halves).
pub fn linear_halves(x: Tensor<3>, weight: Tensor<2>, layout: WeightLayout) -> Tensor<3> {
    run(Halves(Linear { layout }), [Operand::new(x), Operand::new(weight)])
}
