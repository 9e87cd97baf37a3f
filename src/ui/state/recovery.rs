//! What is done by itself after the engine died: it is started again, and a run that was under way goes on.

use std::path::PathBuf;

use protocol::{Event, RequestId, RunReport, RunState, Text, text};

use crate::words::hosting as words;

/// So often within so many seconds: an engine that dies again and again is left alone.
const RESTARTS: usize = 3;
const WITHIN: f64 = 600.0;

#[derive(Debug, Default)]
pub struct Recovery {
    /// When it was restarted by itself, by the window's clock.
    restarts: Vec<f64>,
    /// The run that was under way when the engine died.
    run: Option<PathBuf>,
    /// Its report is being read.
    asked: Option<RequestId>,
    report: Option<Box<RunReport>>,
    /// The run that went on by itself, and the checkpoint it went on from: from the same one it does so only once.
    resumed: Option<(PathBuf, u64)>,
}

/// What becomes of the run.
#[derive(Debug, PartialEq)]
pub enum Verdict {
    Resume(PathBuf, Text),
    Leave(Text),
}

impl Recovery {
    /// The engine died, perhaps with a run.
    pub fn died(&mut self, run: Option<PathBuf>) {
        self.run = run.or(self.run.take());
    }

    /// Whether it is started again by itself; asking counts.
    pub fn may_restart(&mut self, now: f64) -> bool {
        self.restarts.retain(|then| now - then < WITHIN);
        let may = self.restarts.len() < RESTARTS;
        if may {
            self.restarts.push(now);
        }
        may
    }

    /// The run to look after, once there is an engine again.
    pub fn take_run(&mut self) -> Option<PathBuf> {
        self.run.take()
    }

    pub fn asked(&mut self, request: RequestId) {
        self.asked = Some(request);
    }

    pub fn reduce(&mut self, event: &Event) {
        match event {
            Event::RunRead { request, report: Some(report), .. } if self.asked == Some(*request) => {
                self.asked = None;
                self.report = Some(report.clone());
            }
            Event::Failed { request, .. } if request.is_some() && self.asked == *request => self.asked = None,
            _ => {}
        }
    }

    /// What the report says, once.
    pub fn take_verdict(&mut self) -> Option<Verdict> {
        let report = self.report.take()?;
        let step = report.checkpoints.iter().map(|checkpoint| checkpoint.step).max();
        let (name, dir) = (&report.name, report.dir.clone());
        Some(match (report.state, step) {
            (RunState::Finished, _) => Verdict::Leave(words::RUN_WAS_DONE.clone()),
            (RunState::Unfinished | RunState::Running, Some(step)) => {
                let again = (dir.clone(), step);
                if self.resumed.as_ref() == Some(&again) {
                    return Some(Verdict::Leave(text!(
                        "{name} ended twice after its checkpoint at step {step}; it is not resumed by itself",
                        "{name} 在第 {step} 步的检查点之后两次中断，不再自动恢复"
                    )));
                }
                self.resumed = Some(again);
                Verdict::Resume(
                    dir,
                    text!(
                        "{name} goes on from its checkpoint at step {step}",
                        "{name} 从第 {step} 步的检查点继续"
                    ),
                )
            }
            _ => Verdict::Leave(words::NO_CHECKPOINT.clone()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_that_dies_again_and_again_is_left_alone() {
        let mut recovery = Recovery::default();
        let restarted: Vec<_> = (0..5).map(|n| recovery.may_restart(f64::from(n))).collect();
        assert_eq!(restarted, [true, true, true, false, false]);
        assert!(recovery.may_restart(WITHIN + 1.0));
    }
}
