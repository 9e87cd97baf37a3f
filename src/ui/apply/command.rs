//! What the palette, the shortcuts and the buttons of the frame do.

use std::path::{Path, PathBuf};

use egui::ViewportCommand;
use protocol::{Command, Language, Wish};

use super::Apply;
use crate::command::UiCommand;
use crate::desktop::{DesktopRequest, DroppedKind, DroppedPath, Purpose};
use crate::persisted::{ThemeChoice, remember};
use crate::state::project::Project;
use crate::state::train::{RunPhase, TrainAction};

/// Data files the engine reads.
pub const DATA_EXTENSIONS: [&str; 8] = ["jsonl", "json", "csv", "tsv", "txt", "parquet", "gz", "zst"];

impl Apply<'_> {
    pub(super) fn command(&mut self, command: UiCommand) {
        use UiCommand as C;
        match command {
            C::Palette => self.workspace.palette.toggle(),
            C::NewProject => self.new_project(),
            C::OpenProject => self.pick_files(Purpose::OpenProject, &["toml"], false),
            C::SaveProject => match self.state.project.path.clone() {
                Some(path) => self.save_project_to(path),
                None => self.command(C::SaveProjectAs),
            },
            C::SaveProjectAs => {
                let suggested = format!("{}.toml", self.state.project.file_name());
                self.ask_desktop(DesktopRequest::PickSave { purpose: Purpose::SaveProject, suggested });
            }
            C::OpenModel => {
                let start = self.state.project.config.model.path.parent().map(Path::to_path_buf);
                self.ask_desktop(DesktopRequest::PickFolder { purpose: Purpose::Model, start });
            }
            C::AddData => self.pick_files(Purpose::TrainFiles, &DATA_EXTENSIONS, true),
            C::StartRun => self.train(TrainAction::Start),
            C::PauseOrResume => self.pause_or_resume(),
            C::StopRun => {
                if self.state.train.is_active() {
                    self.state.train.phase = RunPhase::Stopping;
                    self.engine.wish(Wish::Stop);
                }
            }
            C::SaveNow => self.engine.wish(Wish::SaveNow),
            C::EvaluateNow => self.engine.wish(Wish::EvaluateNow),
            C::Undo => self.state.project.undo(),
            C::Redo => self.state.project.redo(),
            C::ToggleTheme => {
                let dark = self.egui.theme() == egui::Theme::Dark;
                self.state.preferences.theme = if dark { ThemeChoice::Light } else { ThemeChoice::Dark };
            }
            C::ToggleLanguage => {
                let chinese = self.state.language() == Language::Chinese;
                let language = if chinese { Language::English } else { Language::Chinese };
                self.state.preferences.language = Some(language);
            }
            C::ToggleSummary => {
                self.state.preferences.summary_folded = !self.state.preferences.summary_folded;
            }
            C::ResetLayout => self.workspace.reset(),
            C::SplitChat => self.workspace.split_chat(),
            C::ZoomIn => self.zoom(1.1),
            C::ZoomOut => self.zoom(1.0 / 1.1),
            C::ZoomReset => self.state.preferences.zoom = 1.0,
            C::RestartEngine => {
                self.state.engine = Default::default();
                self.engine.restart();
            }
            C::FrameTimes => self.workspace.show_frame_times = !self.workspace.show_frame_times,
            C::Quit => self.egui.send_viewport_cmd(ViewportCommand::Close),
        }
    }

    fn zoom(&mut self, by: f32) {
        let zoom = &mut self.state.preferences.zoom;
        *zoom = ((*zoom * by).clamp(0.6, 3.0) * 20.0).round() / 20.0;
    }

    fn pause_or_resume(&mut self) {
        match self.state.train.phase {
            RunPhase::Training => {
                self.state.train.phase = RunPhase::Pausing;
                self.engine.wish(Wish::Pause);
            }
            RunPhase::Pausing => {
                // Taken back: if the engine had not heard of it yet, it says nothing of it.
                self.state.train.phase = RunPhase::Training;
                self.engine.wish(Wish::Resume);
            }
            RunPhase::Paused => self.engine.wish(Wish::Resume),
            RunPhase::None | RunPhase::Starting | RunPhase::Stopping | RunPhase::Ended => {}
        }
    }

    fn new_project(&mut self) {
        let model = self.state.project.config.model.clone();
        self.state.project = Project::new(model, self.state.project.base.clone());
    }

    pub(super) fn open_project(&mut self, path: PathBuf) {
        let request = self.state.next_request();
        self.state.opening.ask(request);
        self.engine.send(Command::ReadProject { request, path });
    }

    pub(super) fn save_project_to(&mut self, path: PathBuf) {
        let request = self.write_project(path);
        self.state.saving = Some(request);
    }

    /// Writes the settings elsewhere; the project stays where it is.
    pub(super) fn save_project_copy(&mut self, path: PathBuf) {
        self.write_project(path);
    }

    fn write_project(&mut self, path: PathBuf) -> protocol::RequestId {
        let path = if path.extension().is_none() { path.with_extension("toml") } else { path };
        let request = self.state.next_request();
        let project = &self.state.project;
        self.engine.send(Command::WriteProject {
            request,
            path,
            config: Box::new(project.config.clone()),
            base: project.base.clone(),
        });
        request
    }

    pub(super) fn remember_model(&mut self, path: &Path) {
        remember(&mut self.state.preferences.recent_models, path);
    }

    pub(super) fn starter(&mut self, project: PathBuf, project_zh: PathBuf) {
        let chinese = self.state.language() == Language::Chinese;
        self.state.starter = Some((project.clone(), project_zh.clone()));
        // Only where nothing is open yet: the user may have been quicker.
        if self.state.project.is_blank() && self.state.other_machine().is_none() {
            self.open_project(if chinese { project_zh } else { project });
        }
    }

    /// What asks for a file or folder of its own takes it, where it is what one looks at. True when it did.
    fn dropped_on_panel(&mut self, dropped: &[DroppedPath]) -> bool {
        let first = |kinds: &[DroppedKind]| {
            let found = dropped.iter().find(|item| kinds.contains(&item.kind));
            found.map(|item| item.path.clone())
        };
        let visible = |panel: &crate::panels::PanelInfo| self.workspace.is_visible(&panel.panel_id());
        let predicts = visible(&crate::panels::predict::PANEL) && !self.state.predict.is_busy();
        let evaluates = visible(&crate::panels::evaluate::PANEL) && !self.state.evaluate.is_busy();
        if let Some(file) = first(&[DroppedKind::Data]).filter(|_| predicts) {
            self.predict_picked(Purpose::PredictInput, file);
            return true;
        }
        if let Some(data) = first(&[DroppedKind::Data, DroppedKind::Other]).filter(|_| evaluates) {
            self.evaluation_data(data);
            return true;
        }
        false
    }

    /// Does the obvious thing with what was dropped on the window.
    pub(super) fn dropped(&mut self, dropped: Vec<DroppedPath>) {
        let of = |kind| dropped.iter().filter(move |item| item.kind == kind).map(|item| item.path.clone());
        if let Some(project) = of(DroppedKind::Project).next() {
            return self.open_project(project);
        }
        let before = self.state.project.config.clone();
        let mut panel = None;
        if let Some(model) = of(DroppedKind::ModelFolder).next() {
            self.picked(Purpose::Model, vec![model]);
            panel = Some(crate::panels::model::PANEL.panel_id());
        }
        let data: Vec<_> = of(DroppedKind::Data).collect();
        if self.dropped_on_panel(&dropped) {
            return;
        }
        if !data.is_empty() {
            self.picked(Purpose::TrainFiles, data);
            panel = Some(crate::panels::data::PANEL.panel_id());
        }
        if let Some(template) = of(DroppedKind::Template).next() {
            self.picked(Purpose::TemplateFile, vec![template]);
            panel = Some(crate::panels::data::PANEL.panel_id());
        }
        if let Some(adapter) = of(DroppedKind::AdapterFolder).next() {
            self.chat_adapter_picked(adapter);
            panel = Some(crate::panels::chat::PANEL.panel_id());
        }
        if let Some(run) = of(DroppedKind::RunFolder).next() {
            self.runs_import(run);
            panel = Some(crate::panels::runs::PANEL.panel_id());
        }
        match panel {
            Some(panel) => self.workspace.open(&panel),
            None if self.state.project.config == before => self.toast(
                crate::state::toasts::Level::Warning,
                protocol::Text::fixed(
                    "Nothing here can be opened: drop a model folder, data files or a project",
                    "无法打开：请拖入模型文件夹、数据文件或项目文件",
                ),
            ),
            None => {}
        }
    }
}
