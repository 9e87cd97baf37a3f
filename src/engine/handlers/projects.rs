//! Run files, read and written for a client that may not touch files itself.

use std::path::Path;

use protocol::config::{parse_run_file, run_file_text};
use protocol::{Event, RequestId, Result, RunConfig, Text, UserError};

use crate::files::{AtomicFile, read_run_file};
use crate::project;
use crate::sink::Sink;

pub fn read_project(request: RequestId, path: &Path, sink: &mut Sink) -> Result<()> {
    let config = Box::new(parse_run_file(&read_run_file(path)?, path)?);
    sink.emit(Event::ProjectRead { request, path: path.to_owned(), config });
    Ok(())
}

pub fn write_project(
    request: RequestId,
    path: &Path,
    config: &RunConfig,
    base: &Path,
    sink: &mut Sink,
) -> Result<()> {
    let whole = std::path::absolute(path)
        .map_err(|err| UserError::io(Text::fixed("use this path", "使用该路径"), path, &err))?;
    let folder = whole.parent().unwrap_or(Path::new(""));
    let text = run_file_text(&project::moved(config.clone(), base, folder))?;
    AtomicFile::write(&whole, text.as_bytes())?;
    sink.emit(Event::ProjectWritten { request, path: path.to_owned() });
    Ok(())
}
