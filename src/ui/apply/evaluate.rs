//! Requests of the Evaluate panel.

use std::path::PathBuf;

use protocol::{Command, Wish};

use super::Apply;
use crate::desktop::{DesktopRequest, Purpose};
use crate::state::evaluate::{EvaluateAction, request, suite};
use crate::state::tuned::Tuned;

impl Apply<'_> {
    pub(super) fn evaluate(&mut self, action: EvaluateAction) {
        match action {
            EvaluateAction::Use(source) => self.state.evaluate.source = Some(*source),
            EvaluateAction::Choose(choices) => self.state.evaluate.choices = *choices,
            EvaluateAction::Start => self.start_evaluation(),
            // A wish to stop ends what is under way: not the evaluation while a run is.
            EvaluateAction::Stop if self.state.evaluate.is_busy() && !self.state.train.is_active() => {
                self.state.evaluate.stopping = true;
                self.engine.wish(Wish::Stop);
            }
            EvaluateAction::Stop => {}
            EvaluateAction::Refresh => self.list_evaluations(),
            EvaluateAction::Select { dir, on } => self.state.evaluate.select(dir, on),
            EvaluateAction::SelectNone => self.state.evaluate.selected.clear(),
            EvaluateAction::Write => {
                let suggested = "evaluations.csv".to_owned();
                let purpose = Purpose::EvaluationTable;
                self.ask_desktop(DesktopRequest::PickSave { purpose, suggested });
            }
        }
    }

    fn start_evaluation(&mut self) {
        let Some(wanted) = request(self.state).filter(|_| !self.state.is_at_work()) else { return };
        let request = self.state.next_request();
        self.state.evaluate.begin(request, wanted.clone());
        self.engine.send(Command::Evaluate { request, evaluate: Box::new(wanted) });
    }

    fn list_evaluations(&mut self) {
        let request = self.state.next_request();
        self.state.evaluate.earlier.ask(request);
        let dir = self.state.runs_dir();
        self.engine.send(Command::ListEvaluations { request, dir });
    }

    pub(super) fn evaluate_picked(&mut self, purpose: Purpose, path: PathBuf) {
        match purpose {
            Purpose::EvaluationTable => self.write_evaluations(path),
            Purpose::EvaluationAdapter => self.state.evaluate.source = Some(Tuned::folder(path)),
            _ => self.evaluation_data(path),
        }
    }

    /// The questions of the suite that is chosen.
    pub(super) fn evaluation_data(&mut self, path: PathBuf) {
        if let Some(id) = suite(self.state).map(|suite| suite.id.clone()) {
            self.state.evaluate.choices.data.insert(id, path);
        }
    }

    /// Those that are looked at, else the newest.
    fn write_evaluations(&mut self, out: PathBuf) {
        let evaluate = &self.state.evaluate;
        let newest = evaluate.work.value.iter().map(|report| report.dir.clone());
        let dirs: Vec<_> =
            if evaluate.selected.is_empty() { newest.collect() } else { evaluate.selected.clone() };
        let request = self.state.next_request();
        self.state.evaluate.writing = Some(request);
        self.engine.send(Command::WriteEvaluations { request, dirs, out });
    }

    /// Reads the list of earlier evaluations when somebody first looks.
    pub(crate) fn evaluate_follow(&mut self) {
        let visible = self.workspace.is_visible(&crate::panels::evaluate::PANEL.panel_id());
        let earlier = &self.state.evaluate.earlier;
        if visible && earlier.version == 0 && !earlier.is_pending() && earlier.error.is_none() {
            self.list_evaluations();
        }
    }
}
