//! The line between a window and its engine: two threads that talk, and a third one that notices silence.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};
use engine::Waker;
use protocol::{ErrorKind, Event, UserError};
use ui::client::LinkState;

use super::errors;
use super::frames::{Claim, FromEngine, ToEngine};
use super::numbers::Numbers;
use super::process;
use super::remote::{Attached, Site};

/// An engine that lives is heard more often.
const SILENCE: Duration = Duration::from_secs(6);
/// Between two looks at how long it has been silent.
const LOOK: Duration = Duration::from_secs(1);
/// Seconds before a broken connection is tried again: the first time, the second time, … and from then on.
const AGAIN: [u64; 6] = [1, 2, 4, 8, 15, 30];
const NOD: Duration = Duration::from_millis(100);

/// One engine's two channels.
pub struct Line {
    to: Sender<ToEngine>,
    events: Receiver<Event>,
    /// Set when the end is wanted: nothing is wrong then when it comes.
    expected: Arc<AtomicBool>,
    /// Closed when everything was sent.
    sent: Receiver<()>,
    state: Arc<Mutex<LinkState>>,
}

impl Line {
    pub fn open(site: Site, waker: Waker, beside_others: bool) -> Self {
        let ((to, messages), (tell, events)) = (unbounded(), unbounded());
        let (done, sent) = bounded(0);
        let expected = Arc::new(AtomicBool::new(false));
        let state = Arc::new(Mutex::new(LinkState::Connecting { said: None }));
        let teller = Teller { events: tell, waker, expected: expected.clone(), state: state.clone() };
        let told = teller.clone();
        let body = move || {
            attend(&site, &messages, &teller, beside_others);
            drop(done);
        };
        if let Err(err) = thread::Builder::new().name("to-engine".into()).spawn(body) {
            told.end(Some(errors::not_started(None, err.to_string())));
        }
        Self { to, events, expected, sent, state }
    }

    pub fn say(&self, message: ToEngine) {
        if self.to.send(message).is_err() {
            tracing::debug!("a message came for an engine that has ended");
        }
    }

    /// The last words.
    pub fn part(&self, keep: bool) {
        self.expected.store(true, Ordering::Release);
        self.say(ToEngine::Detach { keep });
    }

    /// Waits for the last words to be on their way.
    pub fn wait_until_sent(&self, longest: Duration) {
        // An error says that the line is closed, which is what is waited for.
        self.sent.recv_timeout(longest).ok();
    }

    pub fn drain(&self, events: &mut Vec<Event>) {
        events.extend(self.events.try_iter());
    }

    pub fn state(&self) -> LinkState {
        hold(&self.state).clone()
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.expected.store(true, Ordering::Release);
    }
}

/// Where events go.
#[derive(Clone)]
struct Teller {
    events: Sender<Event>,
    waker: Waker,
    expected: Arc<AtomicBool>,
    state: Arc<Mutex<LinkState>>,
}

impl Teller {
    fn tell(&self, event: Event) {
        // A window that closes has no use for events.
        self.events.send(event).ok();
        (self.waker)();
    }

    fn fail(&self, error: UserError) {
        self.tell(Event::Failed { request: None, error: Box::new(error) });
    }

    /// Goes over to a state if `from` lets it.
    fn change(&self, from: impl Fn(&LinkState) -> bool, to: LinkState) {
        let mut state = hold(&self.state);
        if *state != to && from(&state) {
            *state = to;
            drop(state);
            (self.waker)();
        }
    }

    fn is(&self, state: LinkState) {
        self.change(|_| true, state);
    }

    /// The last events.
    fn end(&self, error: Option<UserError>) {
        self.is(LinkState::Ended);
        if let Some(error) = error.filter(|_| !self.is_expected()) {
            self.fail(error);
        }
        self.tell(Event::Stopped);
    }

    fn is_expected(&self) -> bool {
        self.expected.load(Ordering::Acquire)
    }

    /// Waits before the next try, and says so; false if the end is wanted meanwhile.
    fn wait(&self, error: &UserError, tries: usize) -> bool {
        let seconds = AGAIN[tries.min(AGAIN.len() - 1)];
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(seconds) {
            if self.is_expected() {
                return false;
            }
            let seconds = seconds - began.elapsed().as_secs();
            self.is(LinkState::Lost { error: Box::new(error.clone()), seconds });
            thread::sleep(NOD);
        }
        self.is(LinkState::Connecting { said: None });
        true
    }
}

/// How a conversation ends.
enum Over {
    /// The engine ended, as it should or not.
    Ended(Option<UserError>),
    /// The window said farewell, or is gone.
    Left,
    /// The connection broke.
    Lost(UserError),
}

