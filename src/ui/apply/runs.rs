//! Requests of the Runs panel.

use super::Apply;
use crate::state::runs::RunsAction;

impl Apply<'_> {
    pub(super) fn runs(&mut self, action: RunsAction) {
        match action {
            RunsAction::Refresh => {
                let request = self.state.next_request();
                let dir = self.state.preferences.runs_dir.clone();
                self.engine.send(protocol::Command::ListRuns { request, dir });
            }
        }
    }

    /// A run folder from elsewhere was chosen.
    pub(super) fn runs_import(&mut self, _folder: std::path::PathBuf) {}

    /// A file was chosen for figures or a picture that wait to be written.
    pub(super) fn runs_save_picked(&mut self, _purpose: crate::desktop::Purpose, _path: std::path::PathBuf) {}
}
