//! Requests of the Chat panel.

use super::Apply;
use crate::state::chat::ChatAction;

impl Apply<'_> {
    pub(super) fn chat(&mut self, action: ChatAction) {
        match action {}
    }

    /// A folder was chosen to speak beside the base.
    pub(super) fn chat_adapter_picked(&mut self, _folder: std::path::PathBuf) {}
}
