//! The engine seen from the command line: one request at a time, its events drawn as they come.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::RecvTimeoutError;
use engine::{EngineHandle, EngineOptions};
use protocol::{Command, Event, HubEvent, Outcome, RequestId, Result, RunEvent, Text, UserError, Wish};

use super::flags::Common;
use super::folders;
use super::hub;
use super::interrupt::Interrupt;
use super::screen::Screen;

/// How often a Ctrl-C is looked for while no event comes.
const HEED_EVERY: Duration = Duration::from_millis(100);

/// Draws the events of a request.
pub trait View {
    /// For people.
    fn draw(&mut self, event: &Event, screen: &mut Screen);

    /// For programs: with `--json`.
    fn print(&mut self, event: &Event, screen: &mut Screen) {
        screen.json(event);
    }

    /// Whether the work goes on when nobody reads stdout any more.
    fn outlives_stdout(&self) -> bool {
        false
    }
}

/// Starts the engine when the first request is made, so that a mistake in a run file costs no device.
pub struct Client {
    device: String,
    engine: Option<Engine>,
    last_request: u64,
}

struct Engine {
    handle: EngineHandle,
    interrupt: Interrupt,
    /// What is to be said of the device, once something is computed.
    note: Option<Text>,
}

impl Client {
    pub fn new(common: &Common) -> Self {
        Self { device: common.device.clone(), engine: None, last_request: 0 }
    }

    /// Where it computes, as asked for.
    pub fn device(&self) -> &str {
        &self.device
    }

    /// Makes a request and draws its events until it ends. Models and datasets that it names by their place on a hub are
    /// fetched first.
    ///
    /// # Errors
    /// Whatever the engine says went wrong. Otherwise the exit code: a finished request can still
    /// be bad news (a dataset that is refused).
    pub fn request(
        &mut self,
        view: &mut dyn View,
        screen: &mut Screen,
        command: impl FnOnce(RequestId) -> Command,
    ) -> Result<u8> {
        self.last_request += 1;
        let request = RequestId(self.last_request);
        let mut command = command(request);
        hub::fetch(&mut command, self, screen)?;
        let engine = match self.engine.take() {
            Some(engine) => self.engine.insert(engine),
            None => self.engine.insert(Engine::start(self.device.clone())?),
        };
        engine.handle.control.reset();
        engine.interrupt.work_begins();
        let computes = !matches!(command, Command::Hub { .. });
        engine.handle.send(command);
        let end = engine.follow(request, computes, view, screen);
        engine.interrupt.work_ended();
        screen.clear_progress();
        end
    }

    /// Lets the worker end, so that files it holds are closed.
    pub fn finish(&mut self) {
        if let Some(Engine { handle, .. }) = self.engine.take() {
            handle.send(Command::Shutdown);
            // Events are taken until the end: a worker that cannot hand over its last words would wait.
            while !matches!(handle.events.recv(), Ok(Event::Stopped) | Err(_)) {}
            handle.join();
        }
    }
}

impl Engine {
    fn start(device: String) -> Result<Self> {
        let interrupt = Interrupt::listen().map_err(|err| {
            UserError::failure(Text::new(
                format!("Cannot listen for Ctrl-C: {err}"),
                format!("无法监听 Ctrl-C：{err}"),
            ))
        })?;
        let options = EngineOptions { device, runs_dir: folders::runs(), log_dir: folders::logs() };
        // This client waits on the channel, so nobody needs waking.
        Ok(Self { handle: engine::spawn(options, Arc::new(|| {})), interrupt, note: None })
    }

    fn follow(
        &mut self,
        request: RequestId,
        computes: bool,
        view: &mut dyn View,
        screen: &mut Screen,
    ) -> Result<u8> {
        let mut stopping = false;
        loop {
            if let Some(note) = self.note.take_if(|_| computes) {
                screen.tell(&note);
            }
            match self.handle.events.recv_timeout(HEED_EVERY) {
                Ok(mut event) if concerns(&event, request) => {
                    if let (Event::Ready { device, .. }, false) = (&mut event, computes) {
                        self.note = device.note.take();
                    }
                    if let Some(end) = show(event, view, screen) {
                        return end;
                    }
                }
                Ok(_) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(engine_gone()),
            }
            if screen.unread() && !view.outlives_stdout() {
                self.stop(request);
                return Ok(0);
            }
            if !stopping && self.interrupt.wanted() {
                stopping = true;
                screen.tell(&Text::fixed(
                    "Stopping in good order; press Ctrl-C again to leave at once.",
                    "正在有序停止；再按一次 Ctrl-C 立即退出。",
                ));
                self.stop(request);
            }
        }
    }

    /// Whichever thread is at it hears one of these.
    fn stop(&self, request: RequestId) {
        self.handle.control.stop();
        self.handle.control.wish(Wish::Cancel(request));
        self.handle.control.wish(Wish::StopTransfer);
    }
}

