//! Mean loss over the validation rows.

use burn::tensor::{DType, Tensor};
use data::{Batch, Dataset};
use protocol::{Control, Result};

use super::head::{Labels, loss};
use crate::models::{Model, PassOptions};
use crate::nn::{AdapterView, Value};

/// Mean cross-entropy over labelled tokens, and their number. None if the user stopped.
///
/// # Errors
/// When a row cannot be read, or the device fails.
pub fn evaluate(
    model: &Model,
    adapter: Option<&dyn AdapterView>,
    dataset: &Dataset,
    rows: &[u32],
    batch_size: usize,
    pad: u32,
    control: &Control,
    tick: &mut dyn FnMut(u64),
) -> Result<Option<(f64, u64)>> {
    let mut sum = 0.0;
    let mut learned = 0;
    for (index, rows) in rows.chunks(batch_size.max(1)).enumerate() {
        if control.stop_wanted() {
            return Ok(None);
        }
        let examples = rows.iter().map(|row| dataset.example(*row as usize)).collect::<Result<Vec<_>>>()?;
        let batch = Batch::collate(&examples, pad)?;
        sum += batch_loss(model, adapter, &batch)?;
        learned += batch.learned;
        tick((index * batch_size + rows.len()) as u64);
    }
    Ok(Some((sum / learned.max(1) as f64, learned)))
}

/// Summed loss of a batch.
///
/// # Errors
/// When an id or position lies outside the model, or the device fails.
pub fn batch_loss(model: &Model, adapter: Option<&dyn AdapterView>, batch: &Batch) -> Result<f64> {
    let labels = Labels::of(batch, &model.device);
    let positions = model.positions(0, batch.len)?;
    let options = PassOptions { adapter, ..PassOptions::default() };
    let hidden = model.hidden(&model.pass(&positions, options), model.ids(&batch.ids, batch.rows)?);
    let sum: Tensor<1> = loss(model, &positions, options, hidden, &labels);
    debug_assert_eq!(sum.dtype(), DType::F32);
    Ok(crate::weights::read_f32(&Value::Vector(sum))?.first().copied().map_or(f64::NAN, f64::from))
}
