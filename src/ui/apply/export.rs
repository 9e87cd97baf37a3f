//! Requests of the Export panel.

use super::Apply;
use crate::state::export::ExportAction;

impl Apply<'_> {
    pub(super) fn export(&mut self, action: ExportAction) {
        match action {}
    }

    /// A folder was chosen to write to.
    pub(super) fn export_folder_picked(&mut self, _folder: std::path::PathBuf) {}
}
