//! In which order rows are trained on. The order of an epoch follows from (seed, epoch), and the place in
//! it is a pair of counters: that pair, saved and restored, continues exactly.

use std::sync::Arc;

use protocol::config::TrainConfig;
use protocol::{Result, Text, UserError, text};
use serde::{Deserialize, Serialize};

use crate::draws::Draws;
use crate::packing::{Batching, Epoch};
use crate::random::{generator, shuffle};
use crate::record::Draw;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SamplerOptions {
    /// Rows a micro-batch; packed ones count as one.
    pub batch_size: usize,
    /// Micro-batches an optimizer step.
    pub accumulation: usize,
    /// False: rows come in file order, in every epoch.
    pub shuffle: bool,
    pub seed: u64,
}

/// The micro-batch that comes next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Passes over the data that are done.
    pub epoch: u64,
    /// Micro-batches of this epoch that are done.
    pub batch: u64,
}

/// Examples that go through the model together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MicroBatch {
    /// Indices into the dataset, one a row; fewer than the batch size only at an epoch's end.
    pub rows: Vec<u32>,
    /// How many of them share each row, where rows hold several.
    pub packed: Option<Vec<u32>>,
    pub position: Position,
}

/// Draws micro-batches without end, epoch after epoch.
pub struct Sampler {
    draws: Draws,
    options: SamplerOptions,
    position: Position,
    batching: Batching,
    /// The current epoch, once it was needed.
    epoch: Option<(u64, Arc<Epoch>)>,
}

impl SamplerOptions {
    /// # Errors
    /// When batch size or accumulation is 0 or absurdly large.
    pub fn new(train: &TrainConfig) -> Result<Self> {
        Ok(Self {
            batch_size: count("train.batch_size", train.batch_size)?,
            accumulation: count("train.gradient_accumulation", train.gradient_accumulation)?,
            shuffle: train.shuffle,
            seed: train.seed,
        })
    }

    /// Micro-batches of one epoch over `rows` rows: the last one may be short, and is not dropped.
    pub fn batches_per_epoch(&self, rows: usize) -> u64 {
        rows.div_ceil(self.batch_size) as u64
    }

    /// Optimizer steps of one epoch: accumulation does not reach across its end, so the last step may
    /// have fewer micro-batches (as in transformers since 4.46).
    pub fn steps_per_epoch(&self, rows: usize) -> u64 {
        self.batches_per_epoch(rows).div_ceil(self.accumulation as u64)
    }

    /// Optimizer steps of a run: `max_steps`, or where it is 0, `epochs` (which may be fractional) rounded
    /// up to whole steps.
    ///
    /// # Errors
    /// When both are missing or `epochs` is no usable number.
    pub fn total_steps(&self, rows: usize, epochs: f64, max_steps: u64) -> Result<u64> {
        if max_steps > 0 {
            return Ok(max_steps);
        }
        let steps = (epochs * self.steps_per_epoch(rows) as f64).ceil();
        if !(epochs > 0.0 && steps < 1e15) {
            return Err(UserError::bad_input(text!(
                "The number of epochs cannot be {epochs}",
                "训练轮数不能为 {epochs}"
            ))
            .at_item("train.epochs")
            .mend(Text::fixed(
                "give a number above 0, or set train.max_steps",
                "请设为大于 0 的数，或设置 train.max_steps",
            )));
        }
        Ok(steps as u64)
    }
}

fn count(key: &str, value: u64) -> Result<usize> {
    match u32::try_from(value) {
        Ok(count) if count > 0 => Ok(count as usize),
        _ => Err(UserError::bad_input(text!("`{key}` cannot be {value}", "`{key}` 不能为 {value}"))
            .at_item(key)
            .mend(Text::fixed("give a whole number from 1 on", "请设为不小于 1 的整数"))),
    }
}

impl Sampler {
    /// How examples of a micro-batch are read; none where they come as they stand in the file.
    pub fn draw(&self, batch: &MicroBatch, example: u32) -> Option<Draw> {
        let SamplerOptions { seed, shuffle, .. } = self.options;
        shuffle.then_some(Draw { seed, epoch: batch.position.epoch, example })
    }

