//! The head: final norm, output matrix and cross-entropy over labelled positions only, in chunks of
//! rows, so that the logits of a whole batch never exist.

use burn::tensor::{Device, IndexingUpdateOp, Int, Tensor, TensorData};
use data::{Batch, FIRST_EXTENSION, IGNORE};

use crate::models::{Model, PassOptions};
use crate::nn::{Gradients, Positions, Tape, ops};

/// Size that the f32 logits of one chunk have at most.
pub const CHUNK_BYTES: usize = 64 << 20;

/// Rows of a chunk at least, whatever that takes.
pub const LEAST_ROWS: usize = 16;

/// Positions that predict a label, and the labels.
pub struct Labels {
    /// Flat positions `row · time + t`, for labels at `t + 1`; `time` counts what stands in front, too.
    positions: Vec<i32>,
    targets: Vec<i32>,
    device: Device,
}

impl Labels {
    /// `lead` positions stand in front of each row ([`Model::lead`]).
    pub fn of(batch: &Batch, model: &Model, lead: usize) -> Self {
        let mut positions = Vec::new();
        let mut targets = Vec::new();
        for (row, labels) in batch.labels.chunks(batch.len.max(1)).enumerate() {
            for (t, label) in labels.iter().skip(1).enumerate().filter(|(_, label)| **label != IGNORE) {
                positions.push((row * (lead + batch.len) + lead + t) as i32);
                targets.push(column(*label, model.info.vocabulary));
            }
        }
        Self { positions, targets, device: model.device.clone() }
    }

    pub fn len(&self) -> usize {
        self.targets.len()
    }

    /// The same in pieces of `size` at most.
    pub fn chunks(&self, size: usize) -> impl Iterator<Item = Self> {
        let pieces = self.positions.chunks(size).zip(self.targets.chunks(size));
        pieces.map(|(positions, targets)| Self {
            positions: positions.to_vec(),
            targets: targets.to_vec(),
            device: self.device.clone(),
        })
    }

    /// Columns of the logits.
    pub fn targets(&self) -> Tensor<1, Int> {
        self.tensor(&self.targets)
    }

    /// Rows of the hidden state.
    pub fn positions(&self) -> Tensor<1, Int> {
        self.tensor(&self.positions)
    }

    fn tensor(&self, values: &[i32]) -> Tensor<1, Int> {
        Tensor::from_data(TensorData::new(values.to_vec(), [values.len()]), &self.device)
    }
}

/// The logits' column of a label.
fn column(label: i32, vocabulary: usize) -> i32 {
    match label.checked_sub(FIRST_EXTENSION) {
        Some(entry) if entry >= 0 => vocabulary as i32 + entry,
        _ => label,
    }
}

/// Rows whose f32 logits over a vocabulary have `bytes`.
pub fn chunk_rows(bytes: usize, vocabulary: usize) -> usize {
    (bytes / 4 / vocabulary.max(1)).max(LEAST_ROWS)
}

/// A head at work.
pub struct Head<'a> {
    pub model: &'a Model,
    pub positions: &'a Positions,
    pub options: PassOptions<'a>,
    /// Bytes that the f32 logits of one chunk may have.
    pub chunk: usize,
}

impl Head<'_> {
    /// Summed loss `[1]` over the labels and the gradient for `hidden` `[batch, time, width]`, of the loss times
    /// `weight`. Gradients of trained head parameters are added to `gradients`.
    pub fn backward(
        &self,
        hidden: Tensor<3>,
        labels: &Labels,
        weight: f32,
        gradients: &mut Gradients,
    ) -> (Tensor<1>, Tensor<3>) {
        let model = self.model;
        let [batch, time, width] = hidden.dims();
        let zeros = Tensor::<2>::zeros([batch * time, width], (&hidden.device(), hidden.dtype()));
        let mut loss = Tensor::<1>::zeros([1], &model.device);
        if labels.len() == 0 {
            return (loss, zeros.reshape([batch, time, width]));
        }
        let rows = labels.positions();
        let selected = hidden.reshape([batch * time, width]).select(0, rows.clone());
        let mut parts = Vec::new();
        let step = chunk_rows(self.chunk, model.info.vocabulary);
        for (index, targets) in labels.targets.chunks(step).enumerate() {
            let chunk = selected.clone().narrow(0, index * step, targets.len());
            let tape = Tape::default();
            let leaf = chunk.autodiff().require_grad();
            let flat = self.logits(Some(&tape), leaf.clone());
            let (sum, mut all) = ops::cross_entropy_backward(flat, labels.tensor(targets), weight);
            tape.collect(&mut all, gradients);
            parts.extend(leaf.grad_remove(&mut all));
            loss = loss + sum;
        }
        let gradient = zeros.select_assign(0, rows, Tensor::cat(parts, 0), IndexingUpdateOp::Add);
        (loss, gradient.reshape([batch, time, width]))
    }

    /// Summed loss `[1]` over the labels, without gradients.
    pub fn loss(&self, hidden: Tensor<3>, labels: &Labels) -> Tensor<1> {
        let [batch, time, width] = hidden.dims();
        let mut loss = Tensor::<1>::zeros([1], &self.model.device);
        if labels.len() == 0 {
            return loss;
        }
        let selected = hidden.reshape([batch * time, width]).select(0, labels.positions());
        let step = chunk_rows(self.chunk, self.model.info.vocabulary);
        for (index, targets) in labels.targets.chunks(step).enumerate() {
            let flat =
                self.logits(self.options.tape, selected.clone().narrow(0, index * step, targets.len()));
            loss = loss - ops::logprobs(flat, labels.tensor(targets)).0.sum();
        }
        loss
    }

    /// `[rows, width]` → `[rows, columns]`.
    fn logits(&self, tape: Option<&Tape>, rows: Tensor<2>) -> Tensor<2> {
        let (model, count) = (self.model, rows.dims()[0]);
        let pass = model.pass(self.positions, PassOptions { tape, ..self.options });
        let logits = model.decoder.head(&pass, model.decoder.final_norm(&pass, rows.unsqueeze()));
        let columns = logits.dims()[2];
        logits.reshape([count, columns])
    }
}
