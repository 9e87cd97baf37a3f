//! One function a command, on the worker's threads.

mod bench;
mod dataset;
mod estimate;
mod export;
mod find;
mod forecast;
mod generate;
mod inspect;
mod projects;
mod render;
mod run;
mod runs;
mod score;

pub use bench::bench;
pub use dataset::{check, preview};
pub use estimate::estimate;
pub use export::export;
pub use find::find;
pub use forecast::forecast_export;
pub use generate::generate;
pub use inspect::inspect;
pub use projects::{read_project, write_project};
pub use render::render_prompt;
pub use run::run;
pub use runs::{delete_run, list_runs, read_run};
pub use score::score;

use std::sync::Mutex;
use std::time::Instant;

use data::Progress;
use protocol::{Control, RequestId, Text};

use crate::sink::Sink;

/// Passes progress of long file work on, a few times a second, from whatever thread does it.
struct Reporter<'a> {
    request: RequestId,
    control: &'a Control,
    sink: Mutex<(&'a mut Sink, Instant)>,
}

/// Between two reports.
const PAUSE_MILLIS: u128 = 100;

impl<'a> Reporter<'a> {
    fn new(request: RequestId, control: &'a Control, sink: &'a mut Sink) -> Self {
        Self { request, control, sink: Mutex::new((sink, Instant::now())) }
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

    fn cancelled(&self) -> bool {
        self.control.stop_wanted() || self.control.is_superseded(self.request)
    }
}
