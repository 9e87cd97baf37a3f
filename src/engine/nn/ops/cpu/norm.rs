//! Root-mean-square norm and layer norm over the last axis.

use burn::tensor::Tensor;
use burn_flex::FlexTensor;
use rayon::prelude::*;

use super::bridge::{Fused, Operand};
use super::buffer::{elements, for_rows, ordered, rows_per_task, tensor};
use super::rounded::{Rounds, run_rounded};
use super::simd::{dot, dot3, sum, vectorised};

#[derive(Clone, Debug)]
struct RmsNorm {
    eps: f64,
}

impl RmsNorm {
    /// `1 / √(mean(x²) + eps)`.
    #[inline(always)]
    fn scale(&self, row: &[f32]) -> f32 {
        1.0 / (dot(row, row) / row.len() as f32 + self.eps as f32).sqrt()
    }
}

impl Fused<2> for RmsNorm {
    /// The inputs.
    type Saved = [FlexTensor; 2];

    fn forward(&self, inputs: [FlexTensor; 2]) -> FlexTensor {
        self.forward_saving(inputs, [false; 2]).0
    }

    fn forward_saving(&self, inputs: [FlexTensor; 2], _wanted: [bool; 2]) -> (FlexTensor, [FlexTensor; 2]) {
        let [x, weight] = inputs.map(ordered);
        let (input, w) = (elements(&x), elements(&weight));
        let mut out = vec![0.0; input.len()];
        for_rows(&mut out, w.len(), |first, out| {
            let input = &input[first * w.len()..];
            vectorised(
                #[inline(always)]
                || {
                    for (y, x) in out.chunks_exact_mut(w.len()).zip(input.chunks_exact(w.len())) {
                        let scale = self.scale(x);
                        for ((y, x), w) in y.iter_mut().zip(x).zip(w) {
                            *y = x * scale * w;
                        }
                    }
                },
            );
        });
        (tensor(out, x.layout().shape().clone()), [x, weight])
    }

    fn backward(
        &self,
        [x, weight]: [FlexTensor; 2],
        gradient: FlexTensor,
        wanted: [bool; 2],
    ) -> [Option<FlexTensor>; 2] {
        let gradient = ordered(gradient);
        let (input, w, g) = (elements(&x), elements(&weight), elements(&gradient));
        let mut dx = vec![0.0; input.len()];
        let dw = by_rows(
            &mut dx,
            w.len(),
            1,
            #[inline(always)]
            |first, dx, dw| {
                let rows = dx.chunks_exact_mut(w.len()).zip(input[first..].chunks_exact(w.len()));
                for ((dx, x), g) in rows.zip(g[first..].chunks_exact(w.len())) {
                    self.row_gradient((dx, dw), (x, w, g), wanted[1]);
                }
            },
        );
        let dw = wanted[1].then(|| tensor(dw, [w.len()]));
        [Some(tensor(dx, x.layout().shape().clone())), dw]
    }
}

impl Rounds<2> for RmsNorm {
    fn kept([x, _]: &mut [FlexTensor; 2]) -> Vec<&mut FlexTensor> {
        vec![x]
    }
}

impl RmsNorm {
    /// `dx = s·(g·w) − x·s³/C·Σ(g·w·x)`, `dw += g·x·s`.
    #[inline(always)]
    fn row_gradient(
        &self,
        (dx, dw): (&mut [f32], &mut [f32]),
        (x, w, g): (&[f32], &[f32], &[f32]),
        weight_wanted: bool,
    ) {
        let s = self.scale(x);
        let pull = dot3(g, w, x) * s * s * s / x.len() as f32;
        for (((dx, x), w), g) in dx.iter_mut().zip(x).zip(w).zip(g) {
            *dx = (g * w).mul_add(s, -x * pull);
        }
        if weight_wanted {
            for ((dw, x), g) in dw.iter_mut().zip(x).zip(g) {
                *dw = (x * s).mul_add(*g, *dw);
            }
        }
    }
}

#[derive(Clone, Debug)]
struct LayerNorm {
    eps: f64,
}

impl LayerNorm {
    /// Mean, and `1 / √(variance + eps)`.
    #[inline(always)]
    fn statistics(&self, row: &[f32]) -> (f32, f32) {
        let n = row.len() as f32;
        let mean = sum(row) / n;
        // From the deviations: the difference of moments loses digits where the mean is large.
        let variance = deviation_squares(row, mean) / n;
        (mean, 1.0 / (variance + self.eps as f32).sqrt())
    }
}

#[inline(always)]
fn deviation_squares(row: &[f32], mean: f32) -> f32 {
    const BLOCK: usize = 64;
    let mut total = 0.0;
    let mut deviations = [0.0; BLOCK];
    for block in row.chunks(BLOCK) {
        let deviations = &mut deviations[..block.len()];
        for (d, x) in deviations.iter_mut().zip(block) {
            *d = x - mean;
        }
        total += dot(deviations, deviations);
    }
    total
}

impl Fused<3> for LayerNorm {
    /// Input and gain.
    type Saved = [FlexTensor; 2];

