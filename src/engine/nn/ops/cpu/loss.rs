//! Cross-entropy with its gradient, and log-probabilities, straight from logits.

use burn::tensor::{DType, Int, Tensor};
use burn_flex::{Flex, FlexTensor};
use rayon::prelude::*;

use super::bridge::primitive;
use super::buffer::{elements, elements_mut, ordered, rows_per_task, tensor};
use super::simd::{exp_sum, max, vectorised};

/// See [`super::super::compose::cross_entropy`]. Overwrites the logits if nobody else holds them.
///
/// # Panics
/// If a target is no token of the vocabulary, or there are not as many as rows.
pub fn cross_entropy(logits: Tensor<2>, targets: Tensor<1, Int>, weight: f32) -> (Tensor<1>, Tensor<2>) {
    let [rows, tokens] = logits.dims();
    let targets = indices(targets, rows, tokens);
    let mut logits = ordered(primitive(logits.inner()));
    let in_place = elements_mut(&mut logits).map(|all| rows_loss(all, &targets, weight));
    let (loss, gradient) = match in_place {
        Some(loss) => (loss, logits),
        None => {
            let mut copy = elements(&logits).to_vec();
            (rows_loss(&mut copy, &targets, weight), tensor(copy, [rows, tokens]))
        }
    };
    let loss = tensor(vec![loss], [1]);
    (Tensor::from_primitive::<Flex>(loss), Tensor::from_primitive::<Flex>(gradient))
}

/// Turns logits into gradients row by row; gives the sum of the losses.
fn rows_loss(logits: &mut [f32], targets: &[usize], weight: f32) -> f32 {
    let width = logits.len() / targets.len().max(1);
    let rows = rows_per_task(width);
    if width == 0 {
        return 0.0;
    }
    let chunks = logits.par_chunks_mut(rows * width).zip(targets.par_chunks(rows));
    let losses: Vec<f64> = chunks
        .map(|(logits, targets)| {
            vectorised(
                #[inline(always)]
                || {
                    let mut sum = 0.0;
                    for (row, target) in logits.chunks_exact_mut(width).zip(targets) {
                        sum += f64::from(row_loss(row, *target, weight));
                    }
                    sum
                },
            )
        })
        .collect();
    losses.iter().sum::<f64>() as f32
}

#[inline(always)]
fn row_loss(row: &mut [f32], target: usize, weight: f32) -> f32 {
    let top = max(row);
    let own = row[target] - top;
    let sum = exp_sum(row, top);
    let factor = weight / sum;
    for p in row.iter_mut() {
        *p *= factor;
    }
    row[target] -= weight;
    sum.ln() - own
}

/// See [`super::super::compose::logprobs`].
///
/// # Panics
/// As [`cross_entropy`].
pub fn logprobs(logits: Tensor<2>, targets: Tensor<1, Int>) -> (Tensor<1>, Tensor<1, Int>) {
    let [rows, tokens] = logits.dims();
    let device = targets.device().inner();
    let targets = indices(targets, rows, tokens);
    let logits = ordered(primitive(logits.inner()));
    let rows = elements(&logits).par_chunks(tokens.max(1)).zip(&targets);
    let (logprobs, best): (Vec<f32>, Vec<i32>) = rows
        .map_init(Vec::new, |scratch, (row, target)| {
            scratch.clear();
            scratch.extend_from_slice(row);
            vectorised(
                #[inline(always)]
                || {
                    let top = max(row);
                    let sum = exp_sum(scratch, top);
                    let best = row.iter().position(|logit| *logit == top).unwrap_or(0);
                    (row[*target] - top - sum.ln(), best as i32)
                },
            )
        })
        .unzip();
    let logprobs = tensor(logprobs, [targets.len()]);
    (Tensor::from_primitive::<Flex>(logprobs), Tensor::from_data(best.as_slice(), &device))
}

/// The targets as positions in a row.
fn indices(targets: Tensor<1, Int>, rows: usize, tokens: usize) -> Vec<usize> {
    let targets = targets.inner().try_into_primitive::<Flex>();
    let targets = ordered(targets.expect("targets on the CPU backend"));
    let wide: Vec<i64> = match targets.dtype() {
        DType::I64 => in_order::<i64>(&targets).to_vec(),
        DType::I32 => in_order::<i32>(&targets).iter().map(|i| i64::from(*i)).collect(),
        DType::U32 => in_order::<u32>(&targets).iter().map(|i| i64::from(*i)).collect(),
        other => panic!("targets of type {other:?}"),
    };
    assert!(wide.len() == rows, "{} targets for {rows} rows of logits", wide.len());
    let index = |i: &i64| {
        let index = usize::try_from(*i).ok().filter(|i| *i < tokens);
        index.unwrap_or_else(|| panic!("target {i} with {tokens} tokens in the vocabulary"))
    };
    wide.iter().map(index).collect()
}

fn in_order<E: burn::tensor::Element + bytemuck::Pod>(tensor: &FlexTensor) -> &[E] {
    tensor.as_slice().expect("a tensor in order")
}
