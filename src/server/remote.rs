//! The window's end: an engine in another process.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, unbounded};
use engine::Waker;
use protocol::{Command, Event, RequestId, UserError, Wish};
use ui::EngineClient;

use super::address::Sockets;
use super::errors;
use super::frames::{FromEngine, ToEngine};
use super::link::{self, Link};

/// How long a window that closes waits for its last words to be sent.
const FAREWELL: Duration = Duration::from_secs(1);
/// How long the end of a process may take to be known after its connection's.
const POST_MORTEM: Duration = Duration::from_millis(500);

/// What to start an engine with.
#[derive(Clone, Debug)]
pub struct RemoteOptions {
    /// This program.
    pub program: PathBuf,
    pub sockets: Sockets,
    /// `auto`, `cpu` or `cuda:N`.
    pub device: String,
    pub runs_dir: PathBuf,
    pub log_dir: PathBuf,
}

/// Attaches to an engine of this user that serves nobody, or starts one, in a thread. Whatever is asked meanwhile waits
/// for it. The waker is called after events have come.
///
/// Events of a run that an earlier window began carry `RequestId(0)`.
pub struct RemoteEngine {
    options: RemoteOptions,
    waker: Waker,
    line: Line,
}

/// One engine's two channels.
struct Line {
    to: Sender<ToEngine>,
    events: Receiver<Event>,
    /// Set when the end is wanted: nothing is wrong then when it comes.
    expected: Arc<AtomicBool>,
    /// Closed when everything was sent.
    sent: Receiver<()>,
}

impl RemoteEngine {
    pub fn new(options: RemoteOptions, waker: Waker) -> Self {
        let line = Line::open(options.clone(), waker.clone(), false);
        Self { options, waker, line }
    }

    /// The device that the next engine is started with.
    pub fn set_device(&mut self, device: &str) {
        self.options.device = device.to_owned();
    }

    fn say(&self, message: ToEngine) {
        if self.line.to.send(message).is_err() {
            tracing::debug!("a message came for an engine that has ended");
        }
    }

    fn part(&self, keep: bool) {
        self.line.expected.store(true, Ordering::Release);
        self.say(ToEngine::Detach { keep });
    }
}

impl EngineClient for RemoteEngine {
    fn send(&mut self, command: Command) {
        self.say(ToEngine::Command(Box::new(command)));
    }

    fn wish(&mut self, wish: Wish) {
        self.say(ToEngine::Wish(wish));
    }

    fn drain(&mut self, events: &mut Vec<Event>) {
        events.extend(self.line.events.try_iter());
    }

    fn detach(&mut self, keep_running: bool) {
        self.part(keep_running);
        // The window is closing: an error says that the line is closed, which is what is waited for.
        self.line.sent.recv_timeout(FAREWELL).ok();
    }

    fn restart(&mut self) {
        self.part(false);
        self.line = Line::open(self.options.clone(), self.waker.clone(), true);
    }
}

impl Line {
    fn open(options: RemoteOptions, waker: Waker, beside_others: bool) -> Self {
        let ((to, messages), (tell, events)) = (unbounded(), unbounded());
        let (done, sent) = crossbeam_channel::bounded(0);
        let expected = Arc::new(AtomicBool::new(false));
        let teller = Teller { events: tell, waker, expected: expected.clone() };
        let told = teller.clone();
        let body = move || {
            match link::connect(&options, beside_others) {
                Ok(link) => converse(link, &messages, teller),
                Err(error) => teller.end(Some(error)),
            }
            drop(done);
        };
        if let Err(err) = thread::Builder::new().name("to-engine".into()).spawn(body) {
            told.end(Some(errors::not_started(None, err.to_string())));
        }
        Self { to, events, expected, sent }
    }
}

/// Where events go.
#[derive(Clone)]
struct Teller {
    events: Sender<Event>,
    waker: Waker,
    expected: Arc<AtomicBool>,
}

impl Teller {
    fn tell(&self, event: Event) {
        // A window that closes has no use for events.
        self.events.send(event).ok();
        (self.waker)();
    }

    /// The last events.
    fn end(&self, error: Option<UserError>) {
        if let Some(error) = error.filter(|_| !self.expected.load(Ordering::Acquire)) {
            self.tell(Event::Failed { request: None, error: Box::new(error) });
        }
        self.tell(Event::Stopped);
    }
}

