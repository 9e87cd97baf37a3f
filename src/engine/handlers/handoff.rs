//! A run that is handed to other machines, and one that comes back.

use std::path::Path;

use protocol::{Control, Event, HandoffRequest, RequestId, Result, RunOrigin};

use super::Reporter;
use crate::device::Chosen;
use crate::handoff;
use crate::sink::Sink;

/// Writes the folder that is handed over.
pub fn hand_off(
    request: RequestId,
    wanted: &HandoffRequest,
    chosen: &Chosen,
    control: &Control,
    sink: &mut Sink,
) -> Result<()> {
    let report = handoff::hand_off(wanted, chosen, &Reporter::new(request, control, sink))?;
    sink.emit(Event::HandedOff { request, report: Box::new(report) });
    Ok(())
}

/// Makes a run of what came back.
pub fn import_run(
    request: RequestId,
    (dir, model, origin): (&Path, Option<&Path>, Option<&RunOrigin>),
    out: &Path,
    sink: &mut Sink,
) -> Result<()> {
    let report = handoff::import(dir, model, origin, out)?;
    sink.emit(Event::RunImported { request, report: Box::new(report) });
    Ok(())
}
