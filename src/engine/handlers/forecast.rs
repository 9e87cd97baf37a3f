//! `forecast_export`.

use protocol::{ExportRequest, RequestId, Result, Text, UserError};

use crate::sink::Sink;

/// What an export would write, and the room for it.
pub fn forecast_export(_request: RequestId, _export: &ExportRequest, _sink: &mut Sink) -> Result<()> {
    Err(UserError::failure(Text::fixed("being built", "正在实现")))
}
