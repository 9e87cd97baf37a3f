//! Wishes that must be heard inside a step, a long decode or an export.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

use serde::{Deserialize, Serialize};

use crate::RequestId;

/// What a client wishes while work is under way.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wish {
    /// End the current work: a run saves a checkpoint and ends, an export breaks off.
    Stop,
    /// Break off the answer that is being written.
    StopAnswer,
    /// Hold the run: a checkpoint is written and the device's memory released until `Resume`.
    Pause,
    Resume,
    /// Write a checkpoint after the current step.
    SaveNow,
    /// Evaluate after the current step.
    EvaluateNow,
    /// Multiply the schedule's learning rate by this from the next step on; replaces an earlier factor.
    ScaleRate(f64),
    /// Break off the transfer from or to a hub; what has come stays, and the next one goes on there.
    StopTransfer,
    /// Looks at rows (previews, searches, checks) with a lower number than this are void.
    Supersede(RequestId),
    /// End this request, under way or waiting, and nothing else. A run hears `Stop` only.
    Cancel(RequestId),
}

/// Stands for "no factor was asked": the bits of a NaN, which no factor has.
const NO_FACTOR: u64 = u64::MAX;
/// Cancelled requests that are remembered; the oldest of more have long ended.
const MOST_CANCELLED: usize = 64;

/// Shared flags, polled by the worker at every micro-step, block and token.
#[derive(Debug)]
pub struct Control {
    stop: AtomicBool,
    stop_answer: AtomicBool,
    stop_transfer: AtomicBool,
    pause: AtomicBool,
    save_now: AtomicBool,
    evaluate_now: AtomicBool,
    /// Bits of an f64, or `NO_FACTOR`.
    rate_factor: AtomicU64,
    superseded_below: AtomicU64,
    cancelled: RwLock<BTreeSet<RequestId>>,
    /// Whether there are any, so that polling takes no lock.
    any_cancelled: AtomicBool,
    closing: AtomicBool,
}

impl Default for Control {
    fn default() -> Self {
        Self {
            stop: AtomicBool::default(),
            stop_answer: AtomicBool::default(),
            stop_transfer: AtomicBool::default(),
            pause: AtomicBool::default(),
            save_now: AtomicBool::default(),
            evaluate_now: AtomicBool::default(),
            rate_factor: AtomicU64::new(NO_FACTOR),
            superseded_below: AtomicU64::default(),
            cancelled: RwLock::default(),
            any_cancelled: AtomicBool::default(),
            closing: AtomicBool::default(),
        }
    }
}

impl Control {
    pub fn wish(&self, wish: Wish) {
        match wish {
            Wish::Stop => self.stop.store(true, Ordering::Release),
            Wish::StopAnswer => self.stop_answer.store(true, Ordering::Release),
            Wish::StopTransfer => self.stop_transfer.store(true, Ordering::Release),
            Wish::Pause => self.pause.store(true, Ordering::Release),
            Wish::Resume => self.pause.store(false, Ordering::Release),
            Wish::SaveNow => self.save_now.store(true, Ordering::Release),
            Wish::EvaluateNow => self.evaluate_now.store(true, Ordering::Release),
            Wish::ScaleRate(factor) => self.rate_factor.store(factor.to_bits(), Ordering::Release),
            Wish::Supersede(request) => {
                self.superseded_below.fetch_max(request.0, Ordering::AcqRel);
            }
            Wish::Cancel(request) => self.cancel(request),
        }
    }

    fn cancel(&self, request: RequestId) {
        let mut cancelled = self.cancelled.write().unwrap_or_else(PoisonError::into_inner);
        cancelled.insert(request);
        if cancelled.len() > MOST_CANCELLED {
            cancelled.pop_first();
        }
        self.any_cancelled.store(true, Ordering::Release);
    }

    pub fn is_cancelled(&self, request: RequestId) -> bool {
        self.any_cancelled.load(Ordering::Acquire)
            && self.cancelled.read().unwrap_or_else(PoisonError::into_inner).contains(&request)
    }

