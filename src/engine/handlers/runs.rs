//! The runs of a folder.

use std::path::Path;

use protocol::{Event, RequestId, Result, RunReport};

use crate::runs::{self, Part, RunIndex};
use crate::sink::Sink;

pub fn list_runs(request: RequestId, dir: &Path, index: &mut RunIndex, sink: &mut Sink) -> Result<()> {
    let runs = index.list(dir)?;
    sink.emit(Event::Runs { request, dir: dir.to_owned(), runs });
    Ok(())
}

/// In parts, so that a client draws the beginning of a long history while the rest is read.
pub fn read_run(request: RequestId, dir: &Path, sink: &mut Sink) -> Result<()> {
    let report = runs::report(dir)?;
    let told = |part: Part, report: Option<Box<RunReport>>| {
        let Part { steps, evals, samples } = part;
        Event::RunRead { request, dir: dir.to_owned(), steps, evals, samples, report }
    };
    let last = runs::read(dir, |part| sink.emit(told(part, None)))?;
    sink.emit(told(last, Some(Box::new(report))));
    Ok(())
}

pub fn delete_run(request: RequestId, dir: &Path, sink: &mut Sink) -> Result<()> {
    runs::delete(dir)?;
    sink.emit(Event::Deleted { request, dir: dir.to_owned() });
    Ok(())
}
