//! The optimizer's update, and the sum of squares for the gradient's norm.

use burn::tensor::Tensor;
use burn_flex::Flex;
use rayon::prelude::*;

use super::super::{AdamWArgs, Factors, Moments};
use super::bridge::primitive;
use super::buffer::{GRAIN, all_mut, elements, ordered, tensor, writable};
use super::simd::{dot, vectorised};

/// See [`super::super::compose::adamw`]. Overwrites `param`, `m`, `v` where nobody else holds them.
///
/// # Panics
/// If the lengths differ.
pub fn adamw(Moments { param, gradient, m, v }: Moments, args: &AdamWArgs) -> [Tensor<1>; 3] {
    let length = param.dims()[0];
    assert!(
        [&gradient, &m, &v].iter().all(|tensor| tensor.dims()[0] == length),
        "adamw: {length} parameters, {} gradients, moments {} and {}",
        gradient.dims()[0],
        m.dims()[0],
        v.dims()[0],
    );
    let update = Update::new(args);
    let grad = ordered(primitive(gradient.inner()));
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
    [param, m, v].map(Tensor::from_primitive::<Flex>)
}

/// One update, with the factor on the gradient.
struct Update {
    scale: f32,
    factors: Factors,
}

impl Update {
    fn new(args: &AdamWArgs) -> Self {
        let scale = ordered(primitive(args.grad_scale.clone().inner()));
        Self { scale: elements(&scale)[0], factors: args.factors() }
    }

    #[inline(always)]
    fn apply(&self, param: &mut [f32], grad: &[f32], m: &mut [f32], v: &mut [f32]) {
        let Factors { beta1, beta2, rest1, rest2, keep, step, root, eps } = self.factors;
        for (((p, g), m), v) in param.iter_mut().zip(grad).zip(m).zip(v) {
            let g = g * self.scale;
            *m = *m * beta1 + g * rest1;
            *v = *v * beta2 + g * g * rest2;
            let denominator = v.sqrt() / root + eps;
            *p = *p * keep - step * (*m / denominator);
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
