//! `find`.

use std::path::Path;

use protocol::{Control, Event, RequestId, Result, RunConfig};

use super::{Desk, Reporter};
use crate::sink::Sink;

/// What is looked for, and where.
pub struct Search<'a> {
    pub text: &'a str,
    /// Rows passed over, from the first.
    pub after: u64,
    /// Rows wanted.
    pub limit: u64,
}

/// Rows that hold a text.
pub fn find(
    request: RequestId,
    (config, base): (RunConfig, &Path),
    search: &Search<'_>,
    desk: &mut Desk,
    control: &Control,
    sink: &mut Sink,
) -> Result<()> {
    let (rows, scanned, complete) = {
        let reporter = Reporter::of_look(request, control, sink);
        let config = crate::plan::absolute(config, base);
        let encoder = desk.encoder(&config, base)?.encoder;
        let head = desk.library.glance(&config.data, base, encoder.clone(), &reporter)?;
        let looked = data::find(&head, search.text, search.after..u64::MAX, search.limit, &reporter)?;
        let (mut found, mut scanned) = looked;
        let mut end = head.len() as u64;
        // What the heads of large files do not hold, the whole files may.
        if !head.is_whole() && (found.len() as u64) < search.limit {
            let whole = desk.library.dataset(&config.data, base, encoder, &reporter)?;
            let from = search.after.max(scanned);
            let missing = search.limit - found.len() as u64;
            let (more, last) = data::find(&whole, search.text, from..u64::MAX, missing, &reporter)?;
            found.extend(more);
            (scanned, end) = (last, whole.len() as u64);
        }
        let complete = scanned >= end && (head.is_whole() || end > head.len() as u64);
        (found.into_iter().map(|row| row + 1).collect(), scanned, complete)
    };
    sink.emit(Event::Found { request, rows, scanned, complete });
    Ok(())
}
