//! Base and tuned model in conversation.

use protocol::{Event, RequestId, UserError};

/// What the Chat panel wants.
#[derive(Clone, Debug, PartialEq)]
pub enum ChatAction {}

#[derive(Debug, Default)]
pub struct ChatState {}

impl ChatState {
    pub fn reduce(&mut self, _event: &Event) {}

    /// Whether the failed request was one of these.
    pub fn fail(&mut self, _request: RequestId, _error: &UserError) -> bool {
        false
    }
}
