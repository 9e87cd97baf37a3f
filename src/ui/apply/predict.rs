//! Requests of the Predict panel.

use std::path::PathBuf;

use protocol::{Command, Wish};

use super::Apply;
use crate::desktop::Purpose;
use crate::state::predict::{PredictAction, request};
use crate::state::tuned::Tuned;

impl Apply<'_> {
    pub(super) fn predict(&mut self, action: PredictAction) {
        match action {
            PredictAction::Use(source) => self.state.predict.source = Some(*source),
            PredictAction::Choose(choices) => self.state.predict.choices = *choices,
            PredictAction::Start => self.start_predict(),
            // A wish to stop ends what is under way: not the prediction while a run is.
            PredictAction::Stop if self.state.predict.is_busy() && !self.state.train.is_active() => {
                self.state.predict.stopping = true;
                self.engine.wish(Wish::Stop);
            }
            PredictAction::Stop => {}
            PredictAction::Dismiss => self.state.predict.dismiss(),
        }
    }

    fn start_predict(&mut self) {
        let Some(wanted) = request(self.state).filter(|_| !self.state.is_at_work()) else { return };
        let request = self.state.next_request();
        self.state.predict.begin(request, wanted.clone());
        self.engine.send(Command::Predict { request, predict: Box::new(wanted) });
    }

    pub(super) fn predict_picked(&mut self, purpose: Purpose, path: PathBuf) {
        let predict = &mut self.state.predict;
        match purpose {
            Purpose::PredictInput => {
                predict.dismiss();
                predict.choices.use_input(path);
            }
            Purpose::PredictOutput => predict.choices.output = Some(path),
            _ => predict.source = Some(Tuned::folder(path)),
        }
    }

    /// Asks what a prediction would do whenever that changes, while somebody looks.
    pub(crate) fn predict_follow(&mut self) {
        let visible = self.workspace.is_visible(&crate::panels::predict::PANEL.panel_id());
        if !visible || self.state.predict.is_busy() {
            return;
        }
        let Some(wanted) = request(self.state) else { return };
        if !self.state.predict.is_plan_of(&wanted) {
            let request = self.state.next_request();
            self.state.predict.plan.ask(request);
            self.engine.send(Command::PlanPredict { request, predict: Box::new(wanted) });
        }
    }
}
