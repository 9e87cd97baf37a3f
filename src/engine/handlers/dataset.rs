//! `preview` and `check`.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use data::{Dataset, Encoder};
use protocol::{Control, Event, RequestId, Result, RunConfig};

use super::Reporter;
use crate::device::Chosen;
use crate::plan::{Plan, absolute};
use crate::sink::Sink;

/// Rows as the model will see them.
pub fn preview(
    request: RequestId,
    config: &RunConfig,
    base: &Path,
    rows: Range<u64>,
    control: &Control,
    sink: &mut Sink,
) -> Result<()> {
    let config = absolute(config.clone(), base);
    let encoder = Arc::new(Encoder::open(&config.model.path, &config.data, base, None)?);
    let reporter = Reporter::new(request, control, sink);
    let dataset = Dataset::open(&config.data, base, encoder.clone(), &reporter)?;
    let tokenizer = encoder.tokenizer().clone();
    let tokens = |ids: &[u32]| ids.iter().map(|id| tokenizer.token(*id).unwrap_or_default()).collect();
    let rows = data::preview(&dataset, rows.start, rows.end - rows.start, &tokens);
    sink.emit(Event::Preview { request, rows, source: None });
    Ok(())
}

/// The verdict on the whole dataset and the memory forecast.
pub fn check(
    request: RequestId,
    config: RunConfig,
    base: &Path,
    chosen: &Chosen,
    control: &Control,
    sink: &mut Sink,
) -> Result<()> {
    let reporter = Reporter::new(request, control, sink);
    let plan = Plan::make(config, base, chrono::Local::now().naive_local(), chosen, &reporter)?;
    sink.emit(Event::Checked { request, verdict: Box::new(plan.survey.verdict) });
    Ok(())
}
