//! Log-probabilities of given tokens.

use burn::tensor::{DType, Int, Tensor, TensorData};
use data::{Batch, BeeBatch, Example, IGNORE};
use protocol::Result;

use crate::models::{Model, PassOptions, Rows};
use crate::nn::{AdapterView, Pass, ops};
use crate::score::scored;
use crate::train::{CHUNK_BYTES, Labels, chunk_rows};

/// Log-probability of each token given those before it, and the token the model would have chosen in
/// its place; the first token has neither.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RowScore {
    /// Not a number where a token is not scored.
    pub logprobs: Vec<f32>,
    /// `u32::MAX` where a token is not scored.
    pub argmax: Vec<u32>,
}

impl RowScore {
    /// The log-probabilities of the tokens that were scored.
    pub fn given(&self) -> impl Iterator<Item = f64> {
        let scored = self.logprobs.iter().zip(&self.argmax).filter(|(_, best)| **best != u32::MAX);
        scored.map(|(logprob, _)| f64::from(*logprob))
    }
}

/// Scores rows of ids, padded to the longest; the answers are in the rows' order.
///
/// # Errors
/// When an id or position lies outside the model, or the device fails.
pub fn score_rows(
    model: &Model,
    adapter: Option<&dyn AdapterView>,
    rows: &[Vec<u32>],
) -> Result<Vec<RowScore>> {
    let examples: Vec<_> = rows.iter().map(|ids| scored(ids.clone())).collect();
    score_examples(model, adapter, &examples)
}

/// Scores the labelled tokens of examples, padded to the longest; the others get no number.
///
/// # Errors
/// As [`score_rows`].
pub fn score_examples(
    model: &Model,
    adapter: Option<&dyn AdapterView>,
    examples: &[Example],
) -> Result<Vec<RowScore>> {
    if examples.iter().all(|example| example.ids.len() < 2) {
        return Ok(vec![RowScore::default(); examples.len()]);
    }
    let (logprobs, argmax) = read_batch(model, adapter, examples, |pass, batch, hidden| {
        let [count, time, width] = hidden.dims();
        let hidden = hidden.reshape([count * time, width]);
        let labels = Labels::of(batch, model, model.lead(adapter));
        let (mut logprobs, mut argmax) = (Vec::new(), Vec::new());
        for chunk in labels.chunks(chunk_rows(CHUNK_BYTES, model.info.vocabulary)) {
            let logits = model.head(hidden.clone().select(0, chunk.positions()), pass);
            let (chosen, best) = read_logprobs(logits, chunk.targets())?;
            logprobs.extend(chosen);
            argmax.extend(best);
        }
        Ok((logprobs, argmax))
    })?;
    Ok(split(examples, &logprobs, &argmax))
}

/// For each row of ids the mean over its tokens of the last hidden state, behind the final norm: `hidden` numbers a row.
///
/// # Errors
/// As [`score_rows`]; a row without tokens is an error of the caller's.
pub fn embed_rows(
    model: &Model,
    adapter: Option<&dyn AdapterView>,
    rows: &[Vec<u32>],
) -> Result<Vec<Vec<f32>>> {
    let examples: Vec<_> = rows.iter().map(|ids| scored(ids.clone())).collect();
    read_batch(model, adapter, &examples, |pass, batch, hidden| {
        let lead = model.lead(adapter);
        let [count, time, width] = hidden.dims();
        let time = time - lead;
        let hidden = model.decoder.final_norm(pass, hidden.narrow(1, lead, time)).cast(DType::F32);
        let shares = batch.lengths.iter().flat_map(|length| {
            let length = *length as usize;
            (0..time).map(move |at| if at < length { 1.0 / length as f32 } else { 0.0 })
        });
        let shares = TensorData::new(shares.collect::<Vec<f32>>(), [count, time, 1]);
        let shares = Tensor::<3>::from_data(shares, &model.device).cast(DType::F32);
        let means = read_f32((hidden * shares).sum_dim(1).reshape([count * width]))?;
        Ok(means.chunks_exact(width).map(<[f32]>::to_vec).collect())
    })
}

/// Sends rows through the blocks, padded to the longest, and has `read` look at the hidden states behind them.
fn read_batch<T>(
    model: &Model,
    adapter: Option<&dyn AdapterView>,
    examples: &[Example],
    read: impl FnOnce(&Pass<'_>, &Batch, Tensor<3>) -> Result<T>,
) -> Result<T> {
    let batch = Batch::collate(&never_empty(examples), 0)?;
    let ids = model.ids(&batch.ids, batch.rows)?;
    // Each token is scored by those before it: no row is a prompt, which some families read as a whole.
    let plain = || BeeBatch::plain(&batch.lengths.iter().map(|length| *length as usize).collect::<Vec<_>>());
    let plain = (batch.side.is_none() && model.info.whole_prompt).then(plain);
    let rows = Rows { side: batch.side.as_deref().or(plain.as_ref()), ..Rows::fresh(&batch.ids, batch.rows) };
    let positions = model.positions(&rows, adapter)?;
    let pass = model.pass(&positions, PassOptions { adapter, ..PassOptions::default() });
    let hidden = model.hidden(&pass, ids);
    read(&pass, &batch, hidden)
}

/// The log-probability of each row's target, and the likeliest column; logits `[rows, columns]`.
pub(super) fn read_logprobs(logits: Tensor<2>, targets: Tensor<1, Int>) -> Result<(Vec<f32>, Vec<u32>)> {
    let (chosen, best) = ops::logprobs(logits, targets);
    Ok((read_f32(chosen)?, read_ids(best)?))
}

/// Rows without tokens as rows of one token that is not scored.
fn never_empty(examples: &[Example]) -> Vec<Example> {
    let kept = |example: &Example| match example.ids.is_empty() {
        true => Example { ids: vec![0], labels: vec![IGNORE], ..Example::default() },
        false => example.clone(),
    };
    examples.iter().map(kept).collect()
}

fn split(examples: &[Example], logprobs: &[f32], argmax: &[u32]) -> Vec<RowScore> {
    let mut found = logprobs.iter().zip(argmax);
    let score = |example: &Example| {
        let labels = example.labels.iter().skip(1);
        let numbers = labels.map(|label| match label {
            &IGNORE => (f32::NAN, u32::MAX),
            _ => found.next().map_or((f32::NAN, u32::MAX), |(logprob, best)| (*logprob, *best)),
        });
        let (logprobs, argmax) = numbers.unzip();
        RowScore { logprobs, argmax }
    };
    examples.iter().map(score).collect()
}

pub(super) fn read_f32(tensor: Tensor<1>) -> Result<Vec<f32>> {
    let data = tensor.try_into_data().map_err(|err| crate::device_failure(&err))?;
    data.convert_dtype(DType::F32).try_into_vec::<f32>().map_err(|err| crate::device_failure(&err))
}

pub(super) fn read_ids(tensor: Tensor<1, Int>) -> Result<Vec<u32>> {
    let data = tensor.try_into_data().map_err(|err| crate::device_failure(&err))?;
    let ids =
        data.convert_dtype(DType::I64).try_into_vec::<i64>().map_err(|err| crate::device_failure(&err))?;
    Ok(ids.into_iter().map(|id| id as u32).collect())
}
