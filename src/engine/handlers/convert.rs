//! A dataset in another format.

use std::ops::Range;
use std::path::Path;

use protocol::{Control, ConvertRequest, RequestId, Result};

use super::{Desk, not_yet};
use crate::sink::Sink;

/// Ids of the formats that can be written.
pub fn written_formats() -> Vec<String> {
    Vec::new()
}

pub fn preview_conversion(
    _request: RequestId,
    _wanted: &ConvertRequest,
    _rows: Range<u64>,
    _desk: &mut Desk,
    _control: &Control,
    _sink: &mut Sink,
) -> Result<()> {
    Err(not_yet())
}

pub fn convert(
    _request: RequestId,
    _wanted: &ConvertRequest,
    _out: &Path,
    _desk: &mut Desk,
    _control: &Control,
    _sink: &mut Sink,
) -> Result<()> {
    Err(not_yet())
}