/// Draws an event and says whether, and how, it ends its request. What went wrong is returned, not drawn: it
/// is reported once, where the program ends.
pub(super) fn show(event: Event, view: &mut dyn View, screen: &mut Screen) -> Option<Result<u8>> {
    match event {
        Event::Failed { error, .. } => return Some(Err(*error)),
        Event::Stopped => return Some(Err(engine_gone())),
        _ => {}
    }
    if screen.is_json() {
        view.print(&event, screen);
    } else if let Event::Progress { stage, done, total, unit, seconds_left, .. } = &event {
        screen.progress(stage, [*done, *total], *unit, *seconds_left);
    } else if let Event::Hub { update: HubEvent::Waiting { why }, .. } = &event {
        why.iter().for_each(|why| screen.tell(why));
    } else {
        view.draw(&event, screen);
    }
    if let Event::Ready { device, .. } = &event
        && let Some(note) = &device.note
    {
        screen.tell(note);
    }
    conclusion(event)
}

/// The exit code of a request that this event ends, or why it failed.
fn conclusion(event: Event) -> Option<Result<u8>> {
    match event {
        Event::Checked { verdict, .. } => Some(Ok(if verdict.ok { 0 } else { 2 })),
        Event::Exported { report, .. } => {
            Some(Ok(u8::from(report.verify.is_some_and(|verify| !verify.passed))))
        }
        Event::Run { update: RunEvent::Ended { outcome }, .. } => Some(match outcome {
            Outcome::Finished { .. } => Ok(0),
            Outcome::Failed { error } => Err(*error),
            Outcome::Crashed { message, log } => Err(crashed(&message, log)),
        }),
        Event::Preview { source, .. } => {
            Some(source.and_then(|source| source.template_error).map_or(Ok(0), |error| Err(*error)))
        }
        // A file in which nothing was answered is no prediction.
        Event::PredictionEnded { report, .. } => {
            Some(Ok(u8::from(!report.complete || report.failed >= report.rows)))
        }
        Event::Failed { .. } => None,
        event => event.is_last().then_some(Ok(0)),
    }
}

/// Whether an event belongs to the request, or to everyone.
fn concerns(event: &Event, wanted: RequestId) -> bool {
    event.request().is_none_or(|request| request == wanted)
}

fn crashed(message: &str, log: Option<PathBuf>) -> UserError {
    let error = UserError::failure(Text::fixed(
        "The engine met a fault in the program; the newest checkpoint can be resumed",
        "引擎遇到程序内部错误；可从最新的检查点恢复",
    ))
    .detail(message)
    .mend(Text::fixed("run the same command with --resume", "请使用 --resume 重新运行同一命令"));
    match log {
        Some(log) => error.in_file(log),
        None => error,
    }
}

fn engine_gone() -> UserError {
    UserError::failure(Text::fixed("The engine ended before it had answered", "引擎在给出结果之前已退出"))
}

#[cfg(test)]
mod tests {
    use protocol::StopReason;

    use super::*;

    fn ended(outcome: Outcome) -> Option<Result<u8>> {
        conclusion(Event::Run {
            request: RequestId(1),
            run: protocol::RunId("a".into()),
            update: RunEvent::Ended { outcome },
        })
    }

    #[test]
    fn a_run_ends_with_its_outcome() {
        let finished = Outcome::Finished {
            reason: StopReason::Stopped,
            step: 3,
            result: PathBuf::new(),
            eval_loss: None,
            seconds: 1.0,
            peak_bytes: 0,
        };
        assert_eq!(ended(finished), Some(Ok(0)));
        let bad = UserError::bad_input(Text::fixed("x", "x"));
        assert_eq!(ended(Outcome::Failed { error: Box::new(bad.clone()) }), Some(Err(bad)));
        let crash = ended(Outcome::Crashed { message: "boom".into(), log: Some("a.log".into()) });
        let said = crash.unwrap().unwrap_err();
        assert_eq!(said.exit_code(), 1);
        assert!(said.to_string().contains("boom") && said.to_string().contains("a.log"), "{said}");
    }

    #[test]
    fn a_request_sees_its_own_events_and_everyones() {
        let mine = Event::Delta { request: RequestId(2), text: String::new(), ids: vec![] };
        assert!(concerns(&mine, RequestId(2)));
        assert!(!concerns(&mine, RequestId(3)));
        assert!(concerns(&Event::Stopped, RequestId(3)));
        let error = Box::new(engine_gone());
        assert!(concerns(&Event::Failed { request: None, error: error.clone() }, RequestId(3)));
        assert!(!concerns(&Event::Failed { request: Some(RequestId(2)), error }, RequestId(3)));
    }
}
