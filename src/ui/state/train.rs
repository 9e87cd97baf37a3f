//! The run under way, or the last one.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use protocol::{
    Event, Outcome, Phases, RequestId, RunEvent, RunId, RunSummary, StepMetrics, Text, UserError,
};

use super::Progress;
pub use super::history::History;

/// What the Train panel wants of a run; wishes to one under way are [`crate::action::Action::Wish`].
#[derive(Clone, Debug, PartialEq)]
pub enum TrainAction {
    /// Starts the run that the settings describe, in a new run folder.
    Start,
    /// Goes on in a run folder.
    Resume(PathBuf),
    /// Looks whether a run whose engine died can go on, and lets it.
    Recover(PathBuf),
    /// Multiplies the schedule's learning rate by this from here; replaces an earlier factor.
    ScaleRate(f64),
    /// Asks where to, and writes the figures of these runs (and of the one under way) as a table.
    SaveFigures(Vec<PathBuf>),
    /// Takes a picture of this part of the window (in points), asks where to, and writes it.
    SavePicture(egui::Rect),
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
    /// The first step that this window saw happen: what it reads of later ones is older.
    pub live_from: Option<u64>,
    /// The folder whose records were asked for, or which had none.
    pub history_asked: Option<PathBuf>,
    /// Earlier runs whose figures go into the table that is being saved.
    pub figures: Vec<PathBuf>,
    pub picture: Option<Picture>,
}

/// A picture of a part of the window that waits for its pixels and for its file's name.
#[derive(Debug)]
pub struct Picture {
    /// In points.
    pub area: egui::Rect,
    /// Pixels a point, when it was taken.
    pub scale: f32,
    /// Set by the renderer, once.
    pub shot: Arc<OnceLock<Arc<egui::ColorImage>>>,
    pub path: Option<PathBuf>,
}

/// How many steps the parts of a step are averaged over.
const PHASE_STEPS: usize = 50;

impl TrainState {
    pub fn is_active(&self) -> bool {
        !matches!(self.phase, RunPhase::None | RunPhase::Ended)
    }

    /// The most memory that the run took, and what it was forecast to take; None while one of them is unknown.
    pub fn peak(&self) -> Option<(u64, u64)> {
        let Some(Outcome::Finished { peak_bytes, .. }) = &self.outcome else { return None };
        let told = self.summary.as_ref()?.forecast.total;
        (*peak_bytes > 0 && told > 0).then_some((*peak_bytes, told))
    }

    pub fn last_step(&self) -> Option<&StepMetrics> {
        self.history.steps.last()
    }

    pub fn reduce(&mut self, event: &Event) {
        match event {
            Event::Run { request, run, update } => self.reduce_run(*request, run, update),
            Event::Progress { request, .. } if self.request == Some(*request) => {
                self.progress = Progress::of(event, *request);
            }
            // What this window did not see of a run it attached to, or of one that is resumed.
            Event::RunRead { dir, steps, evals, samples, report, .. } if self.dir.as_ref() == Some(dir) => {
                self.history.read(steps, evals, samples, self.live_from.unwrap_or(u64::MAX));
                if let Some(report) = report {
                    self.history.report(report);
                }
            }
            Event::Stopped if self.is_active() => {
                self.phase = RunPhase::Ended;
                self.progress = None;
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
                self.live_from = None;
                self.dir = Some(dir.clone());
                self.summary = Some((**summary).clone());
                self.outcome = None;
                // A wish to stop that came while it loaded still holds.
                if self.phase != RunPhase::Stopping {
                    self.phase = RunPhase::Training;
                }
            }
            RunEvent::Stepped { steps, seconds_left } => {
                self.live_from = self.live_from.or(steps.first().map(|step| step.step));
                self.history.extend(steps);
                self.seconds_left = *seconds_left;
                self.progress = None;
            }
            RunEvent::Evaluated { eval } => {
                self.history.evaluated(eval);
                self.progress = None;
            }
            RunEvent::Sampled { sample } => self.history.sampled(sample),
            RunEvent::RateChanged { step, factor } => {
                self.rate_factor = Some(*factor);
                self.history.rate_changes.push((*step, *factor));
            }
            RunEvent::Saved { step, .. } => {
                self.history.saved(*step);
                self.progress = None;
            }
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

    /// Where the time of the last steps went, a mean step in seconds; None where no step tells.
    pub fn phases(&self) -> Option<Phases> {
        let told: Vec<Phases> =
            self.history.steps.iter().rev().take(PHASE_STEPS).filter_map(|step| step.phases).collect();
        let mean = |part: fn(&Phases) -> f64| {
            let sum: f64 = told.iter().map(part).filter(|seconds| seconds.is_finite()).sum();
            sum.max(0.0) / told.len() as f64
        };
        (!told.is_empty()).then(|| Phases {
            data: mean(|phases| phases.data),
            forward: mean(|phases| phases.forward),
            head: mean(|phases| phases.head),
            backward: mean(|phases| phases.backward),
            optimizer: mean(|phases| phases.optimizer),
        })
    }

    pub fn fail(&mut self, request: RequestId, error: &UserError) -> bool {
        let ours = self.request == Some(request) && self.is_active();
        if ours {
            self.phase = RunPhase::Ended;
            self.progress = None;
            self.outcome = Some(Outcome::Failed { error: Box::new(error.clone()) });
        }
        ours
    }
}
