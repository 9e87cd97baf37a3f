//! Log-probabilities of given tokens.

use burn::tensor::{DType, Int, Tensor, TensorData};
use protocol::Result;

use crate::models::{Model, PassOptions};
use crate::nn::{AdapterView, ops};
use crate::train::chunk_rows;

/// Log-probability of each token given those before it, and the token the model would have chosen in
/// its place; the first token has neither.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RowScore {
    pub logprobs: Vec<f32>,
    pub argmax: Vec<u32>,
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
    let time = rows.iter().map(Vec::len).max().unwrap_or(0);
    if time < 2 {
        return Ok(vec![RowScore::default(); rows.len()]);
    }
    let padded: Vec<u32> = rows
        .iter()
        .flat_map(|row| row.iter().copied().chain(std::iter::repeat_n(0, time - row.len())))
        .collect();
    let positions = model.positions(0, time)?;
    let pass = model.pass(&positions, PassOptions { adapter, ..PassOptions::default() });
    let hidden = model.hidden(&pass, model.ids(&padded, rows.len())?);
    let wanted: Vec<(i32, i32)> = rows
        .iter()
        .enumerate()
        .flat_map(|(row, ids)| {
            ids.iter().skip(1).enumerate().map(move |(t, id)| ((row * time + t) as i32, *id as i32))
        })
        .collect();
    let width = model.info.hidden;
    let hidden = hidden.reshape([rows.len() * time, width]);
    let int = |values: Vec<i32>| -> Tensor<1, Int> {
        let len = values.len();
        Tensor::from_data(TensorData::new(values, [len]), &model.device)
    };
    let (mut logprobs, mut argmax) = (Vec::new(), Vec::new());
    for chunk in wanted.chunks(chunk_rows(model.info.vocabulary)) {
        let selected = hidden.clone().select(0, int(chunk.iter().map(|pair| pair.0).collect()));
        let logits = model.decoder.head(&pass, model.decoder.final_norm(&pass, selected.unsqueeze()));
        let logits = logits.reshape([chunk.len(), model.info.vocabulary]);
        let (chosen, best) = ops::logprobs(logits, int(chunk.iter().map(|pair| pair.1).collect()));
        logprobs.extend(read_f32(chosen)?);
        argmax.extend(read_ids(best)?);
    }
    Ok(split(rows, &logprobs, &argmax))
}

fn split(rows: &[Vec<u32>], logprobs: &[f32], argmax: &[u32]) -> Vec<RowScore> {
    let mut start = 0;
    rows.iter()
        .map(|row| {
            let end = start + row.len().saturating_sub(1);
            let score =
                RowScore { logprobs: logprobs[start..end].to_vec(), argmax: argmax[start..end].to_vec() };
            start = end;
            score
        })
        .collect()
}

fn read_f32(tensor: Tensor<1>) -> Result<Vec<f32>> {
    let data = tensor.try_into_data().map_err(|err| crate::device_failure(&err))?;
    data.convert_dtype(DType::F32).try_into_vec::<f32>().map_err(|err| crate::device_failure(&err))
}

fn read_ids(tensor: Tensor<1, Int>) -> Result<Vec<u32>> {
    let data = tensor.try_into_data().map_err(|err| crate::device_failure(&err))?;
    let ids =
        data.convert_dtype(DType::I64).try_into_vec::<i64>().map_err(|err| crate::device_failure(&err))?;
    Ok(ids.into_iter().map(|id| id as u32).collect())
}
