//! Requests of the Export panel.

use protocol::{Command, Text, Wish};

use super::Apply;
use crate::state::export::{ExportAction, request};
use crate::state::toasts::Level;
use crate::state::tuned::Tuned;

impl Apply<'_> {
    pub(super) fn export(&mut self, action: ExportAction) {
        match action {
            ExportAction::UseRun { run, checkpoint } => match Tuned::of_run(&run, checkpoint.as_deref()) {
                Some(source) => self.state.export.use_source(source),
                None => self.toast(Level::Warning, NOTHING_TO_EXPORT.clone()),
            },
            ExportAction::Use(source) => self.state.export.use_source(*source),
            ExportAction::Choose(choices) => self.state.export.choices = *choices,
            ExportAction::Start => self.start_export(),
            ExportAction::Stop => self.stop_export(),
            ExportAction::Dismiss => {
                if !self.state.export.is_busy() {
                    self.state.export.export.clear();
                    self.state.export.stopped = false;
                }
            }
        }
    }

    fn start_export(&mut self) {
        let Some(export) = request(self.state).filter(|_| !self.state.is_at_work()) else { return };
        let request = self.state.next_request();
        self.state.export.begin(request, export.clone());
        self.engine.send(Command::Export { request, export });
    }

    /// A wish to stop ends what is under way: not the export while a run is.
    fn stop_export(&mut self) {
        if self.state.export.is_busy() && !self.state.train.is_active() {
            self.state.export.stopping = true;
            self.engine.wish(Wish::Stop);
        }
    }

    /// A folder was chosen to write into.
    pub(super) fn export_folder_picked(&mut self, folder: std::path::PathBuf) {
        self.state.export.choices.parent = Some(folder);
    }

    /// Asks what the export would cost whenever that changes, while somebody looks.
    pub(crate) fn export_follow(&mut self) {
        if !self.workspace.is_visible(&crate::panels::export::PANEL.panel_id()) {
            return;
        }
        let Some(export) = request(self.state) else { return };
        if !self.state.export.is_forecast_of(&export) {
            let request = self.state.next_request();
            self.state.export.forecast.ask(request);
            self.engine.send(Command::ForecastExport { request, export });
        }
    }
}

static NOTHING_TO_EXPORT: Text = Text::fixed(
    "There is nothing to export yet: the run has no result, or it is a full fine-tune, whose checkpoints are no models",
    "暂时没有可导出的内容：该训练尚无结果；若为全量微调，其检查点不是完整模型",
);
