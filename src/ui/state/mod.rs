//! What the window knows. Events are folded in by [`AppState::reduce`], pure and tested; only `apply` changes the rest.

pub mod analysis;
pub mod chat;
pub mod convert;
pub mod data;
pub mod engine;
pub mod evaluate;
pub mod export;
pub mod heat;
pub mod history;
pub mod hub;
pub mod mix;
pub mod monitor;
pub mod predict;
pub mod problems;
pub mod project;
pub mod question;
pub mod requested;
pub mod runs;
pub mod toasts;
pub mod train;
pub mod tuned;

use std::path::{Path, PathBuf};

use protocol::{Estimate, Event, Language, ModelReport, RequestId, RunConfig, UserError};

pub use requested::{Progress, Requested};

use crate::persisted::Preferences;

#[derive(Debug, Default)]
pub struct AppState {
    pub preferences: Preferences,
    pub engine: engine::EngineState,
    pub project: project::Project,
    /// The model folder of the project.
    pub model: Requested<Box<ModelReport>>,
    pub data: data::DataState,
    /// What the settings cost.
    pub estimate: Requested<Box<Estimate>>,
    /// The method that `estimate` was last asked for: it is older than the settings while they differ.
    pub estimated_method: Option<protocol::config::MethodConfig>,
    /// What the same run costs when every parameter is trained: to compare with.
    pub full_cost: Requested<Box<Estimate>>,
    pub train: train::TrainState,
    pub chat: chat::ChatState,
    pub export: export::ExportState,
    pub predict: predict::PredictState,
    pub evaluate: evaluate::EvaluateState,
    pub runs: runs::RunsState,
    pub hub: hub::HubState,
    pub monitor: monitor::Monitor,
    pub toasts: toasts::Toasts,
    pub question: Option<question::Question>,
    /// A project being read.
    pub opening: Requested<()>,
    /// The project being written.
    pub saving: Option<RequestId>,
    /// Where the starter project lies, in English and Chinese.
    pub starter: Option<(PathBuf, PathBuf)>,
    /// The window closes; what becomes of a run under way.
    pub closing: bool,
    pub closing_keeps_run: bool,
    /// The language of the system.
    pub system_language: Language,
    /// Seconds since the window opened: injected, so that tests decide the time.
    pub now: f64,
    last_request: u64,
}

impl AppState {
    /// What the user reads.
    pub fn language(&self) -> Language {
        self.preferences.language.unwrap_or(self.system_language)
    }

    /// A number for a new request.
    pub fn next_request(&mut self) -> RequestId {
        self.last_request += 1;
        RequestId(self.last_request)
    }

    /// Whether the model is taken by work that a wish to stop would end: one piece is done at a time.
    pub fn is_at_work(&self) -> bool {
        let analysis = &self.data.analysis;
        let asks = analysis.asked.as_ref().is_some_and(|asked| asked.checks.ask_the_model());
        self.export.is_busy()
            || self.predict.is_busy()
            || self.evaluate.is_busy()
            || (analysis.is_busy() && asks)
    }

    /// Folds an event of the engine in.
    pub fn reduce(&mut self, event: &Event) {
        self.engine.reduce(event);
        self.data.reduce(event);
        self.train.reduce(event);
        self.chat.reduce(event);
        self.export.reduce(event);
        self.predict.reduce(event);
        self.evaluate.reduce(event);
        self.runs.reduce(event);
        self.hub.reduce(event);
        match event {
            Event::Device { stats } => self.monitor.push(self.now, *stats),
            Event::Inspected { request, report } => self.model.answer(*request, report.clone()),
            Event::Estimated { request, estimate } => {
                self.full_cost.answer(*request, estimate.clone());
                self.estimate.answer(*request, estimate.clone());
            }
            Event::Superseded { request } => {
                self.model.supersede(*request);
                self.estimate.supersede(*request);
                self.full_cost.supersede(*request);
            }
            Event::Progress { .. } => self.model.tell_progress(event),
            Event::ProjectRead { request, path, config } if self.opening.awaits(*request) => {
                self.opened(path, config);
            }
            Event::ProjectWritten { request, path } => self.written(*request, path),
            Event::Failed { request, error } => self.failed(*request, error),
            _ => {}
        }
    }

    fn opened(&mut self, path: &Path, config: &RunConfig) {
        self.opening.clear();
        self.project = project::Project::opened(path.to_path_buf(), config.clone());
        crate::persisted::remember(&mut self.preferences.recent_projects, path);
    }

    fn written(&mut self, request: RequestId, path: &Path) {
        if self.saving == Some(request) {
            self.saving = None;
            self.project.saved_to(path.to_path_buf());
            crate::persisted::remember(&mut self.preferences.recent_projects, path);
        }
        let shown = path.display();
        let text = protocol::text!("Saved: {shown}", "已保存：{shown}");
        self.toasts.push(toasts::Toast::new(toasts::Level::Success, text), self.now);
    }

    /// An error is shown once: where its request was made, else as a toast.
    fn failed(&mut self, request: Option<RequestId>, error: &UserError) {
        let Some(request) = request else {
            return self.toasts.error(error, self.now);
        };
        let inline = self.model.awaits(request)
            || self.estimate.awaits(request)
            || self.full_cost.awaits(request)
            || self.data.fail(request, error)
            || self.train.fail(request, error)
            || self.chat.fail(request, error)
            || self.export.fail(request, error)
            || self.predict.fail(request, error)
            || self.evaluate.fail(request, error)
            || self.runs.fail(request, error)
            || self.hub.fail(request, error);
        self.model.fail(request, error);
        self.estimate.fail(request, error);
        self.full_cost.fail(request, error);
        if !inline {
            self.toasts.error(error, self.now);
        }
    }
}
