//! `estimate`.

use std::path::Path;

use protocol::{RequestId, Result, RunConfig, Text, UserError};

use crate::device::Chosen;
use crate::sink::Sink;

/// What the settings cost, from the model's headers alone.
pub fn estimate(
    _request: RequestId,
    _config: RunConfig,
    _base: &Path,
    _steps: Option<u64>,
    _chosen: &Chosen,
    _sink: &mut Sink,
) -> Result<()> {
    Err(UserError::failure(Text::fixed("being built", "正在实现")))
}
