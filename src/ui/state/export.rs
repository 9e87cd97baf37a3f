//! What is written for others.

use protocol::{Event, RequestId, UserError};

/// What the Export panel wants.
#[derive(Clone, Debug, PartialEq)]
pub enum ExportAction {}

#[derive(Debug, Default)]
pub struct ExportState {}

impl ExportState {
    pub fn reduce(&mut self, _event: &Event) {}

    /// Whether the failed request was one of these.
    pub fn fail(&mut self, _request: RequestId, _error: &UserError) -> bool {
        false
    }
}
