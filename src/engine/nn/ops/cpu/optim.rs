//! The optimizer's update, and the sum of squares for the gradient's norm.

use burn::tensor::Tensor;
use burn_flex::Flex;
use rayon::prelude::*;

use super::super::AdamWArgs;
use super::bridge::primitive;
use super::buffer::{GRAIN, all_mut, elements, ordered, tensor, writable};
use super::simd::{dot, vectorised};

/// See [`super::super::compose::adamw`]. Overwrites `param`, `m`, `v` where nobody else holds them.
///
/// # Panics
/// If the lengths differ.
pub fn adamw(
    param: Tensor<1>,
    grad: Tensor<1>,
    m: Tensor<1>,
    v: Tensor<1>,
    args: AdamWArgs,
) -> (Tensor<1>, Tensor<1>, Tensor<1>) {
    let length = param.dims()[0];
    assert!(
        [&grad, &m, &v].iter().all(|tensor| tensor.dims()[0] == length),
        "adamw: {length} parameters, {} gradients, moments {} and {}",
        grad.dims()[0],
        m.dims()[0],
        v.dims()[0],
    );
    let update = Update::new(&args);
    let grad = ordered(primitive(grad.inner()));
    let grad = elements(&grad);
    let [mut param, mut m, mut v] = [param, m, v].map(|x| writable(primitive(x.inner())));
    let tasks = all_mut(&mut param)
        .par_chunks_mut(GRAIN)
        .zip(all_mut(&mut m).par_chunks_mut(GRAIN))
        .zip(all_mut(&mut v).par_chunks_mut(GRAIN))
        .zip(grad.par_chunks(GRAIN));
    tasks.for_each(|(((param, m), v), grad)| {
        vectorised(
            #[inline(always)]
            || update.apply(param, grad, m, v),
        );
    });
    let [param, m, v] = [param, m, v].map(Tensor::from_primitive::<Flex>);
    (param, m, v)
}

/// The factors of one update, rounded once.
struct Update {
    scale: f32,
    beta1: f32,
    beta2: f32,
    rest1: f32,
    rest2: f32,
    keep: f32,
    step: f32,
    root: f32,
    eps: f32,
}

impl Update {
    fn new(args: &AdamWArgs) -> Self {
        let scale = ordered(primitive(args.grad_scale.clone().inner()));
        let (step, root) = args.corrections();
        Self {
            scale: elements(&scale)[0],
            beta1: args.beta1 as f32,
            beta2: args.beta2 as f32,
            rest1: (1.0 - args.beta1) as f32,
            rest2: (1.0 - args.beta2) as f32,
            keep: (1.0 - args.lr * args.weight_decay) as f32,
            step: step as f32,
            root: root as f32,
            eps: args.eps as f32,
        }
    }

    #[inline(always)]
    fn apply(&self, param: &mut [f32], grad: &[f32], m: &mut [f32], v: &mut [f32]) {
        for (((p, g), m), v) in param.iter_mut().zip(grad).zip(m).zip(v) {
            let g = g * self.scale;
            *m = *m * self.beta1 + g * self.rest1;
            *v = *v * self.beta2 + g * g * self.rest2;
            let denominator = v.sqrt() / self.root + self.eps;
            *p = *p * self.keep - self.step * (*m / denominator);
        }
    }
}

/// See [`super::super::compose::sum_of_squares`]. Partial sums in `f32` lanes, the total in `f64`.
pub fn sum_of_squares(x: Tensor<1>) -> Tensor<1> {
    /// Short, so that a partial sum loses no digits that matter.
    const BLOCK: usize = 4096;
    let x = ordered(primitive(x.inner()));
    let blocks: Vec<f64> = elements(&x)
        .par_chunks(BLOCK)
        .with_min_len(GRAIN / BLOCK)
        .map(|block| {
            f64::from(vectorised(
                #[inline(always)]
                || dot(block, block),
            ))
        })
        .collect();
    let total = blocks.iter().sum::<f64>() as f32;
    Tensor::from_primitive::<Flex>(tensor(vec![total], [1]))
}
