//! Rows become batches on a thread of their own, ahead of the training.

use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, bounded};
use data::{Batch, Dataset, Position, Sampler};
use protocol::{Result, Text, UserError};

/// Steps that may lie ready.
const AHEAD: usize = 4;

/// The micro-batches of one optimizer step.
pub struct StepBatches {
    pub batches: Vec<Batch>,
    /// Indices into the dataset.
    pub rows: Vec<u32>,
    /// Where the sampler stands after this step.
    pub after: Position,
}

/// A thread that encodes the next steps.
pub struct Prefetch {
    ready: Option<Receiver<Result<StepBatches>>>,
    thread: Option<JoinHandle<()>>,
}

impl Prefetch {
    /// Micro-batches come in as many `pieces`, or as they have rows.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(dataset: Arc<Dataset>, mut sampler: Sampler, pad: u32, pieces: usize) -> Result<Self> {
        let (sender, ready) = bounded(AHEAD);
        let work = move || {
            loop {
                let step = next(&dataset, &mut sampler, pad, pieces);
                let failed = step.is_err();
                if sender.send(step).is_err() || failed {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new()
            .name("batches".into())
            .spawn(work)
            .map_err(|err| UserError::failure(Text::new(err.to_string(), err.to_string())))?;
        Ok(Self { ready: Some(ready), thread: Some(thread) })
    }

    /// # Errors
    /// When a row cannot be read.
    pub fn next(&self) -> Result<StepBatches> {
        let received = self.ready.as_ref().and_then(|ready| ready.recv().ok());
        received.unwrap_or_else(|| {
            Err(UserError::failure(Text::fixed(
                "The thread that reads the data ended",
                "读取数据的线程已结束",
            )))
        })
    }
}

impl Drop for Prefetch {
    fn drop(&mut self) {
        // The thread ends when it finds no receiver.
        self.ready = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that reads the data panicked");
        }
    }
}

fn next(dataset: &Dataset, sampler: &mut Sampler, pad: u32, pieces: usize) -> Result<StepBatches> {
    let micro = sampler.next_step();
    let mut batches = Vec::with_capacity(micro.len());
    let mut rows = Vec::new();
    for batch in micro {
        let read = |row: &u32| match sampler.draw(&batch, *row) {
            Some(draw) => dataset.example_drawn(*row as usize, draw),
            None => dataset.example(*row as usize),
        };
        let examples = batch.rows.iter().map(read).collect::<Result<Vec<_>>>()?;
        batches.extend(Batch::pieces(&examples, batch.packed.as_deref(), pad, pieces)?);
        rows.extend(batch.rows);
    }
    Ok(StepBatches { batches, rows, after: sampler.position() })
}