/// Writes what the window says, while another thread reads what the engine says.
fn converse(link: Link, messages: &Receiver<ToEngine>, teller: Teller) {
    let (connection, first) = (link.connection.clone(), link.first_request);
    let (ending, ended) = crossbeam_channel::bounded::<()>(0);
    let (reading, failed) = (teller.clone(), teller);
    let reader = thread::Builder::new().name("from-engine".into()).spawn(move || {
        listen(&link, &reading);
        drop(ending);
    });
    if let Err(err) = reader {
        return failed.end(Some(errors::not_started(None, err.to_string())));
    }
    loop {
        let next = crossbeam_channel::select! {
            recv(messages) -> message => message.ok(),
            recv(ended) -> _ => None,
        };
        let Some(message) = next else { break };
        let last = matches!(message, ToEngine::Detach { .. });
        if let Err(err) = connection.write(&numbered(message, first)) {
            tracing::debug!("the engine is gone: {err}");
            break;
        }
        if last {
            return;
        }
    }
    connection.hang_up();
}

/// Numbers of requests are the window's own on this side, and the engine's on the other.
fn numbered(mut message: ToEngine, first: u64) -> ToEngine {
    match &mut message {
        ToEngine::Command(command) => {
            if let Some(request) = command.request_mut() {
                request.0 = request.0.saturating_add(first);
            }
        }
        ToEngine::Wish(Wish::Supersede(request) | Wish::Cancel(request)) => {
            request.0 = request.0.saturating_add(first)
        }
        _ => {}
    }
    message
}

/// Tells what answers this window from what answers an earlier one.
struct Numbers {
    first: u64,
    /// The run that an earlier window began, by the engine's number.
    inherited: Option<RequestId>,
}

impl Numbers {
    /// The event with the window's number; none if it answers an earlier window, but for what its run tells.
    fn renumbered(&mut self, mut event: Event) -> Option<Event> {
        let (of_run, of_work) = (matches!(event, Event::Run { .. }), matches!(event, Event::Progress { .. }));
        let Some(request) = event.request_mut() else { return Some(event) };
        match request.0.checked_sub(self.first) {
            Some(number) => request.0 = number,
            None if of_run => {
                self.inherited = Some(*request);
                *request = RequestId(0);
            }
            None if of_work && self.inherited == Some(*request) => *request = RequestId(0),
            None => return None,
        }
        Some(event)
    }
}

fn listen(link: &Link, teller: &Teller) {
    let mut numbers = Numbers { first: link.first_request, inherited: None };
    loop {
        match link.connection.read() {
            Ok(Some(FromEngine::Event(event))) if *event == Event::Stopped => return teller.end(None),
            Ok(Some(FromEngine::Event(event))) => {
                if let Some(event) = numbers.renumbered(*event) {
                    teller.tell(event);
                }
            }
            Ok(Some(FromEngine::Welcome { .. } | FromEngine::Refused(_))) => {}
            Err(err) if err.kind() == std::io::ErrorKind::InvalidData => {
                tracing::error!("an event could not be read: {err}");
                let error = Box::new(errors::unreadable(&err));
                teller.tell(Event::Failed { request: None, error });
            }
            Ok(None) | Err(_) => {
                let how = how_it_ended(link);
                return teller.end(Some(errors::engine_died(link.log.as_deref(), how)));
            }
        }
    }
}

/// A moment passes between the end of a connection and that of its process.
fn how_it_ended(link: &Link) -> Option<String> {
    let end = link.end.as_ref()?;
    let began = Instant::now();
    while end.words().is_none() && began.elapsed() < POST_MORTEM {
        thread::sleep(Duration::from_millis(10));
    }
    end.words()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_and_strangers_do_not() {
        let command = Command::ListRuns { request: RequestId(4), dir: None };
        let sent = numbered(ToEngine::Command(Box::new(command)), 100);
        let ToEngine::Command(mut command) = sent else { panic!("{sent:?}") };
        assert_eq!(command.request_mut(), Some(&mut RequestId(104)));
        let answer = |number| Event::Superseded { request: RequestId(number) };
        let mut numbers = Numbers { first: 100, inherited: None };
        assert_eq!(numbers.renumbered(answer(104)), Some(answer(4)));
        assert_eq!(numbers.renumbered(answer(99)), None);
        assert_eq!(numbers.renumbered(Event::Stopped), Some(Event::Stopped));
        let progress = |number| Event::Progress {
            request: RequestId(number),
            stage: protocol::Text::fixed("x", "x"),
            done: 1,
            total: 2,
            seconds_left: None,
        };
        assert_eq!(numbers.renumbered(progress(7)), None);
        let run = |number| Event::Run {
            request: RequestId(number),
            run: protocol::RunId("a".into()),
            update: protocol::RunEvent::Paused { step: 3 },
        };
        assert_eq!(numbers.renumbered(run(7)), Some(run(0)));
        assert_eq!(numbers.renumbered(progress(7)), Some(progress(0)));
        assert_eq!(numbers.renumbered(progress(8)), None);
    }
}