    fn forward(&self, inputs: [FlexTensor; 3]) -> FlexTensor {
        self.forward_saving(inputs, [false; 3]).0
    }

    fn forward_saving(&self, inputs: [FlexTensor; 3], _wanted: [bool; 3]) -> (FlexTensor, [FlexTensor; 2]) {
        let [x, weight, bias] = inputs.map(ordered);
        let (input, w, b) = (elements(&x), elements(&weight), elements(&bias));
        let mut out = vec![0.0; input.len()];
        for_rows(&mut out, w.len(), |first, out| {
            let input = &input[first * w.len()..];
            vectorised(
                #[inline(always)]
                || {
                    for (y, x) in out.chunks_exact_mut(w.len()).zip(input.chunks_exact(w.len())) {
                        let (mean, scale) = self.statistics(x);
                        for (((y, x), w), b) in y.iter_mut().zip(x).zip(w).zip(b) {
                            *y = ((x - mean) * scale).mul_add(*w, *b);
                        }
                    }
                },
            );
        });
        (tensor(out, x.layout().shape().clone()), [x, weight])
    }

    fn backward(
        &self,
        [x, weight]: [FlexTensor; 2],
        gradient: FlexTensor,
        wanted: [bool; 3],
    ) -> [Option<FlexTensor>; 3] {
        let gradient = ordered(gradient);
        let (input, w, g) = (elements(&x), elements(&weight), elements(&gradient));
        let mut dx = vec![0.0; input.len()];
        let mut parameters = by_rows(
            &mut dx,
            w.len(),
            2,
            #[inline(always)]
            |first, dx, parameters| {
                let (dw, db) = parameters.split_at_mut(w.len());
                let rows = dx.chunks_exact_mut(w.len()).zip(input[first..].chunks_exact(w.len()));
                for ((dx, x), g) in rows.zip(g[first..].chunks_exact(w.len())) {
                    self.row_gradient((dx, dw, db), (x, w, g), wanted[1] || wanted[2]);
                }
            },
        );
        let db = parameters.split_off(w.len());
        [
            Some(tensor(dx, x.layout().shape().clone())),
            wanted[1].then(|| tensor(parameters, [w.len()])),
            wanted[2].then(|| tensor(db, [w.len()])),
        ]
    }
}

impl Rounds<3> for LayerNorm {
    fn kept([x, _]: &mut [FlexTensor; 2]) -> Vec<&mut FlexTensor> {
        vec![x]
    }
}

impl LayerNorm {
    /// With `n = (x − mean)·s`: `dx = s·(gw − mean(gw) − n·mean(gw·n))`, `dw += g·n`, `db += g`.
    #[inline(always)]
    fn row_gradient(
        &self,
        (dx, dw, db): (&mut [f32], &mut [f32], &mut [f32]),
        (x, w, g): (&[f32], &[f32], &[f32]),
        parameters_wanted: bool,
    ) {
        let (mean, s) = self.statistics(x);
        let n = x.len() as f32;
        for (normal, x) in dx.iter_mut().zip(x) {
            *normal = (x - mean) * s;
        }
        if parameters_wanted {
            for (((dw, db), normal), g) in dw.iter_mut().zip(db).zip(&*dx).zip(g) {
                *dw = normal.mul_add(*g, *dw);
                *db += g;
            }
        }
        let push = dot(g, w) / n;
        let pull = dot3(g, w, dx) / n;
        for ((dx, w), g) in dx.iter_mut().zip(w).zip(g) {
            *dx = s * (g * w - push - *dx * pull);
        }
    }
}

/// Calls `work(first_element, rows, sums)` for pieces of `out` on all threads, where `sums` has
/// `vectors` times `width` elements of the piece's own; gives the total of them, added in order.
fn by_rows(
    out: &mut [f32],
    width: usize,
    vectors: usize,
    work: impl Fn(usize, &mut [f32], &mut [f32]) + Sync,
) -> Vec<f32> {
    let mut total = vec![0.0; width * vectors];
    if width == 0 {
        return total;
    }
    let piece = rows_per_task(width) * width;
    let parts: Vec<Vec<f32>> = out
        .par_chunks_mut(piece)
        .enumerate()
        .map(|(task, out)| {
            let mut sums = vec![0.0; width * vectors];
            vectorised(
                #[inline(always)]
                || work(task * piece, out, &mut sums),
            );
            sums
        })
        .collect();
    for part in parts {
        total.iter_mut().zip(part).for_each(|(total, part)| *total += part);
    }
    total
}

/// See [`super::super::compose::rms_norm`].
pub fn rms_norm(x: Tensor<3>, weight: Tensor<1>, eps: f64) -> Tensor<3> {
    run_rounded(RmsNorm { eps }, [Operand::new(x), Operand::new(weight)])
}

/// See [`super::super::compose::layer_norm`].
pub fn layer_norm(x: Tensor<3>, weight: Tensor<1>, bias: Tensor<1>, eps: f64) -> Tensor<3> {
    run_rounded(LayerNorm { eps }, [Operand::new(x), Operand::new(weight), Operand::new(bias)])
}
