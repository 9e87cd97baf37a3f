//! Cross-entropy with its gradient, and log-probabilities, straight from logits.

use burn::tensor::{Bytes, DType, Int, Tensor};
use burn_flex::{Flex, FlexTensor, Layout};
use half::{bf16, f16};
use rayon::prelude::*;

use super::bridge::primitive;
use super::buffer::{elements_mut, ordered, rows_per_task, tensor};
use super::few::Half;
use super::simd::{exp_sum, max, vectorised};

/// Logits of one row after the other, in an element type of theirs.
trait Logit: burn::tensor::Element + bytemuck::Pod + Send + Sync {
    /// The row in `f32`, which may be written to.
    fn read(row: &[Self], wide: &mut Vec<f32>);

    /// Calls `work` with the row in `f32`, and puts what it leaves there into the row.
    fn change<R>(row: &mut [Self], wide: &mut Vec<f32>, work: impl FnOnce(&mut [f32]) -> R) -> R;
}

impl Logit for f32 {
    fn read(row: &[Self], wide: &mut Vec<Self>) {
        wide.clear();
        wide.extend_from_slice(row);
    }

    fn change<R>(row: &mut [Self], _wide: &mut Vec<f32>, work: impl FnOnce(&mut [Self]) -> R) -> R {
        work(row)
    }
}

impl<E: Half + burn::tensor::Element + bytemuck::Pod + Send> Logit for E {
    fn read(row: &[E], wide: &mut Vec<f32>) {
        wide.resize(row.len(), 0.0);
        E::widen(row, wide);
    }

    fn change<R>(row: &mut [E], wide: &mut Vec<f32>, work: impl FnOnce(&mut [f32]) -> R) -> R {
        Self::read(row, wide);
        let result = work(wide);
        E::round(wide, row);
        result
    }
}

/// See [`super::super::compose::cross_entropy`]. Overwrites the logits if nobody else holds them.
///
/// # Panics
/// If a target is no token of the vocabulary, or there are not as many as rows.
pub fn cross_entropy(logits: Tensor<2>, targets: Tensor<1, Int>, weight: f32) -> (Tensor<1>, Tensor<2>) {
    let [rows, tokens] = logits.dims();
    let targets = indices(targets, rows, tokens);
    let logits = ordered(primitive(logits.inner()));
    let (loss, gradient) = match logits.dtype() {
        DType::BF16 => loss_of::<bf16>(logits, &targets, weight),
        DType::F16 => loss_of::<f16>(logits, &targets, weight),
        _ => loss_of::<f32>(logits, &targets, weight),
    };
    let loss = tensor(vec![loss], [1]);
    (Tensor::from_primitive::<Flex>(loss), Tensor::from_primitive::<Flex>(gradient))
}

fn loss_of<E: Logit>(mut logits: FlexTensor, targets: &[usize], weight: f32) -> (f32, FlexTensor) {
    if let Some(all) = elements_mut::<E>(&mut logits) {
        return (rows_loss(all, targets, weight), logits);
    }
    let mut copy = in_order::<E>(&logits).to_vec();
    let loss = rows_loss(&mut copy, targets, weight);
    let layout = Layout::contiguous(logits.layout().shape().clone());
    (loss, FlexTensor::new(Bytes::from_elems(copy), layout, logits.dtype()))
}

/// Turns logits into gradients row by row; gives the sum of the losses.
fn rows_loss<E: Logit>(logits: &mut [E], targets: &[usize], weight: f32) -> f32 {
    let width = logits.len() / targets.len().max(1);
    let rows = rows_per_task(width);
    if width == 0 {
        return 0.0;
    }
    let chunks = logits.par_chunks_mut(rows * width).zip(targets.par_chunks(rows));
    let losses: Vec<f64> = chunks
        .map_init(Vec::new, |wide, (logits, targets)| {
            let rows = logits.chunks_exact_mut(width).zip(targets);
            rows.map(|(row, target)| {
                f64::from(E::change(row, wide, |row| {
                    vectorised(
                        #[inline(always)]
                        || row_loss(row, *target, weight),
                    )
                }))
            })
            .sum()
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
    let (logprobs, best) = match logits.dtype() {
        DType::BF16 => logprobs_of::<bf16>(&logits, tokens, &targets),
        DType::F16 => logprobs_of::<f16>(&logits, tokens, &targets),
        _ => logprobs_of::<f32>(&logits, tokens, &targets),
    };
    let logprobs = tensor(logprobs, [targets.len()]);
    (Tensor::from_primitive::<Flex>(logprobs), Tensor::from_data(best.as_slice(), &device))
}

fn logprobs_of<E: Logit>(logits: &FlexTensor, tokens: usize, targets: &[usize]) -> (Vec<f32>, Vec<i32>) {
    let rows = in_order::<E>(logits).par_chunks(tokens.max(1)).zip(targets);
    rows.map_init(Vec::new, |wide, (row, target)| {
        E::read(row, wide);
        vectorised(
            #[inline(always)]
            || {
                let (top, own) = (max(wide), wide[*target]);
                let best = wide.iter().position(|logit| *logit == top).unwrap_or(0);
                (own - top - exp_sum(wide, top).ln(), best as i32)
            },
        )
    })
    .unzip()
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