    /// Samples from rows, indices into a dataset in file order.
    ///
    /// # Errors
    /// When there are no rows.
    pub fn new(draws: impl Into<Draws>, options: SamplerOptions) -> Result<Self> {
        let draws = draws.into();
        if draws.per_epoch() == 0 {
            return Err(UserError::bad_input(Text::fixed(
                "There are no rows to train on",
                "没有可用于训练的行",
            )));
        }
        Ok(Self { draws, options, position: Position::default(), batching: Batching::InOrder, epoch: None })
    }

    /// The same rows, batched so.
    pub fn batched(self, batching: Batching) -> Self {
        Self { batching, epoch: None, ..self }
    }

    /// Rows of the first epoch: packed ones where examples share rows. Other epochs have as many, unless examples that
    /// share rows are drawn by fractional weights.
    pub fn rows(&mut self) -> usize {
        self.epoch(0).rows()
    }

    /// Share of the first epoch's positions that hold no token, where examples have these lengths; 0 to 1.
    pub fn padding(&mut self, lengths: &[u32]) -> f64 {
        let epoch = self.epoch(0);
        let length = |example: &u32| u64::from(lengths.get(*example as usize).copied().unwrap_or(0));
        let (mut tokens, mut positions) = (0u64, 0u64);
        for first in (0..epoch.rows()).step_by(self.options.batch_size) {
            let (examples, packed) = epoch.batch(first, self.options.batch_size);
            let mut rest = examples.iter().map(length);
            let mut row = |count: &u32| rest.by_ref().take(*count as usize).sum::<u64>();
            let rows: Vec<u64> =
                packed.unwrap_or_else(|| vec![1; examples.len()]).iter().map(&mut row).collect();
            tokens += rows.iter().sum::<u64>();
            positions += rows.iter().max().copied().unwrap_or(0) * rows.len() as u64;
        }
        1.0 - tokens as f64 / positions.max(1) as f64
    }

    pub fn position(&self) -> Position {
        self.position
    }

    /// Continues at a saved position.
    ///
    /// # Errors
    /// When the epoch has no such micro-batch: the position was saved with other rows or another batch size.
    pub fn seek(&mut self, position: Position) -> Result<()> {
        let has = self.batches_in(position.epoch);
        if position.batch >= has {
            let batch = position.batch;
            return Err(UserError::bad_input(text!(
                "The saved place in the data is batch {batch} of an epoch that has {has}",
                "保存的数据位置是第 {batch} 批，而一轮只有 {has} 批"
            ))
            .mend(Text::fixed(
                "resume with the data and batch size of the run",
                "请使用原来的数据与批大小继续",
            )));
        }
        self.position = position;
        Ok(())
    }

    /// The micro-batches of the next optimizer step: `accumulation` of them, fewer at an epoch's end.
    pub fn next_step(&mut self) -> Vec<MicroBatch> {
        let mut batches = Vec::with_capacity(self.options.accumulation.min(1024));
        loop {
            let batch = self.next_batch();
            batches.push(batch);
            if self.position.batch == 0 || batches.len() == self.options.accumulation {
                return batches;
            }
        }
    }

    fn next_batch(&mut self) -> MicroBatch {
        let position = self.position;
        let size = self.options.batch_size;
        let (rows, packed) = self.epoch(position.epoch).batch(position.batch as usize * size, size);
        self.position = match position.batch + 1 < self.batches_in(position.epoch) {
            true => Position { batch: position.batch + 1, ..position },
            false => Position { epoch: position.epoch + 1, batch: 0 },
        };
        MicroBatch { rows, packed, position }
    }

    fn epoch(&mut self, epoch: u64) -> Arc<Epoch> {
        match &self.epoch {
            Some((of, found)) if *of == epoch => found.clone(),
            _ => {
                let SamplerOptions { seed, shuffle, batch_size, .. } = self.options;
                let mut random = shuffle.then(|| generator(seed, "batches", epoch));
                let made = Epoch::new(self.order(epoch), &self.batching, batch_size, random.as_mut());
                let made = Arc::new(made);
                self.epoch = Some((epoch, made.clone()));
                made
            }
        }
    }

    fn order(&self, epoch: u64) -> Arc<[u32]> {
        let mut order = self.draws.epoch(epoch);
        if self.options.shuffle {
            shuffle(&mut generator(self.options.seed, "sampler", epoch), &mut order);
        }
        order.into()
    }

    fn batches_in(&mut self, epoch: u64) -> u64 {
        let rows = self.epoch(epoch).rows();
        self.options.batches_per_epoch(rows)
    }
}
