//! Activations. Slopes are in `f32`.

use burn::tensor::Tensor;
use burn::tensor::activation::sigmoid;

use super::super::compose::{self, f32};
use super::super::own;
use super::{Formula, run};

/// Which one.
#[derive(Clone, Copy, Debug)]
enum Activation {
    Silu,
    GeluTanh,
    GeluErf,
}

impl Activation {
    fn of(self, x: Tensor<3>) -> Tensor<3> {
        match self {
            Self::Silu => compose::silu(x),
            Self::GeluTanh => compose::gelu_tanh(x),
            Self::GeluErf => compose::gelu_erf(x),
        }
    }

    /// The derivative, of and in `f32`.
    fn slope(self, x: Tensor<3>) -> Tensor<3> {
        match self {
            Self::Silu => {
                let s = sigmoid(x.clone());
                s.clone() * (x * (1.0 - s) + 1.0)
            }
            Self::GeluTanh => {
                let root = (2.0 / std::f64::consts::PI).sqrt();
                let square = x.clone().square() * 0.044_715;
                let t = (x.clone() * (square.clone() + 1.0) * root).tanh();
                let bend = (1.0 - t.clone().square()) * (square * 3.0 + 1.0) * root;
                (t + 1.0 + x * bend) * 0.5
            }
            Self::GeluErf => {
                let density = (x.clone().square() * -0.5).exp() * (0.5 / std::f64::consts::PI).sqrt();
                let phi = ((x.clone() * std::f64::consts::FRAC_1_SQRT_2).erf() + 1.0) * 0.5;
                phi + x * density
            }
        }
    }
}

impl Formula<1, 3> for Activation {
    fn value(&self, [x]: [Tensor<3>; 1]) -> Tensor<3> {
        self.of(x)
    }

    fn gradients(
        &self,
        [x]: [Tensor<3>; 1],
        gradient: Tensor<3>,
        _wanted: [bool; 1],
    ) -> [Option<Tensor<3>>; 1] {
        let dtype = x.dtype();
        [Some((self.slope(f32(x)) * f32(gradient)).cast(dtype))]
    }
}

/// See [`compose::silu`].
pub fn silu(x: Tensor<3>) -> Tensor<3> {
    run(Activation::Silu, [x])
}

/// See [`compose::gelu_tanh`].
pub fn gelu_tanh(x: Tensor<3>) -> Tensor<3> {
    run(Activation::GeluTanh, [x])
}

/// See [`compose::gelu_erf`].
pub fn gelu_erf(x: Tensor<3>) -> Tensor<3> {
    run(Activation::GeluErf, [x])
}

#[derive(Clone, Debug)]
struct SiluMul;

impl Formula<2, 3> for SiluMul {
    fn value(&self, [gate, up]: [Tensor<3>; 2]) -> Tensor<3> {
        if own::swiglu_fits(&[&gate, &up]) { own::swiglu(gate, up) } else { compose::silu_mul(gate, up) }
    }

    fn gradients(
        &self,
        [gate, up]: [Tensor<3>; 2],
        gradient: Tensor<3>,
        wanted: [bool; 2],
    ) -> [Option<Tensor<3>>; 2] {
        if own::swiglu_fits(&[&gate, &up, &gradient]) {
            own::swiglu_gradients(gate, up, gradient).map(Some)
        } else {
            composed_swiglu_gradients(gate, up, gradient, wanted)
        }
    }
}

/// The gradients of gate and up that are wanted, from that of [`compose::silu_mul`].
pub fn composed_swiglu_gradients(
    gate: Tensor<3>,
    up: Tensor<3>,
    gradient: Tensor<3>,
    wanted: [bool; 2],
) -> [Option<Tensor<3>>; 2] {
    let dtype = gate.dtype();
    let d_up = wanted[1].then(|| gradient.clone() * compose::silu(gate.clone()));
    let d_gate = wanted[0].then(|| {
        let outer = f32(gradient) * f32(up);
        (outer * Activation::Silu.slope(f32(gate))).cast(dtype)
    });
    [d_gate, d_up]
}

/// See [`compose::silu_mul`].
pub fn silu_mul(gate: Tensor<3>, up: Tensor<3>) -> Tensor<3> {
    run(SiluMul, [gate, up])
}
