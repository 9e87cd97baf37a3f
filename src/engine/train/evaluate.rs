//! Mean loss over the validation rows.

use burn::tensor::{DType, Tensor};
use data::{Batch, Dataset};
use protocol::{Control, Result};

use super::head::{CHUNK_BYTES, Head, Labels};
use super::parallel::Workers;
use super::step::Learner;
use crate::models::{Model, PassOptions, Rows};
use crate::nn::{AdapterView, Value};

/// What is evaluated, and on what.
pub struct Evaluation<'a> {
    pub learner: &'a Learner,
    /// Those who share the rows, the learner's own device among them.
    pub workers: &'a Workers,
    pub dataset: &'a Dataset,
    /// Rows that go through the model together.
    pub batch_size: usize,
    pub pad: u32,
    /// Bytes that the f32 logits of one chunk of rows may have.
    pub head_chunk: usize,
    pub control: &'a Control,
}

impl Evaluation<'_> {
    /// Mean cross-entropy over the labelled tokens of `rows`, and their number; `tick` gets the rows done.
    /// None if the user stopped.
    ///
    /// # Errors
    /// When a row cannot be read, or the device fails.
    pub fn run(&self, rows: &[u32], tick: &mut dyn FnMut(u64)) -> Result<Option<(f64, u64)>> {
        let (mut sum, mut learned, mut done) = (0.0, 0, 0);
        let size = self.batch_size.max(1);
        for round in rows.chunks(size.saturating_mul(self.workers.count())) {
            if self.control.stop_wanted() {
                return Ok(None);
            }
            let batches = round.chunks(size).map(|rows| self.batch(rows)).collect::<Result<Vec<_>>>()?;
            // In the order of the rows, whoever computed them: the same sum on any number of devices.
            let losses = self.workers.losses(self.learner, &batches, self.head_chunk)?;
            sum = losses.iter().fold(sum, |sum, loss| sum + loss);
            learned += batches.iter().map(|batch| batch.learned).sum::<u64>();
            done += round.len() as u64;
            tick(done);
        }
        Ok(Some((sum / learned.max(1) as f64, learned)))
    }

    fn batch(&self, rows: &[u32]) -> Result<Batch> {
        let examples =
            rows.iter().map(|row| self.dataset.example(*row as usize)).collect::<Result<Vec<_>>>()?;
        Batch::collate(&examples, self.pad)
    }
}

/// Summed loss of a batch.
///
/// # Errors
/// When an id or position lies outside the model, or the device fails.
pub fn batch_loss(model: &Model, adapter: Option<&dyn AdapterView>, batch: &Batch) -> Result<f64> {
    loss_of(model, adapter, batch, CHUNK_BYTES)
}

/// As [`batch_loss`], with at most `chunk` bytes of f32 logits at a time.
///
/// # Errors
/// As [`batch_loss`].
pub fn loss_of(model: &Model, adapter: Option<&dyn AdapterView>, batch: &Batch, chunk: usize) -> Result<f64> {
    let labels = Labels::of(batch, model, model.lead(adapter));
    let positions = model.positions(&Rows::of_batch(batch), adapter)?;
    let options = PassOptions { adapter, ..PassOptions::default() };
    let hidden = model.hidden(&model.pass(&positions, options), model.ids(&batch.ids, batch.rows)?);
    let sum: Tensor<1> = Head { model, positions: &positions, options, chunk }.loss(hidden, &labels);
    debug_assert_eq!(sum.dtype(), DType::F32);
    Ok(crate::weights::read_f32(&Value::Vector(sum))?.first().copied().map_or(f64::NAN, f64::from))
}
