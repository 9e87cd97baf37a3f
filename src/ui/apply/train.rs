//! Starting and steering a run.

use protocol::{Command, RunCommand, Wish};

use super::Apply;
use crate::state::train::{RunPhase, TrainAction, TrainState};

impl Apply<'_> {
    pub(super) fn train(&mut self, action: TrainAction) {
        match action {
            TrainAction::Start => self.start_run(),
            TrainAction::Resume(dir) => {
                let request = self.begin();
                self.state.train.dir = Some(dir.clone());
                self.engine.send(Command::ReadRun { request: self.state.next_request(), dir: dir.clone() });
                self.engine.send(Command::Run(RunCommand::Resume { request, dir }));
            }
            TrainAction::ScaleRate(factor) => self.engine.wish(Wish::ScaleRate(factor)),
        }
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
}
