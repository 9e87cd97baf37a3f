//! `silu(gate) · up`, and backwards the gradients of gate and up in place of them.

use burn::tensor::{DType, Device, Tensor};

use super::super::{compose, formula};
use super::{Own, Path, Scale, Work, cube, flat, pattern};

pub struct Swiglu;

pub const KERNEL: Swiglu = Swiglu;

impl Own for Swiglu {
    fn name(&self) -> &'static str {
        "swiglu"
    }

    fn work(&self, scale: Scale, device: &Device, dtype: DType) -> Work {
        let shapes = match scale {
            // As many as are read by fours, and such that cannot be.
            Scale::Trial => vec![[2, 3, 172], [1, 3, 67]],
            Scale::Real => vec![[2, 2048, 14_336]],
        };
        let input = |shape| {
            let of = |seed| pattern(shape, seed, device, dtype);
            [of(0.1) * 8.0, of(0.4), of(0.7)]
        };
        let inputs: Vec<[Tensor<3>; 3]> = shapes.into_iter().map(input).collect();
        Box::new(move |path| inputs.iter().flat_map(|input| results(input, path, scale)).collect())
    }
}

fn results([gate, up, gradient]: &[Tensor<3>; 3], path: Path, scale: Scale) -> Vec<Tensor<1>> {
    let backwards = |gate: Tensor<3>, up: Tensor<3>| match path {
        Path::Kernel => cube::swiglu_gradients(gate, up, gradient.clone()).map(Some),
        Path::Twin => formula::composed_swiglu_gradients(gate, up, gradient.clone(), [true; 2]),
    };
    let (x, u) = (gate.clone(), up.clone());
    let product = match path {
        Path::Kernel => cube::swiglu(x, u),
        Path::Twin => compose::silu_mul(x, u),
    };
    let mut results = vec![product];
    results.extend(backwards(gate.clone(), up.clone()).into_iter().flatten());
    if scale == Scale::Trial {
        // Memory that nobody else holds is overwritten, that of others is not.
        results.extend(backwards(gate.clone() * 0.5, up.clone() * 2.0).into_iter().flatten());
        results.extend([gate.clone(), up.clone(), gradient.clone()]);
    }
    results.into_iter().map(flat).collect()
}

/// Whether the kernels serve gate, up and, backwards, the gradient; all are of one shape.
pub fn fits(operands: &[&Tensor<3>]) -> bool {
    super::fits(&KERNEL, operands)
}

/// See [`compose::silu_mul`]; of operands that [`fits`] has accepted.
pub fn swiglu(gate: Tensor<3>, up: Tensor<3>) -> Tensor<3> {
    cube::swiglu(gate, up)
}

/// The gradients of gate and up, from these and that of the product, which [`fits`] has accepted. They take the memory of
/// gate and up if nobody else holds it.
pub fn gradients(gate: Tensor<3>, up: Tensor<3>, gradient: Tensor<3>) -> [Tensor<3>; 2] {
    cube::swiglu_gradients(gate, up, gradient)
}
