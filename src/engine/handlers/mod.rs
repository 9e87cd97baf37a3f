//! One function a command, on the worker's threads.

mod analyze;
mod bench;
mod convert;
mod dataset;
mod desk;
mod estimate;
mod evaluate;
mod export;
mod find;
mod folders;
mod forecast;
mod generate;
mod handoff;
mod hub;
mod inspect;
mod predict;
mod projects;
mod render;
mod run;
mod runs;
mod score;
mod vocabulary;

pub use self::hub::{hubs, serve_hubs};
pub use analyze::{analyze, score_row};
pub use bench::bench;
pub use convert::{convert, preview_conversion, written_formats};
pub use dataset::{check, go_on, preview};
pub use desk::Desk;
pub use estimate::estimate;
pub use evaluate::{evaluate, list_evaluations, suites, write_evaluations};
pub use export::export;
pub use find::{Search, find};
pub use folders::list_folder;
pub use forecast::forecast_export;
pub use generate::{generate, no_run};
pub use handoff::{hand_off, import_run};
pub use inspect::inspect;
pub use predict::{plan_predict, predict};
pub use projects::{read_project, write_project};
pub use render::render_prompt;
pub use run::run;
pub use runs::{delete_run, list_runs, read_run};
pub use score::score;
pub use vocabulary::extend_vocabulary;

use std::sync::Mutex;
use std::time::Instant;

use data::Progress;
use protocol::{Control, Event, RequestId, Text, Verdict};

use crate::sink::Sink;

/// Passes progress of long file work on, a few times a second, from whatever thread does it.
struct Reporter<'a> {
    request: RequestId,
    control: &'a Control,
    /// The sink, and when it was last told something.
    sink: Mutex<(&'a mut Sink, Instant)>,
    /// When a verdict was last told.
    verdict: Mutex<Instant>,
    /// A stop that was wished before this work began is not meant for it.
    stopped_before: bool,
    /// Whether a newer look at rows makes this work void.
    is_look: bool,
    /// Whether a wish to stop is for other work than this, which is cancelled.
    apart: bool,
}

/// Between two reports.
const PAUSE_MILLIS: u128 = 100;
/// Between two verdicts, each of which is some work.
const VERDICT_MILLIS: u128 = 300;

impl<'a> Reporter<'a> {
    fn new(request: RequestId, control: &'a Control, sink: &'a mut Sink) -> Self {
        let now = Instant::now();
        let stopped_before = control.stop_wanted();
        let (sink, verdict) = (Mutex::new((sink, now)), Mutex::new(now));
        Self { request, control, sink, verdict, stopped_before, is_look: false, apart: false }
    }

    /// Of a look at rows (a preview, a search, a check), which a newer one makes void.
    fn of_look(request: RequestId, control: &'a Control, sink: &'a mut Sink) -> Self {
        Self { is_look: true, ..Self::new(request, control, sink) }
    }

    /// Of work that goes on beside a run or other work with the model, and does not end when that is stopped.
    fn apart(request: RequestId, control: &'a Control, sink: &'a mut Sink) -> Self {
        let stopped_before = control.is_closing();
        Self { apart: true, stopped_before, ..Self::new(request, control, sink) }
    }

    fn tell(&self, stage: &Text, done: u64, total: u64) {
        if let Ok(mut guard) = self.sink.lock()
            && (done == total || guard.1.elapsed().as_millis() > PAUSE_MILLIS)
        {
            guard.1 = Instant::now();
            guard.0.progress(self.request, stage.clone(), done, total, None);
        }
    }
}

impl Progress for Reporter<'_> {
    fn report(&self, stage: &Text, done: u64, total: u64) {
        self.tell(stage, done, total);
    }

    fn verdict(&self, so_far: &mut dyn FnMut() -> (Verdict, u64)) {
        if let (Ok(mut last), Ok(mut guard)) = (self.verdict.lock(), self.sink.lock())
            && last.elapsed().as_millis() >= VERDICT_MILLIS
        {
            let (verdict, rows_done) = so_far();
            *last = Instant::now();
            guard.0.emit(Event::Checking { request: self.request, verdict: Box::new(verdict), rows_done });
        }
    }

    fn cancelled(&self) -> bool {
        let control = self.control;
        let stop = if self.apart { control.is_closing() } else { control.stop_wanted() };
        (stop && !self.stopped_before)
            || control.is_cancelled(self.request)
            || (self.is_look && control.is_superseded(self.request))
    }
}
