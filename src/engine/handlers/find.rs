//! `find`.

use std::path::Path;

use protocol::{Control, RequestId, Result, RunConfig, Text, UserError};

use crate::sink::Sink;

/// Rows that hold a text.
pub fn find(
    _request: RequestId,
    _config: &RunConfig,
    _base: &Path,
    _text: &str,
    _after: u64,
    _limit: u64,
    _control: &Control,
    _sink: &mut Sink,
) -> Result<()> {
    Err(UserError::failure(Text::fixed("being built", "正在实现")))
}
