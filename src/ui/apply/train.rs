//! Starting and steering a run, and taking its figures out.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use egui::{ColorImage, Rect, ScreenshotCallback, ViewportCommand};
use protocol::{Command, RunCommand, Wish};

use super::Apply;
use crate::desktop::{DesktopRequest, Purpose};
use crate::state::history::CSV_HEADER;
use crate::state::train::{Picture, RunPhase, TrainAction, TrainState};

impl Apply<'_> {
    pub(super) fn train(&mut self, action: TrainAction) {
        match action {
            TrainAction::Start => self.start_run(),
            TrainAction::Resume(dir) => self.resume_run(dir),
            TrainAction::Recover(dir) => self.recover(dir),
            TrainAction::ScaleRate(factor) if factor.is_finite() && factor >= 0.0 => {
                self.engine.wish(Wish::ScaleRate(factor));
            }
            TrainAction::ScaleRate(_) => {}
            TrainAction::SaveFigures(runs) => {
                self.state.train.figures = runs;
                let suggested = format!("{}.csv", self.figures_name());
                self.ask_desktop(DesktopRequest::PickSave { purpose: Purpose::SaveFigures, suggested });
            }
            TrainAction::SavePicture(area) => self.take_picture(area),
        }
    }

    fn resume_run(&mut self, dir: PathBuf) {
        if self.state.train.is_active() || !self.state.engine.is_ready() {
            return;
        }
        let request = self.begin();
        self.state.train.dir = Some(dir.clone());
        self.read_history(dir.clone());
        self.engine.send(Command::Run(RunCommand::Resume { request, dir }));
    }

    fn start_run(&mut self) {
        if self.state.train.is_active() || !self.state.engine.is_ready() {
            return;
        }
        // What no run file can say would be trained, and could not be resumed or shared.
        let source = match protocol::config::run_file_text(&self.state.project.config) {
            Ok(source) => source,
            Err(error) => return self.state.toasts.error(&error, self.state.now),
        };
        let out = self.state.runs.new_run_dir(&self.state.project.name);
        let request = self.begin();
        // A new run has no records yet.
        self.state.train.history_asked = Some(out.clone());
        let project = &self.state.project;
        let command = RunCommand::Start {
            request,
            config: Box::new(project.config.clone()),
            base: project.base.clone(),
            source,
            out,
        };
        self.engine.send(Command::Run(command));
    }

    fn begin(&mut self) -> protocol::RequestId {
        let request = self.state.next_request();
        self.state.train =
            TrainState { phase: RunPhase::Starting, request: Some(request), ..TrainState::default() };
        self.workspace.open(&crate::panels::train::PANEL.panel_id());
        request
    }

    /// A run that was under way before this window opened: what it recorded is read, once.
    pub(crate) fn attach(&mut self) {
        let train = &self.state.train;
        if let Some(dir) = train.dir.clone()
            && train.is_active()
            && train.history_asked.as_ref() != Some(&dir)
        {
            self.read_history(dir);
        }
    }

    fn read_history(&mut self, dir: PathBuf) {
        let request = self.state.next_request();
        self.state.train.history_asked = Some(dir.clone());
        self.engine.send(Command::ReadRun { request, dir });
    }

    fn figures_name(&self) -> String {
        match &self.state.train.run {
            Some(run) => run.0.clone(),
            None => self.state.project.file_name().to_owned(),
        }
    }

    pub(super) fn figures_picked(&mut self, path: &Path) {
        let mut text = CSV_HEADER.to_owned();
        let train = &self.state.train;
        if !train.history.steps.is_empty() || !train.history.evals.is_empty() {
            train.history.csv(&self.figures_name(), &mut text);
        }
        for dir in &self.state.train.figures {
            if let Some(recorded) = self.state.runs.recorded.get(dir) {
                let name = dir.file_name().map(|name| name.to_string_lossy().into_owned());
                recorded.history.csv(&name.unwrap_or_default(), &mut text);
            }
        }
        let path = with_extension(path, "csv");
        self.desktop.request(DesktopRequest::WriteText { path, text });
    }

    /// The picture is taken before the dialog covers the window; it is written when both are there.
    fn take_picture(&mut self, area: Rect) {
        let shot = Arc::new(OnceLock::new());
        let (into, egui) = (Arc::clone(&shot), self.egui.clone());
        let callback = ScreenshotCallback::new(move |image: Arc<ColorImage>| {
            // A second answer to the same wish has nothing new.
            let _first = into.set(image);
            egui.request_repaint();
        });
        self.egui.send_viewport_cmd(ViewportCommand::Screenshot(callback));
        let scale = self.egui.pixels_per_point();
        self.state.train.picture = Some(Picture { area, scale, shot, path: None });
        let suggested = format!("{}.png", self.figures_name());
        self.ask_desktop(DesktopRequest::PickSave { purpose: Purpose::SavePicture, suggested });
    }

    pub(super) fn picture_picked(&mut self, path: PathBuf) {
        if let Some(picture) = &mut self.state.train.picture {
            picture.path = Some(with_extension(&path, "png"));
        }
        self.write_picture();
    }

    /// Writes the picture that waits, if both it and its place are known.
    pub(crate) fn write_picture(&mut self) {
        let ready = self.state.train.picture.as_ref();
        if !ready.is_some_and(|picture| picture.path.is_some() && picture.shot.get().is_some()) {
            return;
        }
        if let Some(Picture { area, scale, shot, path: Some(path) }) = self.state.train.picture.take()
            && let Some(image) = shot.get()
        {
            let part = image.region(&clamped(area, image, scale), Some(scale));
            let [width, height] = part.size;
            let rgba: Vec<u8> = part.pixels.iter().flat_map(egui::Color32::to_srgba_unmultiplied).collect();
            self.desktop.request(DesktopRequest::WritePng { path, width, height, rgba: rgba.into() });
        }
    }
}

/// The part of a picture that lies in it, in points: `region` panics beyond.
fn clamped(area: Rect, image: &ColorImage, scale: f32) -> Rect {
    let [width, height] = image.size;
    let whole = Rect::from_min_size(egui::Pos2::ZERO, egui::vec2(width as f32, height as f32) / scale);
    let inside = area.intersect(whole);
    if inside.is_positive() { inside } else { whole }
}

fn with_extension(path: &Path, extension: &str) -> PathBuf {
    if path.extension().is_none() { path.with_extension(extension) } else { path.to_path_buf() }
}
