//! The run under way, or the last one.

use std::path::PathBuf;

use protocol::{
    EvalMetrics, Event, Outcome, RequestId, RunEvent, RunId, RunSummary, SampleMetrics, StepMetrics, Text,
    UserError,
};

use super::Progress;

/// What the Train panel wants of a run; wishes to one under way are [`crate::action::Action::Wish`].
#[derive(Clone, Debug, PartialEq)]
pub enum TrainAction {
    /// Starts the run that the settings describe, in a new run folder.
    Start,
    /// Goes on in a run folder.
    Resume(PathBuf),
    /// Multiplies the learning rate from here.
    ScaleRate(f64),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RunPhase {
    #[default]
    None,
    /// Sent; the engine plans and loads.
    Starting,
    Training,
    Pausing,
    Paused,
    Stopping,
    Ended,
}

/// Figures of a run, in order of steps.
#[derive(Clone, Debug, Default)]
pub struct History {
    pub steps: Vec<StepMetrics>,
    pub evals: Vec<EvalMetrics>,
    pub samples: Vec<SampleMetrics>,
    /// Steps with a checkpoint.
    pub saved: Vec<u64>,
    /// Step and factor of each change of the learning rate by hand.
    pub rate_changes: Vec<(u64, f64)>,
}

impl History {
    /// Adds steps; what was known from that step on (before a resume) is replaced.
    pub fn extend(&mut self, steps: &[StepMetrics]) {
        if let (Some(first), Some(last)) = (steps.first(), self.steps.last())
            && first.step <= last.step
        {
            let keep = self.steps.partition_point(|known| known.step < first.step);
            self.steps.truncate(keep);
        }
        self.steps.extend_from_slice(steps);
    }
}

#[derive(Debug, Default)]
pub struct TrainState {
    pub phase: RunPhase,
    pub request: Option<RequestId>,
    pub run: Option<RunId>,
    pub dir: Option<PathBuf>,
    pub summary: Option<RunSummary>,
    pub history: History,
    pub seconds_left: Option<f64>,
    /// Loading, evaluating, saving.
    pub progress: Option<Progress>,
    pub rate_factor: Option<f64>,
    pub notices: Vec<Text>,
    pub outcome: Option<Outcome>,
}

impl TrainState {
    pub fn is_active(&self) -> bool {
        !matches!(self.phase, RunPhase::None | RunPhase::Ended)
    }

    pub fn last_step(&self) -> Option<&StepMetrics> {
        self.history.steps.last()
    }

    pub fn reduce(&mut self, event: &Event) {
        match event {
            Event::Run { request, run, update } => self.reduce_run(*request, run, update),
            Event::Progress { request, stage, done, total, seconds_left }
                if self.request == Some(*request) =>
            {
                self.progress = Some(Progress {
                    stage: stage.clone(),
                    done: *done,
                    total: *total,
                    seconds_left: *seconds_left,
                });
            }
            // What this window did not see of a run it attached to, or of one that is resumed.
            Event::RunRead { dir, steps, evals, samples, .. } if self.dir.as_ref() == Some(dir) => {
                self.read(steps, evals, samples);
            }
            Event::Ready { .. } | Event::Stopped if self.is_active() && matches!(event, Event::Stopped) => {
                self.phase = RunPhase::Ended;
            }
            _ => {}
        }
    }

    fn reduce_run(&mut self, request: RequestId, run: &RunId, update: &RunEvent) {
        self.request = Some(request);
        self.run = Some(run.clone());
        match update {
            RunEvent::Planned { dir, summary } => {
                if self.dir.as_ref() != Some(dir) {
                    self.history = History::default();
                }
                self.dir = Some(dir.clone());
                self.summary = Some(summary.clone());
                self.phase = RunPhase::Training;
                self.outcome = None;
            }
            RunEvent::Stepped { steps, seconds_left } => {
                self.history.extend(steps);
                self.seconds_left = *seconds_left;
                self.progress = None;
            }
            RunEvent::Evaluated { eval } => {
                self.history.evals.retain(|known| known.step < eval.step);
                self.history.evals.push(eval.clone());
                self.progress = None;
            }
            RunEvent::Sampled { sample } => self.history.samples.push(sample.clone()),
            RunEvent::RateChanged { step, factor } => {
                self.rate_factor = Some(*factor);
                self.history.rate_changes.push((*step, *factor));
            }
            RunEvent::Saved { step, .. } => self.history.saved.push(*step),
            RunEvent::Paused { .. } => self.phase = RunPhase::Paused,
            RunEvent::Resumed { .. } => self.phase = RunPhase::Training,
            RunEvent::Notice { text } => self.notices.push(text.clone()),
            RunEvent::Ended { outcome } => {
                self.phase = RunPhase::Ended;
                self.outcome = Some(outcome.clone());
                self.progress = None;
                self.seconds_left = None;
            }
        }
    }

    /// Puts what a run recorded before the steps that are known already.
    fn read(&mut self, steps: &[StepMetrics], evals: &[EvalMetrics], samples: &[SampleMetrics]) {
        let first = self.history.steps.first().map_or(u64::MAX, |step| step.step);
        let mut merged: Vec<_> = steps.iter().filter(|step| step.step < first).cloned().collect();
        let end = self.history.steps.partition_point(|step| step.step < merged.first().map_or(0, |s| s.step));
        merged.append(&mut self.history.steps.split_off(end));
        self.history.steps.append(&mut merged);
        for eval in evals {
            if self.history.evals.iter().all(|known| known.step != eval.step) {
                self.history.evals.push(eval.clone());
            }
        }
        self.history.evals.sort_by_key(|eval| eval.step);
        for sample in samples {
            if !self.history.samples.contains(sample) {
                self.history.samples.push(sample.clone());
            }
        }
        self.history.samples.sort_by_key(|sample| sample.step);
    }

    pub fn fail(&mut self, request: RequestId, error: &UserError) -> bool {
        let ours = self.request == Some(request) && self.is_active();
        if ours {
            self.phase = RunPhase::Ended;
            self.outcome = Some(Outcome::Failed { error: Box::new(error.clone()) });
        }
        ours
    }
}
