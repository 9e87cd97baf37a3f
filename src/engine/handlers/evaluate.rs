//! Evaluation suites.

use std::path::{Path, PathBuf};

use protocol::{Control, Descriptor, Event, RequestId, Result, SuiteRequest};

use super::Reporter;
use crate::session::Session;
use crate::sink::Sink;
use crate::suites;

/// Descriptors of all suites, for the catalog.
pub fn suites() -> Vec<Descriptor> {
    data::suites::descriptors()
}

pub fn evaluate(
    request: RequestId,
    wanted: &SuiteRequest,
    runs_dir: &Path,
    session: &mut Session,
    control: &Control,
    sink: &mut Sink,
) -> Result<()> {
    let prepared = suites::Prepared::new(wanted, &Reporter::new(request, control, sink))?;
    suites::evaluate(request, wanted, &prepared, runs_dir, (session, control, sink))
}

pub fn list_evaluations(request: RequestId, dir: &Path, sink: &mut Sink) -> Result<()> {
    let reports = suites::list(dir)?;
    sink.emit(Event::Evaluations { request, dir: dir.to_owned(), reports });
    Ok(())
}

pub fn write_evaluations(request: RequestId, dirs: &[PathBuf], out: &Path, sink: &mut Sink) -> Result<()> {
    suites::write(dirs, out)?;
    sink.emit(Event::EvaluationsWritten { request, path: out.to_owned() });
    Ok(())
}
