//! What the engine's work thread has been asked and has not answered.

use std::collections::HashSet;

use protocol::{Command, Control, Event, RequestId, Thread};

/// Wishes are about the work under way. When the last of it ends, and when the first of it begins, those that came too
/// late for what was before are taken back.
#[derive(Debug, Default)]
pub struct Work {
    open: HashSet<RequestId>,
    runs: HashSet<RequestId>,
}

impl Work {
    /// To be called before the command is handed on, so that a wish that follows it counts.
    pub fn begins(&mut self, command: &Command, control: &Control) {
        let Some(request) = command.request().filter(|_| command.thread() == Thread::Work) else { return };
        if self.open.is_empty() {
            control.reset();
        }
        self.open.insert(request);
        if matches!(command, Command::Run(_)) {
            self.runs.insert(request);
        }
    }

    pub fn heard(&mut self, event: &Event, control: &Control) {
        let Some(ended) = event.request().filter(|_| event.is_last()) else { return };
        self.runs.remove(&ended);
        if self.open.remove(&ended) && self.open.is_empty() {
            control.reset();
        }
    }

    /// The numbers of what is under way.
    pub fn open(&self) -> Vec<u64> {
        self.open.iter().map(|request| request.0).collect()
    }

    /// Whether a run is under way: asked for, and not ended.
    pub fn has_run(&self) -> bool {
        !self.runs.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use protocol::{Outcome, RunCommand, RunEvent, RunId, Text, UserError, Wish};

    use super::*;

    #[test]
    fn wishes_count_for_the_work_they_were_made_in() {
        let (mut work, control) = (Work::default(), Control::default());
        control.wish(Wish::Stop);
        let resume = Command::Run(RunCommand::Resume { request: RequestId(3), dir: "a".into() });
        work.begins(&resume, &control);
        assert!(!control.stop_wanted(), "a wish from before");
        assert!(work.has_run());
        control.wish(Wish::Pause);
        let error = Box::new(UserError::failure(Text::fixed("x", "x")));
        work.heard(&Event::Failed { request: Some(RequestId(9)), error: error.clone() }, &control);
        assert!(control.pause_wanted(), "another request's end");
        let outcome = Outcome::Failed { error };
        let (request, run) = (RequestId(3), RunId("a".into()));
        work.heard(&Event::Run { request, run, update: RunEvent::Ended { outcome } }, &control);
        assert!(!control.pause_wanted() && !work.has_run());
    }
}
