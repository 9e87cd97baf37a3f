//! `analyze`, and the losses of one row.

use std::path::Path;

use protocol::{AnalysisRequest, Control, ModelRef, RequestId, Result, RunConfig};

use super::{Desk, not_yet};
use crate::session::Session;
use crate::sink::Sink;

/// What is in a dataset.
pub fn analyze(
    _request: RequestId,
    _wanted: &AnalysisRequest,
    _session: &mut Session,
    _desk: &mut Desk,
    _control: &Control,
    _sink: &mut Sink,
) -> Result<()> {
    Err(not_yet())
}

/// How hard each token of a row is.
pub fn score_row(
    _request: RequestId,
    (_config, _base): (RunConfig, &Path),
    _row: u64,
    _model: &ModelRef,
    _session: &mut Session,
    _desk: &mut Desk,
    _sink: &mut Sink,
) -> Result<()> {
    Err(not_yet())
}
