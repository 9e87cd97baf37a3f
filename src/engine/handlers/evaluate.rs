//! Evaluation suites.

use std::path::{Path, PathBuf};

use protocol::{Control, Descriptor, RequestId, Result, SuiteRequest};

use super::not_yet;
use crate::session::Session;
use crate::sink::Sink;

/// Descriptors of all suites, for the catalog.
pub fn suites() -> Vec<Descriptor> {
    Vec::new()
}

pub fn evaluate(
    _request: RequestId,
    _wanted: &SuiteRequest,
    _runs_dir: &Path,
    _session: &mut Session,
    _control: &Control,
    _sink: &mut Sink,
) -> Result<()> {
    Err(not_yet())
}

pub fn list_evaluations(_request: RequestId, _dir: &Path, _sink: &mut Sink) -> Result<()> {
    Err(not_yet())
}

pub fn write_evaluations(
    _request: RequestId,
    _dirs: &[PathBuf],
    _out: &Path,
    _sink: &mut Sink,
) -> Result<()> {
    Err(not_yet())
}
