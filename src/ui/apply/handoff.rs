//! Requests of the hand-off to other machines, and of runs that come back.

use std::path::PathBuf;

use protocol::{Command, RunOrigin, RunReport, RunState};

use super::Apply;
use crate::desktop::{DesktopRequest, Purpose};
use crate::state::handoff::{HandoffAction, request};

/// Seconds between two looks at a run that other machines train.
const LOOK_EVERY: f64 = 5.0;

impl Apply<'_> {
    pub(super) fn handoff(&mut self, action: HandoffAction) {
        match action {
            HandoffAction::Open => self.state.handoff.open = true,
            HandoffAction::Close => {
                self.state.handoff.open = false;
                self.state.handoff.work.error = None;
            }
            HandoffAction::Choose(choices) => self.state.handoff.choices = *choices,
            HandoffAction::PickFolder => {
                let start = self.state.handoff.choices.parent.clone();
                let purpose = Purpose::HandoffFolder;
                self.desktop.request(DesktopRequest::PickFolder { purpose, start });
            }
            HandoffAction::Write => self.write_handoff(),
        }
    }

    fn write_handoff(&mut self) {
        let Some(handoff) = request(self.state).filter(|_| !self.state.handoff.work.is_pending()) else {
            return;
        };
        let request = self.state.next_request();
        self.state.handoff.work.ask(request);
        self.engine.send(Command::HandOff { request, handoff: Box::new(handoff) });
    }

    /// Makes a run here of what other machines wrote; the engine says so if the project's model is not its base.
    pub(super) fn bring_back(&mut self, run: &RunReport) {
        let out = self.state.runs.new_run_dir(&self.state.project.name);
        let request = self.state.next_request();
        let project = &self.state.project;
        let own = project.base.join(&project.config.model.path);
        // A copy of the base in what was handed over is found without being named.
        let copied = run.config.model.path == std::path::Path::new("model");
        let model = (!copied && !project.config.model.path.as_os_str().is_empty()).then_some(own);
        // With the run file that was handed over the run can go on here; most likely it is the one that is open.
        let origin =
            RunOrigin { config: Box::new(project.config.clone()), base: project.base.clone(), guessed: true };
        self.state.runs.bringing.insert(request, run.dir.clone());
        self.engine.send(Command::ImportRun {
            request,
            dir: run.dir.clone(),
            model,
            origin: Some(origin),
            out,
        });
    }

    /// Lists what was handed over or came back, and looks at what is trained elsewhere every few seconds. Returns the
    /// seconds until the next look.
    pub(crate) fn handoff_follow(&mut self) -> Option<f64> {
        if let Some(run) = self.state.handoff.unlisted() {
            self.runs_import(run);
        }
        if std::mem::take(&mut self.state.runs.came_back) {
            self.list_runs();
        }
        let elsewhere = |run: &&RunReport| run.state == RunState::Elsewhere;
        let watched: Vec<PathBuf> =
            self.state.runs.runs.iter().filter(elsewhere).map(|run| run.dir.clone()).collect();
        if watched.is_empty() {
            return None;
        }
        let rest = LOOK_EVERY - (self.state.now - self.state.runs.looked_at);
        if rest > 0.0 {
            return Some(rest);
        }
        self.state.runs.looked_at = self.state.now;
        for dir in watched {
            if !self.state.runs.is_reading(&dir) {
                self.read_run(dir);
            }
        }
        Some(LOOK_EVERY)
    }
}
