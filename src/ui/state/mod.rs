//! What the window knows. Events are folded in by [`AppState::reduce`], pure and tested; only `apply` changes the rest.

pub mod analysis;
pub mod browse;
pub mod chat;
pub mod convert;
pub mod data;
pub mod engine;
pub mod evaluate;
pub mod export;
pub mod handoff;
pub mod heat;
pub mod history;
pub mod hub;
pub mod mix;
pub mod monitor;
pub mod predict;
pub mod problems;
pub mod project;
pub mod question;
pub mod recovery;
pub mod requested;
pub mod runs;
pub mod toasts;
pub mod train;
pub mod tuned;

use std::path::{Path, PathBuf};

use protocol::{Estimate, Event, Language, ModelReport, RequestId, RunConfig, UserError};

pub use requested::{Progress, Requested};

use crate::client::LinkState;
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
    pub handoff: handoff::HandoffState,
    pub predict: predict::PredictState,
    pub evaluate: evaluate::EvaluateState,
    pub runs: runs::RunsState,
    pub hub: hub::HubState,
    pub monitor: monitor::Monitor,
    pub toasts: toasts::Toasts,
    pub question: Option<question::Question>,
    /// The dialog for files of another machine.
    pub browse: Option<browse::Browse>,
    pub recovery: recovery::Recovery,
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

    /// The other machine on which the engine runs, if it does.
    pub fn other_machine(&self) -> Option<&str> {
        self.preferences.hosting.other_machine()
    }

    /// Where runs are kept: the choice made for this machine says nothing of another one.
    pub fn runs_dir(&self) -> Option<PathBuf> {
        self.preferences.runs_dir.clone().filter(|_| self.other_machine().is_none())
    }

    /// The starter project, in English and Chinese: it lies on this machine.
    pub fn starter(&self) -> Option<&(PathBuf, PathBuf)> {
        self.starter.as_ref().filter(|_| self.other_machine().is_none())
    }

    /// How the line to the engine is now; what matters of a change is said once.
    pub fn linked(&mut self, link: LinkState) {
        let host = self.other_machine().unwrap_or_default().to_owned();
        match &link {
            LinkState::Lost { error, .. } if !self.engine.broken => {
                self.engine.broken = true;
                let (text, error) = (error.what.clone(), Some((**error).clone()));
                self.toasts.push(toasts::Toast { level: toasts::Level::Warning, text, error }, self.now);
            }
            LinkState::Attached if self.engine.broken => {
                self.engine.broken = false;
                let text = protocol::text!("Connected to {host} again", "已重新连接到 {host}");
                self.toasts.push(toasts::Toast::new(toasts::Level::Success, text), self.now);
            }
            LinkState::Ended => self.engine.broken = false,
            _ => {}
        }
        self.engine.link = link;
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
        self.handoff.reduce(event);
        self.predict.reduce(event);
        self.evaluate.reduce(event);
        self.runs.reduce(event);
        self.recovery.reduce(event);
        if let Some(browse) = &mut self.browse {
            browse.reduce(event);
        }
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
            || self.handoff.fail(request, error)
            || self.predict.fail(request, error)
            || self.evaluate.fail(request, error)
            || self.runs.fail(request, error)
            || self.browse.as_ref().is_some_and(|browse| browse.listing.awaits(request))
            || self.hub.fail(request, error);
        self.model.fail(request, error);
        self.estimate.fail(request, error);
        self.full_cost.fail(request, error);
        if let Some(browse) = &mut self.browse {
            browse.listing.fail(request, error);
        }
        if !inline {
            self.toasts.error(error, self.now);
        }
    }
}
