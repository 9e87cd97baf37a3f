//! Wishes that must be heard inside a step, a long decode or an export.

use std::sync::atomic::{AtomicBool, Ordering};

/// Shared flags, polled by the worker at every micro-step, block and token.
#[derive(Debug, Default)]
pub struct Control {
    stop: AtomicBool,
    pause: AtomicBool,
    save_now: AtomicBool,
}

impl Control {
    /// End the current work: a run saves a checkpoint and ends, a generation or an export breaks off.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Release);
    }

    pub fn stop_wanted(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// Hold the run: a checkpoint is written and the device's memory released until `resume`.
    pub fn pause(&self) {
        self.pause.store(true, Ordering::Release);
    }

    pub fn resume(&self) {
        self.pause.store(false, Ordering::Release);
    }

    pub fn pause_wanted(&self) -> bool {
        self.pause.load(Ordering::Acquire)
    }

    /// Write a checkpoint after the current step.
    pub fn save_now(&self) {
        self.save_now.store(true, Ordering::Release);
    }

    /// Whether a checkpoint was asked for; asking clears the wish.
    pub fn take_save_now(&self) -> bool {
        self.save_now.swap(false, Ordering::AcqRel)
    }

    /// Clear every wish: a new piece of work begins.
    pub fn reset(&self) {
        self.stop.store(false, Ordering::Release);
        self.pause.store(false, Ordering::Release);
        self.save_now.store(false, Ordering::Release);
    }
}
