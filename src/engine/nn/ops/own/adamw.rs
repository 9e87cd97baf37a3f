//! An update of AdamW in one launch for each parameter, in place of parameter and moments.

use burn::tensor::{DType, Device, Tensor};

use super::super::{AdamWArgs, compose};
use super::{Own, Path, Scale, Work, cube, fits, pattern};

pub struct AdamW;

pub const KERNEL: AdamW = AdamW;

impl Own for AdamW {
    fn name(&self) -> &'static str {
        "adamw"
    }

    /// What learns is kept in `f32`, its gradients and moments too.
    fn runs_in(&self, _: DType) -> DType {
        DType::F32
    }

    fn work(&self, scale: Scale, device: &Device, _: DType) -> Work {
        let lengths = match scale {
            // As many as are read by fours, and such that cannot be.
            Scale::Trial => vec![1340, 67],
            Scale::Real => vec![4096 * 4096],
        };
        let inputs: Vec<_> = lengths.into_iter().map(|length| Input::new(length, device)).collect();
        Box::new(move |path| inputs.iter().flat_map(|input| input.results(path, scale)).collect())
    }
}

struct Input {
    /// Parameter, gradient, moments.
    tensors: [Tensor<1>; 4],
    scale: Tensor<1>,
}

impl Input {
    fn new(length: usize, device: &Device) -> Self {
        let of = |seed| pattern([length], seed, device, DType::F32);
        let tensors = [of(0.1), of(0.3), of(0.5) * 0.1, of(0.7).square()];
        Self { tensors, scale: Tensor::from_data([0.75_f32], (device, DType::F32)) }
    }

    /// Numbers that each leave their mark on the result.
    fn args(&self, step: u32) -> AdamWArgs {
        let grad_scale = self.scale.clone();
        AdamWArgs { lr: 0.3, beta1: 0.8, beta2: 0.95, eps: 0.05, weight_decay: 0.2, step, grad_scale }
    }

    fn results(&self, path: Path, scale: Scale) -> Vec<Tensor<1>> {
        let update = |[param, gradient, m, v]: [Tensor<1>; 4], step: u32| {
            let made = match path {
                Path::Kernel => kernel(param, gradient, m, v, self.args(step)),
                Path::Twin => compose::adamw(param, gradient, m, v, self.args(step)),
            };
            [made.0, made.1, made.2]
        };
        let mut results = Vec::from(update(self.tensors.clone(), 1));
        if scale == Scale::Trial {
            // Memory that nobody else holds is overwritten, that of others is not.
            results.extend(update(self.tensors.clone().map(|tensor| tensor * 0.5), 7));
            results.extend(self.tensors.clone());
        }
        results
    }
}

fn kernel(
    param: Tensor<1>,
    gradient: Tensor<1>,
    m: Tensor<1>,
    v: Tensor<1>,
    args: AdamWArgs,
) -> (Tensor<1>, Tensor<1>, Tensor<1>) {
    let factors = args.factors();
    cube::adamw([param, m, v], gradient, args.grad_scale, factors)
}

/// See [`compose::adamw`]. The kernel overwrites `param`, `m`, `v` where nobody else holds them.
pub fn adamw(
    param: Tensor<1>,
    grad: Tensor<1>,
    m: Tensor<1>,
    v: Tensor<1>,
    args: AdamWArgs,
) -> (Tensor<1>, Tensor<1>, Tensor<1>) {
    if fits(&KERNEL, &[&param]) {
        kernel(param, compose::f32(grad), m, v, args)
    } else {
        compose::adamw(param, grad, m, v, args)
    }
}
