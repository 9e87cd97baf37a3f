//! `train`, and what is answered while it goes on.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use data::{Encoder, Progress};
use protocol::{Command, Control, Event, RequestId, Result, RunCommand, RunEvent, Text, UserError, text};

use super::Desk;
use super::analyze::{Rows, score_row};
use super::generate::{generate as generate_answer, speak};
use crate::generate::Speaker;
use crate::inbox::Inbox;
use crate::methods::Adapter;
use crate::session::Session;
use crate::sink::Sink;
use crate::train::{Learner, Meanwhile, Run, Surroundings};
use crate::worker::panic_message;

/// How often a paused run looks whether it may go on.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Trains, from the start or on from a checkpoint.
pub fn run(
    command: RunCommand,
    session: &mut Session,
    (inbox, desk): (&mut Inbox, &mut Desk),
    control: &Control,
    sink: &mut Sink,
) -> Result<()> {
    session.release();
    let began = Instant::now();
    let request = match &command {
        RunCommand::Start { request, .. } | RunCommand::Resume { request, .. } => *request,
    };
    let (chosen, watch) = (session.chosen.clone(), Watch { control });
    let mut chat = Chat { session, inbox, desk, control };
    let around =
        Surroundings { chosen: &chosen, control, sink, request, progress: &watch, meanwhile: &mut chat };
    let run = match command {
        RunCommand::Start { config, base, source, out, .. } => {
            Run::create(*config, base, &source, out, around)?
        }
        RunCommand::Resume { dir, .. } => Run::resume(dir, around)?,
    };
    let id = run.id();
    let outcome = run.work()?;
    tracing::info!("the run ended after {:.1} s", began.elapsed().as_secs_f64());
    inbox.run_is_over(control);
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

/// Answers questions to the model while a run is under way.
struct Chat<'a> {
    session: &'a mut Session,
    inbox: &'a mut Inbox,
    desk: &'a mut Desk,
    control: &'a Control,
}

impl Meanwhile for Chat<'_> {
    fn between_steps(&mut self, learner: &Learner, encoder: &Arc<Encoder>, sink: &mut Sink) {
        let (control, desk) = (self.control, &mut *self.desk);
        while !control.stop_wanted()
            && let Some(question) = self.inbox.take_question()
        {
            settle(&question, sink, |sink| match &question {
                Command::Generate { request, generate } => {
                    let speaker = live_speaker(generate.live, learner, encoder)?;
                    speak(*request, generate, &speaker, control, sink)
                }
                Command::ScoreRow { request, config, base, row, live, .. } => {
                    let speaker = live_speaker(live.then_some(true), learner, encoder)?;
                    let rows = Rows { config, base, row: *row, encoder: encoder.clone() };
                    rows.score(*request, (speaker.model, speaker.adapter), desk, control, sink)
                }
                _ => Ok(()),
            });
        }
    }

    fn paused(&mut self, sink: &mut Sink) {
        let Some(question) = self.inbox.take_question() else {
            return self.inbox.wait(LOOK_EVERY);
        };
        let (session, desk, control) = (&mut *self.session, &mut *self.desk, self.control);
        let sound = settle(&question, sink, |sink| match &question {
            Command::Generate { generate, .. } if generate.live.is_some() => Err(released()),
            Command::Generate { request, generate } => {
                generate_answer(*request, generate, session, control, sink)
            }
            Command::ScoreRow { live: true, .. } => Err(released()),
            Command::ScoreRow { request, config, base, row, model, .. } => {
                score_row(*request, (config, base, *row), model, (session, desk), control, sink)
            }
            _ => Ok(()),
        });
        if !sound {
            // What the session holds may be half-changed.
            self.session.release();
        }
    }

    fn resumed(&mut self) {
        self.session.release();
    }
}

/// Does what was asked. What goes wrong with it concerns who asked, not the run. False after a panic.
fn settle(question: &Command, sink: &mut Sink, work: impl FnOnce(&mut Sink) -> Result<()>) -> bool {
    let request = question.request().unwrap_or_default();
    let done = catch_unwind(AssertUnwindSafe(|| work(sink)));
    let sound = done.is_ok();
    let done = done.unwrap_or_else(|panic| {
        let message = panic_message(panic.as_ref());
        tracing::error!("panic in an answer: {message}");
        Err(UserError::failure(text!("A fault in the program: {message}", "程序内部错误：{message}")))
    });
    if let Err(error) = done {
        sink.failed(request, error);
    }
    sound
}

/// The run's model, with what it has learned so far or without.
fn live_speaker<'a>(live: Option<bool>, learner: &'a Learner, encoder: &'a Encoder) -> Result<Speaker<'a>> {
    let trained = learner.adapter.as_deref().map(Adapter::view);
    let adapter = match live {
        Some(true) => trained,
        Some(false) if learner.model.params.trainable_elements() == 0 => None,
        Some(false) => return Err(no_base()),
        None => return Err(occupied()),
    };
    Ok(Speaker { model: &learner.model, adapter, encoder })
}

fn no_base() -> UserError {
    UserError::bad_input(Text::fixed(
        "This run trains the model itself: the original is not in memory beside it",
        "该训练直接修改模型本身，内存中没有另一份原始模型",
    ))
    .mend(Text::fixed(
        "talk to the live model, or pause the run and talk to the original",
        "请与实时模型对话，或暂停训练后与原始模型对话",
    ))
}

fn occupied() -> UserError {
    UserError::bad_input(Text::fixed(
        "The device's memory belongs to the run under way",
        "设备内存正被当前训练占用",
    ))
    .mend(Text::fixed("pause the run, or talk to the live model", "请暂停训练，或与实时模型对话"))
}

fn released() -> UserError {
    UserError::bad_input(Text::fixed(
        "The run is paused: its model is not in memory",
        "训练已暂停，其模型不在内存中",
    ))
    .mend(Text::fixed(
        "talk to its newest checkpoint, or let the run go on",
        "请与最新的检查点对话，或继续训练",
    ))
}
