//! The end of a frame: the only place where actions change the state or reach the engine and the desktop.

mod browse;
mod chat;
mod command;
pub use command::DATA_EXTENSIONS;
mod data;
mod evaluate;
mod export;
mod handoff;
mod host;
mod hub;
mod predict;
mod runs;
mod train;

use egui::Context;
use protocol::Text;

use crate::action::Action;
use crate::client::EngineClient;
use crate::desktop::{Desktop, DesktopEvent, DesktopRequest, Purpose};
use crate::layout::Workspace;
use crate::state::AppState;
use crate::state::toasts::{Level, Toast};

/// What actions may touch.
pub struct Apply<'a> {
    pub state: &'a mut AppState,
    pub engine: &'a mut dyn EngineClient,
    pub desktop: &'a mut dyn Desktop,
    pub workspace: &'a mut Workspace,
    pub egui: &'a Context,
}

impl Apply<'_> {
    pub fn all(&mut self, actions: Vec<Action>) {
        for action in actions {
            self.one(action);
        }
    }

    fn one(&mut self, action: Action) {
        let now = self.state.now;
        match action {
            Action::Edit(config) => self.state.project.edit(*config, now),
            Action::Mend(remedy) => match self.state.project.mended(&remedy) {
                Some(config) => self.state.project.edit(config, now),
                None => self.toast(
                    Level::Warning,
                    Text::fixed("These settings cannot be changed so", "无法应用此更改"),
                ),
            },
            Action::Open(panel) => self.workspace.open(&panel),
            Action::Command(command) => self.command(command),
            Action::Preferences(preferences) => self.state.preferences = *preferences,
            Action::Wish(wish) => self.engine.wish(wish),
            Action::Data(action) => self.data(action),
            Action::Train(action) => self.train(action),
            Action::Chat(action) => self.chat(action),
            Action::Export(action) => self.export(action),
            Action::Handoff(action) => self.handoff(action),
            Action::Predict(action) => self.predict(action),
            Action::Evaluate(action) => self.evaluate(action),
            Action::Runs(action) => self.runs(action),
            Action::Desktop(request) => self.ask_desktop(request),
            Action::Browse(action) => self.browse(action),
            Action::Host { hosting, keep_running } => self.host(&hosting, keep_running),
            Action::Hub(action) => self.hub(action),
            Action::OpenProject(path) => self.open_project(path),
            Action::Toast(toast) => self.state.toasts.push(toast, now),
            Action::DismissToast(id) => self.state.toasts.dismiss(id),
            Action::Close { keep_running } => {
                self.state.closing = true;
                self.state.closing_keeps_run = keep_running;
                self.egui.request_repaint();
            }
            Action::Ask(question) => self.state.question = Some(*question),
            Action::Answer(choice) => self.answer(choice),
        }
    }

    fn answer(&mut self, choice: Option<usize>) {
        let Some(question) = self.state.question.take() else { return };
        let chosen = choice.and_then(|index| question.choices.into_iter().nth(index));
        self.all(chosen.map(|choice| choice.then).unwrap_or_default());
    }

    pub fn toast(&mut self, level: Level, text: Text) {
        let now = self.state.now;
        self.state.toasts.push(Toast::new(level, text), now);
    }

    /// What the desktop answered.
    pub fn desktop_event(&mut self, event: DesktopEvent) {
        match event {
            DesktopEvent::Picked { purpose, paths } if !paths.is_empty() => self.picked(purpose, paths),
            DesktopEvent::Picked { .. } => {}
            DesktopEvent::Written(path) => {
                let path = path.display();
                self.toast(Level::Success, protocol::text!("Written: {path}", "已写入：{path}"));
            }
            DesktopEvent::Classified(dropped) => self.dropped(dropped),
            DesktopEvent::Starter { project, project_zh } => self.starter(project, project_zh),
            DesktopEvent::Failed(error) => {
                let now = self.state.now;
                self.state.toasts.error(&error, now);
            }
        }
    }

    fn picked(&mut self, purpose: Purpose, paths: Vec<std::path::PathBuf>) {
        let Some(first) = paths.first().cloned() else { return };
        let mut config = self.state.project.config.clone();
        let now = self.state.now;
        match purpose {
            Purpose::Model => {
                self.remember_model(&first);
                config.model.path = first;
                self.state.project.edit(config, now);
            }
            Purpose::TrainFiles => {
                for path in paths {
                    if !config.data.train.contains(&path) {
                        config.data.train.push(path);
                    }
                }
                self.state.project.edit(config, now);
            }
            Purpose::ValidationFiles => {
                config.data.validation = protocol::config::Validation::Files(paths);
                self.state.project.edit(config, now);
            }
            Purpose::TemplateFile => {
                config.data.template = first.display().to_string();
                self.state.project.edit(config, now);
            }
            Purpose::OpenProject => self.open_project(first),
            Purpose::SaveProject => self.save_project_to(first),
            Purpose::AdapterFolder => self.chat_adapter_picked(first),
            Purpose::HandoffFolder => self.state.handoff.choices.parent = Some(first),
            Purpose::ExportFolder => self.export_folder_picked(first),
            Purpose::SaveRecipe => self.save_project_copy(first),
            Purpose::ImportRun => self.runs_import(first),
            Purpose::InitFrom => {
                config.method.init_from = first;
                self.state.project.edit(config, now);
            }
            Purpose::VocabularyFile => {
                config.vocabulary.file = first;
                self.state.project.edit(config, now);
            }
            Purpose::VocabularyTexts => {
                for path in paths {
                    if !config.vocabulary.train_on.contains(&path) {
                        config.vocabulary.train_on.push(path);
                    }
                }
                self.state.project.edit(config, now);
            }
            Purpose::VocabularyFolder => {
                config.vocabulary.extended = first;
                self.state.project.edit(config, now);
            }
            Purpose::PredictInput | Purpose::PredictOutput | Purpose::PredictAdapter => {
                self.predict_picked(purpose, first);
            }
            Purpose::EvaluationFolder
            | Purpose::EvaluationFile
            | Purpose::EvaluationAdapter
            | Purpose::EvaluationTable => self.evaluate_picked(purpose, first),
            Purpose::AnalysisSets | Purpose::FilteredFile | Purpose::HeatAdapter | Purpose::ConvertedFile => {
                self.data_picked(purpose, paths);
            }
            Purpose::JoinFolder => self.chat_joined(first),
            Purpose::RunsFolder => self.state.preferences.runs_dir = Some(first),
            Purpose::SaveFigures | Purpose::SavePicture => self.runs_save_picked(purpose, first),
        }
    }

    /// Asks for paths of a kind that panels need often.
    pub fn pick_files(&mut self, purpose: Purpose, extensions: &[&str], many: bool) {
        let extensions = extensions.iter().map(|extension| (*extension).to_owned()).collect();
        self.ask_desktop(DesktopRequest::PickFiles { purpose, extensions, many });
    }
}
