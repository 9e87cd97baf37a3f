//! Run files, read and written for a client that may not touch files itself.

use std::path::Path;

use protocol::{RequestId, Result, RunConfig, Text, UserError};

use crate::sink::Sink;

pub fn read_project(_request: RequestId, _path: &Path, _sink: &mut Sink) -> Result<()> {
    Err(UserError::failure(Text::fixed("being built", "正在实现")))
}

pub fn write_project(
    _request: RequestId,
    _path: &Path,
    _config: &RunConfig,
    _base: &Path,
    _sink: &mut Sink,
) -> Result<()> {
    Err(UserError::failure(Text::fixed("being built", "正在实现")))
}
