//! The runs of a folder.

use std::path::Path;

use protocol::{RequestId, Result, Text, UserError};

use crate::sink::Sink;

pub fn list_runs(_request: RequestId, _dir: &Path, _sink: &mut Sink) -> Result<()> {
    Err(UserError::failure(Text::fixed("being built", "正在实现")))
}

pub fn read_run(_request: RequestId, _dir: &Path, _sink: &mut Sink) -> Result<()> {
    Err(UserError::failure(Text::fixed("being built", "正在实现")))
}

pub fn delete_run(_request: RequestId, _dir: &Path, _sink: &mut Sink) -> Result<()> {
    Err(UserError::failure(Text::fixed("being built", "正在实现")))
}
