//! Element-wise activations.

use burn::tensor::{DType, Tensor};
use burn_flex::FlexTensor;
use rayon::prelude::*;

use super::bridge::{Fused, Operand, run};
use super::buffer::{GRAIN, all_mut, elements, elements_mut, for_rows, ordered, tensor, writable};
use super::rows::map_halves;
use super::simd::{erf, exp, sigmoid, vectorised};

const SQRT_2_OVER_PI: f32 = 0.797_884_6;
const CUBIC: f32 = 0.044_715;

/// A function of one element with its derivative, both `#[inline(always)]`.
trait Curve: Copy + std::fmt::Debug + Send + Sync + 'static {
    fn value(x: f32) -> f32;
    fn slope(x: f32) -> f32;
}

#[derive(Clone, Copy, Debug)]
struct Silu;

impl Curve for Silu {
    #[inline(always)]
    fn value(x: f32) -> f32 {
        x * sigmoid(x)
    }

    #[inline(always)]
    fn slope(x: f32) -> f32 {
        let s = sigmoid(x);
        s * (1.0 - s).mul_add(x, 1.0)
    }
}

/// `½(1 + tanh u)` is `sigmoid(2u)`.
#[derive(Clone, Copy, Debug)]
struct GeluTanh;

impl Curve for GeluTanh {
    #[inline(always)]
    fn value(x: f32) -> f32 {
        let u = SQRT_2_OVER_PI * (CUBIC * x * x).mul_add(x, x);
        x * sigmoid(2.0 * u)
    }

    #[inline(always)]
    fn slope(x: f32) -> f32 {
        let u = SQRT_2_OVER_PI * (CUBIC * x * x).mul_add(x, x);
        let du = SQRT_2_OVER_PI * (3.0 * CUBIC * x).mul_add(x, 1.0);
        let s = sigmoid(2.0 * u);
        s * (2.0 * x * (1.0 - s)).mul_add(du, 1.0)
    }
}

#[derive(Clone, Copy, Debug)]
struct GeluErf;

impl GeluErf {
    /// The normal distribution function.
    #[inline(always)]
    fn phi(x: f32) -> f32 {
        0.5 * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2))
    }
}

impl Curve for GeluErf {
    #[inline(always)]
    fn value(x: f32) -> f32 {
        x * Self::phi(x)
    }

    #[inline(always)]
    fn slope(x: f32) -> f32 {
        const INV_SQRT_2PI: f32 = 0.398_942_3;
        (x * INV_SQRT_2PI).mul_add(exp(-0.5 * x * x), Self::phi(x))
    }
}

/// `y = f(x)` into new memory.
fn curve<C: Curve>(x: &FlexTensor) -> FlexTensor {
    let values = |x: &[f32], out: &mut [f32]| {
        vectorised(
            #[inline(always)]
            || {
                for (y, x) in out.iter_mut().zip(x) {
                    *y = C::value(*x);
                }
            },
        );
    };
    if x.dtype() != DType::F32 {
        let [y] = map_halves([x], |[x], [y]| values(x, y));
        return y;
    }
    let input = elements(x);
    let mut out = vec![0.0; input.len()];
    for_rows(&mut out, 1, |first, out| values(&input[first..], out));
    tensor(out, x.layout().shape().clone())
}

/// Times the slopes at `x`.
fn slopes<C: Curve>(d: &mut [f32], x: &[f32]) {
    vectorised(
        #[inline(always)]
        || {
            for (d, x) in d.iter_mut().zip(x) {
                *d *= C::slope(*x);
            }
        },
    );
}

impl<C: Curve> Fused<1> for C {
    /// The input.
    type Saved = FlexTensor;

    fn forward(&self, [x]: [FlexTensor; 1]) -> FlexTensor {
        let mut x = ordered(x);
        let Some(values) = elements_of_f32(&mut x) else {
            return curve::<C>(&x);
        };
        for_rows(values, 1, |_, values| {
            vectorised(
                #[inline(always)]
                || {
                    for x in values.iter_mut() {
                        *x = C::value(*x);
                    }
                },
            );
        });
        x
    }

    fn forward_saving(&self, [x]: [FlexTensor; 1], _wanted: [bool; 1]) -> (FlexTensor, FlexTensor) {
        let x = ordered(x);
        (curve::<C>(&x), x)
    }

    fn backward(&self, x: FlexTensor, gradient: FlexTensor, _wanted: [bool; 1]) -> [Option<FlexTensor>; 1] {
        if x.dtype() != DType::F32 {
            let gradients = map_halves([&x, &ordered(gradient)], |[x, gradient], [d]| {
                d.copy_from_slice(gradient);
                slopes::<C>(d, x);
            });
            return gradients.map(Some);
        }
        let mut gradient = writable(gradient);
        let input = elements(&x);
        for_rows(all_mut(&mut gradient), 1, |first, out| slopes::<C>(out, &input[first..]));
        [Some(gradient)]
    }
}

