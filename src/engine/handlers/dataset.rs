//! `preview` and `check`.

use std::ops::Range;
use std::path::Path;

use data::{Dataset, Progress, Shown};
use protocol::{Control, Event, PreviewSource, RequestId, Result, RunConfig};

use super::desk::{Encoding, Waiting};
use super::{Desk, Reporter};
use crate::device::{self, Chosen};
use crate::plan::{Plan, absolute};
use crate::sink::Sink;

/// Rows as the model will see them. The rows of a large file come before it is counted, and once more when it
/// is, with the total.
pub fn preview(
    request: RequestId,
    (config, base): (RunConfig, &Path),
    rows: Range<u64>,
    desk: &mut Desk,
    control: &Control,
    sink: &mut Sink,
) -> Result<()> {
    desk.waiting = None;
    let config = absolute(config, base);
    let whole = show(request, (&config, base), &rows, desk, control, sink)?;
    if !whole {
        desk.waiting = Some(Waiting { request, config, base: base.to_path_buf(), rows });
    }
    Ok(())
}

/// Tells how far the indexes are that a preview did not wait for, and ends it when they are there. Called every
/// few moments while nothing else is asked.
pub fn go_on(desk: &mut Desk, control: &Control, sink: &mut Sink) -> Result<()> {
    let Some(waiting) = desk.waiting.take() else { return Ok(()) };
    if control.is_superseded(waiting.request) {
        return Ok(());
    }
    if let Some((done, total)) = desk.library.indexing() {
        sink.progress_in_bytes(waiting.request, data::sources::indexing(), done, total, None);
        desk.waiting = Some(waiting);
        return Ok(());
    }
    let Waiting { request, config, base, rows } = waiting;
    show(request, (&config, &base), &rows, desk, control, sink).map(drop)
}

/// Answers with the rows; whether all files were counted.
fn show(
    request: RequestId,
    (config, base): (&RunConfig, &Path),
    rows: &Range<u64>,
    desk: &mut Desk,
    control: &Control,
    sink: &mut Sink,
) -> Result<bool> {
    let encoding = {
        let reporter = Reporter::of_look(request, control, sink);
        desk.encoding(config, base, &reporter)?
    };
    let dataset = {
        let reporter = Reporter::of_look(request, control, sink);
        open(config, base, &encoding, rows, desk, &reporter)?
    };
    let tokenizer = &encoding.tokenizer;
    let tokens = |ids: &[u32]| ids.iter().map(|id| tokenizer.token(*id).unwrap_or_default()).collect();
    let shown = data::preview(&dataset, rows.start, rows.end.saturating_sub(rows.start), &tokens);
    let source = describe(&dataset, &encoding, &shown);
    sink.emit(Event::Preview { request, rows: shown.rows, source: Some(Box::new(source)) });
    Ok(dataset.is_whole())
}

/// The heads of the files where they hold the rows, else the whole files.
fn open(
    config: &RunConfig,
    base: &Path,
    encoding: &Encoding,
    rows: &Range<u64>,
    desk: &mut Desk,
    progress: &dyn Progress,
) -> Result<Dataset> {
    let encoder = encoding.encoder.clone();
    let head = desk.library.glance(&config.data, base, encoder.clone(), progress)?;
    if head.is_whole() || rows.end <= head.len() as u64 {
        return Ok(head);
    }
    desk.library.dataset(&config.data, base, encoder, progress)
}

fn describe(dataset: &Dataset, encoding: &Encoding, shown: &Shown) -> PreviewSource {
    let formats = dataset.sources().into_iter();
    let mut source = PreviewSource {
        total: dataset.training_rows(),
        formats: formats.map(|source| (source.file, source.format, Some(source.reason))).collect(),
        columns: shown.columns.clone(),
        vocabulary: encoding.gain(&shown.rows),
        ..encoding.source()
    };
    // Without rows it is not known whether a template is needed; one that was chosen is shown then.
    if !shown.conversations && !shown.rows.is_empty() {
        source.template = None;
        source.template_reason = None;
        source.template_source.clear();
    } else {
        let problem = encoding.problem.clone().or_else(|| shown.failure.clone());
        source.template_error = problem.map(Box::new);
    }
    source
}

/// The verdict on the whole dataset and the memory forecast.
pub fn check(
    request: RequestId,
    (config, base): (RunConfig, &Path),
    chosen: &Chosen,
    desk: &mut Desk,
    control: &Control,
    sink: &mut Sink,
) -> Result<()> {
    let now = chrono::Local::now().naive_local();
    let chosen = &device::for_run(chosen, &config.train.devices)?;
    let plan = {
        let reporter = Reporter::of_look(request, control, sink);
        Plan::survey(config, base, now, chosen, (&mut desk.library, &reporter))?
    };
    sink.emit(Event::Checked { request, verdict: Box::new(plan.survey.verdict) });
    Ok(())
}