/// Keeps the line to an engine, over as many connections as it takes.
fn attend(site: &Site, messages: &Receiver<ToEngine>, teller: &Teller, mut beside_others: bool) {
    let mut claim = Claim { client: process::unique_name(), engine: String::new() };
    let mut numbers = Arc::new(Mutex::new(Numbers::default()));
    let mut tries = 0;
    loop {
        let connected = site.connect(&claim, beside_others, saying(teller));
        let (lost, error) = match connected {
            Ok(link) => {
                (beside_others, tries) = (false, 0);
                take_up(&link, &mut claim, &mut numbers, teller);
                match converse(link, messages, &numbers, teller) {
                    Over::Ended(error) => return teller.end(error),
                    Over::Left => return,
                    Over::Lost(error) => (site.comes_back(), error),
                }
            }
            Err(error) => (!claim.engine.is_empty() && error.kind == ErrorKind::Failure, error),
        };
        if !lost {
            return teller.end(Some(error));
        }
        if !teller.wait(&error, tries) {
            return teller.end(None);
        }
        tries += 1;
    }
}

/// What ssh says while it connects.
fn saying(teller: &Teller) -> impl Fn(String) + Send + use<> {
    let teller = teller.clone();
    move |line| {
        let connecting = |state: &LinkState| matches!(state, LinkState::Connecting { .. });
        teller.change(connecting, LinkState::Connecting { said: Some(line) });
    }
}

/// The engine of this connection is the one of the last, or another one that knows nothing of what was asked.
fn take_up(link: &Attached, claim: &mut Claim, numbers: &mut Arc<Mutex<Numbers>>, teller: &Teller) {
    let welcome = link.welcome();
    teller.is(LinkState::Attached);
    if !claim.engine.is_empty() && claim.engine != welcome.engine {
        *numbers = Arc::default();
        teller.fail(errors::another_engine());
        teller.tell(Event::Stopped);
    }
    claim.engine.clone_from(&welcome.engine);
    hold(numbers).welcomed(welcome);
}

/// Writes what the window says, while another thread reads what the engine says.
fn converse(
    link: Attached,
    messages: &Receiver<ToEngine>,
    numbers: &Arc<Mutex<Numbers>>,
    teller: &Teller,
) -> Over {
    let connection = link.connection().clone();
    let (verdict, over) = bounded(1);
    let (reading, known) = (teller.clone(), numbers.clone());
    let reader = thread::Builder::new().name("from-engine".into()).spawn(move || {
        // A window that has left does not ask how it went on.
        verdict.send(listen(&link, &known, &reading)).ok();
    });
    if let Err(err) = reader {
        connection.hang_up();
        return Over::Ended(Some(errors::not_started(None, err.to_string())));
    }
    loop {
        let message = crossbeam_channel::select! {
            recv(messages) -> message => message,
            recv(over) -> verdict => return verdict.unwrap_or(Over::Left),
        };
        let Ok(message) = message else {
            connection.hang_up();
            return Over::Left;
        };
        let last = matches!(message, ToEngine::Detach { .. });
        let message = hold(numbers).sent(message);
        if let Err(err) = connection.write(&message) {
            tracing::debug!("the engine is gone: {err}");
            connection.hang_up();
            return over.recv().unwrap_or(Over::Left);
        }
        if last {
            return Over::Left;
        }
    }
}

fn listen(link: &Attached, numbers: &Mutex<Numbers>, teller: &Teller) -> Over {
    let heard = Arc::new(Mutex::new(Instant::now()));
    let _watched = watch(&heard, teller);
    loop {
        let message = link.connection().read();
        *hold(&heard) = Instant::now();
        match message {
            Ok(Some(FromEngine::Event(event))) if *event == Event::Stopped => return Over::Ended(None),
            Ok(Some(FromEngine::Event(event))) => {
                let event = hold(numbers).heard(*event);
                if let Some(event) = event {
                    teller.tell(event);
                }
            }
            Ok(Some(FromEngine::Alive)) => {
                let astray = hold(numbers).settle();
                astray.into_iter().for_each(|event| teller.tell(event));
            }
            Ok(Some(FromEngine::Ended(error))) => return Over::Ended(Some(*error)),
            Ok(Some(FromEngine::Welcome(_) | FromEngine::Refused(_))) => {}
            Err(err) if err.kind() == std::io::ErrorKind::InvalidData => {
                tracing::error!("an event could not be read: {err}");
                teller.fail(errors::unreadable(&err));
            }
            Ok(None) | Err(_) => return Over::Lost(link.loss()),
        }
    }
}

/// Says when nothing has been heard for long, and when something is again, until what it gives back is dropped.
fn watch(heard: &Arc<Mutex<Instant>>, teller: &Teller) -> Option<Sender<()>> {
    let (listening, over) = bounded(0);
    let (heard, teller) = (heard.clone(), teller.clone());
    let body = move || {
        while over.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
            let silent = hold(&heard).elapsed();
            let seconds = silent.as_secs();
            let attached =
                |state: &LinkState| matches!(state, LinkState::Attached | LinkState::Silent { .. });
            let state = if silent < SILENCE { LinkState::Attached } else { LinkState::Silent { seconds } };
            teller.change(attached, state);
        }
    };
    let watching = thread::Builder::new().name("silence".into()).spawn(body);
    watching.inspect_err(|err| tracing::warn!("nobody watches for silence: {err}")).ok()?;
    Some(listening)
}

fn hold<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}
