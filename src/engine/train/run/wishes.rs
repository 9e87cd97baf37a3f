//! What the user wishes of a run under way.

use protocol::{Result, RunEvent};

use super::{Ending, Run};
use crate::train::step::Learner;

impl Run<'_> {
    /// Stop and pause save first, so that nothing is lost by them.
    pub(super) fn asked_to_end(&mut self, learner: &mut Learner) -> Result<Option<Ending>> {
        if self.control.stop_wanted() {
            self.save(learner)?;
            self.wait_for_checkpoint()?;
            return Ok(Some(Ending::Stopped));
        }
        if self.control.pause_wanted() {
            self.save(learner)?;
            self.wait_for_checkpoint()?;
            return Ok(Some(Ending::Paused));
        }
        Ok(None)
    }

    /// The rate of the next step. A step that was not applied does not advance the schedule.
    pub(super) fn rate(&self) -> f64 {
        self.plan.schedule.rate(u64::from(self.state.updates)) * self.state.rate_factor()
    }

    /// Takes a new factor on the rate, which counts from the next step on.
    pub(super) fn hear_rate(&mut self) {
        if let Some(factor) = self.control.take_rate_factor() {
            self.state.set_rate_factor(factor);
            self.tell_rate();
        }
    }

    pub(super) fn tell_rate(&mut self) {
        let (step, factor) = (self.state.step + 1, self.state.rate_factor());
        self.tell(RunEvent::RateChanged { step, factor });
    }

    /// The run's tensors are gone; so that the device is free for other things, their memory goes back, too.
    pub(super) fn wait_out_pause(&mut self) {
        self.chosen.device.memory_cleanup();
        let step = self.state.step;
        self.tell(RunEvent::Paused { step });
        self.sink.drain();
        while self.control.pause_wanted() && !self.control.stop_wanted() && !self.sink.is_gone() {
            self.meanwhile.paused(self.sink);
            self.sink.drain();
        }
        self.meanwhile.resumed();
        if self.sink.is_gone() {
            self.control.stop();
        }
        self.control.resume();
        self.tell(RunEvent::Resumed { step });
    }
}