    /// The engine is to end: whatever is under way stops.
    pub fn close(&self) {
        self.closing.store(true, Ordering::Release);
        self.stop();
    }

    pub fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    pub fn stop(&self) {
        self.wish(Wish::Stop);
    }

    pub fn stop_wanted(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// Whether the answer being written should break off; asking clears the wish.
    pub fn take_stop_answer(&self) -> bool {
        self.stop_answer.swap(false, Ordering::AcqRel)
    }

    pub fn stop_transfer_wanted(&self) -> bool {
        self.stop_transfer.load(Ordering::Acquire)
    }

    /// A transfer begins: earlier wishes were about others.
    pub fn transfer_begins(&self) {
        self.stop_transfer.store(false, Ordering::Release);
    }

    pub fn pause(&self) {
        self.wish(Wish::Pause);
    }

    pub fn resume(&self) {
        self.wish(Wish::Resume);
    }

    pub fn pause_wanted(&self) -> bool {
        self.pause.load(Ordering::Acquire)
    }

    pub fn save_now(&self) {
        self.wish(Wish::SaveNow);
    }

    /// Whether a checkpoint was asked for; asking clears the wish.
    pub fn take_save_now(&self) -> bool {
        self.save_now.swap(false, Ordering::AcqRel)
    }

    /// Whether an evaluation was asked for; asking clears the wish.
    pub fn take_evaluate_now(&self) -> bool {
        self.evaluate_now.swap(false, Ordering::AcqRel)
    }

    /// A new factor on the learning rate, once; finite and not negative.
    pub fn take_rate_factor(&self) -> Option<f64> {
        let factor = f64::from_bits(self.rate_factor.swap(NO_FACTOR, Ordering::AcqRel));
        Some(factor).filter(|factor| factor.is_finite() && *factor >= 0.0)
    }

    /// Whether a newer request made this one void.
    pub fn is_superseded(&self, request: RequestId) -> bool {
        request.0 < self.superseded_below.load(Ordering::Acquire)
    }

    /// Clear every wish about the current work: a new piece of work begins.
    pub fn reset(&self) {
        for flag in [&self.stop, &self.stop_answer, &self.pause, &self.save_now, &self.evaluate_now] {
            flag.store(false, Ordering::Release);
        }
        self.rate_factor.store(NO_FACTOR, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_factor_is_taken_once_and_zero_is_one() {
        let control = Control::default();
        assert_eq!(control.take_rate_factor(), None);
        control.wish(Wish::ScaleRate(0.0));
        assert_eq!(control.take_rate_factor(), Some(0.0));
        assert_eq!(control.take_rate_factor(), None);
        control.wish(Wish::ScaleRate(f64::INFINITY));
        assert_eq!(control.take_rate_factor(), None);
        control.wish(Wish::ScaleRate(0.5));
        control.reset();
        assert_eq!(control.take_rate_factor(), None);
    }

    #[test]
    fn only_older_requests_are_superseded() {
        let control = Control::default();
        control.wish(Wish::Supersede(RequestId(5)));
        control.wish(Wish::Supersede(RequestId(3)));
        assert!(control.is_superseded(RequestId(4)) && !control.is_superseded(RequestId(5)));
    }

    #[test]
    fn one_request_is_cancelled_and_stays_so() {
        let control = Control::default();
        control.wish(Wish::Cancel(RequestId(5)));
        control.reset();
        assert!(control.is_cancelled(RequestId(5)) && !control.is_cancelled(RequestId(4)));
        assert!(!control.stop_wanted() && !control.is_superseded(RequestId(4)));
        for later in 6..6 + MOST_CANCELLED as u64 {
            control.wish(Wish::Cancel(RequestId(later)));
        }
        assert!(!control.is_cancelled(RequestId(5)) && control.is_cancelled(RequestId(6)));
    }
}
