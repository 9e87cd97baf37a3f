//! `export`.

use std::cell::RefCell;

use protocol::{Control, Event, ExportRequest, RequestId, Result, Text};

use crate::device::compute_dtype;
use crate::room::require_room;
use crate::session::Session;
use crate::sink::Sink;
use crate::tokens::open_with_tokens;

/// Writes a folder that others load.
pub fn export(
    request: RequestId,
    wanted: &ExportRequest,
    session: &mut Session,
    control: &Control,
    sink: &mut Sink,
) -> Result<()> {
    session.release();
    let dtype = compute_dtype(&wanted.model.dtype, &session.chosen)?;
    if wanted.verify {
        // The comparison holds the live model and the one that was written.
        let folder = open_with_tokens(&wanted.model)?;
        require_room(&folder, dtype, &session.chosen, 2)?;
    }
    let sink = RefCell::new(sink);
    let progress = |done, total| {
        sink.borrow_mut().progress(request, Text::fixed("writing tensors", "写入张量"), done, total, None);
    };
    let report = crate::export::export(wanted, &session.chosen.device, dtype, control, &progress)?;
    sink.borrow_mut().emit(Event::Exported { request, report });
    Ok(())
}