/// `silu(gate) · up`.
#[derive(Clone, Debug)]
struct SiluMul;

impl Fused<2> for SiluMul {
    /// The inputs.
    type Saved = [FlexTensor; 2];

    fn forward(&self, [gate, up]: [FlexTensor; 2]) -> FlexTensor {
        let (mut gate, up) = (ordered(gate), ordered(up));
        let Some(values) = elements_of_f32(&mut gate) else {
            return silu_times(&gate, &up);
        };
        let up = elements(&up);
        for_rows(values, 1, |first, values| {
            vectorised(
                #[inline(always)]
                || {
                    for (gate, up) in values.iter_mut().zip(&up[first..]) {
                        *gate = Silu::value(*gate) * up;
                    }
                },
            );
        });
        gate
    }

    fn forward_saving(&self, inputs: [FlexTensor; 2], _wanted: [bool; 2]) -> (FlexTensor, [FlexTensor; 2]) {
        let inputs = inputs.map(ordered);
        (silu_times(&inputs[0], &inputs[1]), inputs)
    }

    fn backward(
        &self,
        [gate, up]: [FlexTensor; 2],
        gradient: FlexTensor,
        _wanted: [bool; 2],
    ) -> [Option<FlexTensor>; 2] {
        if gate.dtype() != DType::F32 {
            let gradients =
                map_halves([&gate, &up, &ordered(gradient)], |[gate, up, gradient], [d_gate, d_up]| {
                    d_gate.copy_from_slice(gradient);
                    vectorised(
                        #[inline(always)]
                        || silu_mul_gradient(d_gate, d_up, gate, up),
                    );
                });
            return gradients.map(Some);
        }
        // The gradient's memory becomes that of the gate.
        let mut d_gate = writable(gradient);
        let (gates, ups) = (elements(&gate), elements(&up));
        let mut d_up = vec![0.0; gates.len()];
        let outputs = all_mut(&mut d_gate).par_chunks_mut(GRAIN).zip(d_up.par_chunks_mut(GRAIN));
        outputs.enumerate().for_each(|(task, (d_gate, d_up))| {
            let at = task * GRAIN;
            vectorised(
                #[inline(always)]
                || silu_mul_gradient(d_gate, d_up, &gates[at..], &ups[at..]),
            );
        });
        let d_up = tensor(d_up, gate.layout().shape().clone());
        [Some(d_gate), Some(d_up)]
    }
}

/// `silu(gate) · up` into new memory.
fn silu_times(gate: &FlexTensor, up: &FlexTensor) -> FlexTensor {
    let products = |gates: &[f32], ups: &[f32], out: &mut [f32]| {
        vectorised(
            #[inline(always)]
            || {
                for (y, (gate, up)) in out.iter_mut().zip(gates.iter().zip(ups)) {
                    *y = Silu::value(*gate) * up;
                }
            },
        );
    };
    if gate.dtype() != DType::F32 {
        let [y] = map_halves([gate, up], |[gate, up], [y]| products(gate, up, y));
        return y;
    }
    let (gates, ups) = (elements(gate), elements(up));
    let mut out = vec![0.0; gates.len()];
    for_rows(&mut out, 1, |first, out| products(&gates[first..], &ups[first..], out));
    tensor(out, gate.layout().shape().clone())
}

/// The elements for overwriting, if they are `f32` and nobody else holds them.
fn elements_of_f32(tensor: &mut FlexTensor) -> Option<&mut [f32]> {
    (tensor.dtype() == DType::F32).then(|| elements_mut(tensor)).flatten()
}

/// `d_gate` comes as the gradient of the product.
#[inline(always)]
fn silu_mul_gradient(d_gate: &mut [f32], d_up: &mut [f32], gates: &[f32], ups: &[f32]) {
    let outputs = d_gate.iter_mut().zip(d_up);
    for ((d_gate, d_up), (x, up)) in outputs.zip(gates.iter().zip(ups)) {
        let s = sigmoid(*x);
        *d_up = *d_gate * x * s;
        *d_gate *= up * s * (1.0 - s).mul_add(*x, 1.0);
    }
}

/// See [`super::super::compose::silu`].
pub fn silu(x: Tensor<3>) -> Tensor<3> {
    run(Silu, [Operand::new(x)])
}

/// See [`super::super::compose::gelu_tanh`].
pub fn gelu_tanh(x: Tensor<3>) -> Tensor<3> {
    run(GeluTanh, [Operand::new(x)])
}

/// See [`super::super::compose::gelu_erf`].
pub fn gelu_erf(x: Tensor<3>) -> Tensor<3> {
    run(GeluErf, [Operand::new(x)])
}

/// See [`super::super::compose::silu_mul`].
pub fn silu_mul(gate: Tensor<3>, up: Tensor<3>) -> Tensor<3> {
    run(SiluMul, [Operand::new(gate), Operand::new(up)])
}
