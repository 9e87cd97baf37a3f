//! `train`.

use std::time::Instant;

use data::Progress;
use protocol::{Control, Event, RequestId, Result, RunCommand, RunEvent, Text};

use crate::session::Session;
use crate::sink::Sink;
use crate::train::{Run, Surroundings};

/// Trains, from the start or on from a checkpoint.
pub fn run(command: RunCommand, session: &mut Session, control: &Control, sink: &mut Sink) -> Result<()> {
    session.release();
    let began = Instant::now();
    let request = match &command {
        RunCommand::Start { request, .. } | RunCommand::Resume { request, .. } => *request,
    };
    let watch = Watch { control };
    let around = Surroundings { chosen: &session.chosen, control, sink, request, progress: &watch };
    let run = match command {
        RunCommand::Start { config, base, source, out, .. } => {
            Run::create(*config, base, &source, out, around)?
        }
        RunCommand::Resume { dir, .. } => Run::resume(dir, around)?,
    };
    let id = run.id();
    let outcome = run.work()?;
    tracing::info!("the run ended after {:.1} s", began.elapsed().as_secs_f64());
    ended(request, id, outcome, sink);
    Ok(())
}

fn ended(request: RequestId, run: protocol::RunId, outcome: protocol::Outcome, sink: &mut Sink) {
    sink.emit(Event::Run { request, run, update: RunEvent::Ended { outcome } });
}

/// Hears a stop while the data is read; the run itself tells how far it is.
struct Watch<'a> {
    control: &'a Control,
}

impl Progress for Watch<'_> {
    fn report(&self, stage: &Text, done: u64, total: u64) {
        tracing::debug!("{stage}: {done} of {total}");
    }

    fn cancelled(&self) -> bool {
        self.control.stop_wanted()
    }
}
