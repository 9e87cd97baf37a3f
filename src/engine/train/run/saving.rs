//! Checkpoints, written by a thread of their own while the training goes on; one at a time.

use std::panic::resume_unwind;
use std::path::PathBuf;
use std::thread::{Builder, JoinHandle};

use protocol::{Result, RunEvent, Text, UserError};

use super::Run;
use crate::device;
use crate::train::state::Snapshot;
use crate::train::step::Learner;

/// A checkpoint under way. It comes to its end even where nobody waits for it any more.
pub(super) struct Writing {
    step: u64,
    thread: Option<JoinHandle<Result<PathBuf>>>,
}

impl Writing {
    /// # Errors
    /// When the system gives no thread.
    fn start(step: u64, work: impl FnOnce() -> Result<PathBuf> + Send + 'static) -> Result<Self> {
        let thread = Builder::new()
            .name("checkpoint".into())
            .spawn(work)
            .map_err(|err| UserError::failure(Text::new(err.to_string(), err.to_string())))?;
        Ok(Self { step, thread: Some(thread) })
    }

    fn is_done(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Waits for it: its step and its folder. A panic goes on here.
    fn end(mut self) -> Result<Option<(u64, PathBuf)>> {
        let Some(thread) = self.thread.take() else { return Ok(None) };
        let dir = thread.join().unwrap_or_else(|panic| resume_unwind(panic))?;
        Ok(Some((self.step, dir)))
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            // Something else ends the run, and is told.
            drop(thread.join());
        }
    }
}

impl Run<'_> {
    /// Begins the checkpoint of this step, once the one before is written. What is on a device is copied to the host
    /// first; where the host has no room for that, the training waits.
    ///
    /// # Errors
    /// When the one before could not be written, or this one is and cannot.
    pub(super) fn save(&mut self, learner: &mut Learner) -> Result<()> {
        self.wait_for_checkpoint()?;
        self.state.seconds = self.seconds_before + self.began.elapsed().as_secs_f64();
        let extra =
            serde_json::json!({ "version": env!("CARGO_PKG_VERSION"), "eval_loss": self.state.last_eval });
        let base = self.plan.config.model.path.display().to_string();
        let note = self.plan.note(learner.model.quantization);
        let best = if self.plan.config.train.keep_best { self.state.best_step } else { None };
        let mut snapshot = Snapshot::of(learner, &self.state, base, note);
        let has_room = has_room(snapshot.device_bytes());
        if has_room {
            snapshot.bring_to_host();
        }
        let (store, step) = (self.store.clone(), self.state.step);
        let work = move || {
            let dir = store.save(step, extra, |dir| snapshot.write(dir))?;
            store.prune(best)?;
            Ok(dir)
        };
        if has_room {
            self.writing = Some(Writing::start(step, work)?);
        } else {
            let dir = work()?;
            self.tell(RunEvent::Saved { step, dir });
        }
        Ok(())
    }

    /// Waits for the checkpoint that is being written, and tells of it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn wait_for_checkpoint(&mut self) -> Result<()> {
        let Some(writing) = self.writing.take() else { return Ok(()) };
        if let Some((step, dir)) = writing.end()? {
            self.tell(RunEvent::Saved { step, dir });
        }
        Ok(())
    }

    /// The same without waiting.
    ///
    /// # Errors
    /// As [`wait_for_checkpoint`](Self::wait_for_checkpoint).
    pub(super) fn look_for_checkpoint(&mut self) -> Result<()> {
        if self.writing.as_ref().is_some_and(Writing::is_done) { self.wait_for_checkpoint() } else { Ok(()) }
    }
}

/// Whether the host can take a copy of so many bytes and keep as many again.
fn has_room(bytes: u64) -> bool {
    bytes == 0 || device::host_memory_free() / 2 >= bytes
}
