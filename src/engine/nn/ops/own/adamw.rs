//! An update of AdamW in one launch for several parameters, in place of parameter and moments.

use burn::tensor::{DType, Device, Tensor};

use super::super::{AdamWArgs, Moments, compose};
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
        let groups = match scale {
            // One and several, as many as are read by fours, and such that cannot be.
            Scale::Trial => vec![vec![1340], vec![67], vec![64, 4, 1340, 8, 256, 12, 128, 20], vec![5; 7]],
            // A large matrix, and the factors of LoRA in a block.
            Scale::Real => vec![vec![4096 * 4096], vec![16 * 4096; 14]],
        };
        let groups: Vec<Vec<Input>> = groups
            .into_iter()
            .map(|lengths| lengths.into_iter().map(|length| Input::new(length, device)).collect())
            .collect();
        let factor = Tensor::from_data([0.75_f32], (device, DType::F32));
        Box::new(move |path| groups.iter().flat_map(|group| results(group, &factor, path, scale)).collect())
    }
}

/// Parameter, gradient, moments.
struct Input([Tensor<1>; 4]);

impl Input {
    fn new(length: usize, device: &Device) -> Self {
        let of = |seed| pattern([length], seed, device, DType::F32);
        Self([of(0.1), of(0.3), of(0.5) * 0.1, of(0.7).square()])
    }

    /// With memory of its own, if it is scaled.
    fn moments(&self, by: Option<f64>) -> Moments {
        let [param, gradient, m, v] = self.0.clone().map(|tensor| match by {
            Some(by) => tensor * by,
            None => tensor,
        });
        Moments { param, gradient, m, v }
    }
}

fn results(group: &[Input], factor: &Tensor<1>, path: Path, scale: Scale) -> Vec<Tensor<1>> {
    let update = |by: Option<f64>, step: u32| {
        let tensors = group.iter().map(|input| input.moments(by)).collect();
        let made = match path {
            Path::Kernel => kernel(tensors, &args(factor, step)),
            Path::Twin => composed(tensors, &args(factor, step)),
        };
        made.into_iter().flatten()
    };
    let mut results: Vec<_> = update(None, 1).collect();
    if scale == Scale::Trial {
        // Memory that nobody else holds is overwritten, that of others is not.
        results.extend(update(Some(0.5), 7));
        results.extend(group.iter().flat_map(|input| input.0.clone()));
    }
    results
}

/// Numbers that each leave their mark on the result.
fn args(factor: &Tensor<1>, step: u32) -> AdamWArgs {
    let grad_scale = factor.clone();
    AdamWArgs { lr: 0.3, beta1: 0.8, beta2: 0.95, eps: 0.05, weight_decay: 0.2, step, grad_scale }
}

fn kernel(tensors: Vec<Moments>, args: &AdamWArgs) -> Vec<[Tensor<1>; 3]> {
    let wide = |moments: Moments| Moments { gradient: compose::f32(moments.gradient), ..moments };
    cube::adamw(tensors.into_iter().map(wide).collect(), &args.grad_scale, args.factors())
}

fn composed(tensors: Vec<Moments>, args: &AdamWArgs) -> Vec<[Tensor<1>; 3]> {
    tensors.into_iter().map(|moments| compose::adamw(moments, args)).collect()
}

/// See [`compose::adamw`]. The kernel overwrites what nobody else holds of parameters and moments.
pub fn adamw(tensors: Vec<Moments>, args: &AdamWArgs) -> Vec<[Tensor<1>; 3]> {
    let params: Vec<_> = tensors.iter().map(|moments| &moments.param).collect();
    if fits(&KERNEL, &params) { kernel(tensors, args) } else { composed(tensors, args) }
}
