//! `forecast_export`.

use protocol::{Event, ExportRequest, RequestId, Result};

use crate::export::target_of_request;
use crate::files::free_bytes;
use crate::sink::Sink;
use crate::tokens::open_with_tokens;

/// What an export would write, and the room for it.
pub fn forecast_export(request: RequestId, export: &ExportRequest, sink: &mut Sink) -> Result<()> {
    let target = target_of_request(export)?;
    let folder = open_with_tokens(&export.model)?;
    let bytes = (target.bytes)(&folder, export)?;
    let free_bytes = free_bytes(&export.out);
    sink.emit(Event::ExportForecast { request, bytes, free_bytes });
    Ok(())
}
