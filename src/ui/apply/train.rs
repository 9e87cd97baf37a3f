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
        let out = self.state.runs.new_run_dir(&self.state.project.name);
        let request = self.begin();
        let project = &self.state.project;
        let source = toml::to_string_pretty(&project.config).unwrap_or_default();
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
