//! Between the engine and whoever is attached to it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use protocol::{Command, Control, Event, Wish};

use super::connection::Connection;
use super::dispatch::Dispatch;
use super::frames::{Claim, FromEngine, Refusal, Welcome};
use super::replay::Replay;
use super::work::Work;

/// A client that has so many events waiting does not read any more.
const MOST_WAITING: usize = 50_000;
/// For the last events to reach a client when the engine has ended.
const LAST_WORDS: Duration = Duration::from_secs(3);

pub struct Hub {
    control: Arc<Control>,
    dispatch: Dispatch,
    /// The name under which it is found.
    name: String,
    log: Option<PathBuf>,
    /// Says that the standing may have changed.
    changed: Sender<()>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    replay: Replay,
    work: Work,
    seat: Option<Seat>,
    seats: u64,
    /// Who sits or sat in it last.
    client: String,
    next_request: u64,
    standing: Standing,
}

/// The one client's place.
struct Seat {
    number: u64,
    queue: Sender<FromEngine>,
    connection: Connection,
    written: Receiver<()>,
}

/// What the process lives by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    pub attached: bool,
    /// Whether there ever was a client.
    pub served: bool,
    /// Whether the last one went without a farewell, and may come back.
    pub lost: bool,
    pub run: bool,
    /// Whether the end was asked for.
    pub ending: bool,
    /// Whether the engine has ended.
    pub ended: bool,
}

/// How a client goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parting {
    /// Its connection broke.
    Lost,
    /// It said so; a run goes on.
    Farewell,
    /// The engine is to go with it.
    End,
}

/// What a client that was taken in works with.
pub struct Admitted {
    pub seat: u64,
    pub queue: Receiver<FromEngine>,
    /// To be dropped when everything in the queue was written.
    pub written: Sender<()>,
}

impl Hub {
    pub fn new(
        control: Arc<Control>,
        dispatch: Dispatch,
        name: String,
        log: Option<PathBuf>,
    ) -> (Arc<Self>, Receiver<()>) {
        let (changed, heard) = bounded(1);
        let inner = Mutex::new(Inner { next_request: 1, ..Inner::default() });
        (Arc::new(Self { control, dispatch, name, log, changed, inner }), heard)
    }

    /// Takes a client in, unless there is another one. A client that comes again takes its own place: that its first
    /// connection broke may not be known here yet.
    pub fn admit(&self, connection: &Connection, claim: Option<&Claim>) -> Result<Admitted, Refusal> {
        let mut inner = self.inner();
        if inner.standing.ending {
            return Err(Refusal::Ending);
        }
        let client = claim.map(|claim| claim.client.as_str()).unwrap_or_default();
        let again = !client.is_empty() && client == inner.client;
        match &inner.seat {
            Some(seat) if again => seat.connection.hang_up(),
            Some(_) => return Err(Refusal::Busy),
            None => {}
        }
        client.clone_into(&mut inner.client);
        let ((sender, queue), (written, all_written)) = (unbounded(), bounded(0));
        inner.seats += 1;
        for message in self.greeting(&inner, again) {
            // Its other end is in this function.
            sender.send(message).ok();
        }
        let seat = inner.seats;
        inner.seat =
            Some(Seat { number: seat, queue: sender, connection: connection.clone(), written: all_written });
        (inner.standing.served, inner.standing.lost) = (true, false);
        self.tell(inner);
        Ok(Admitted { seat, queue, written })
    }

    fn greeting(&self, inner: &Inner, again: bool) -> Vec<FromEngine> {
        let welcome = Welcome {
            first_request: inner.next_request,
            log: self.log.clone(),
            engine: self.name.clone(),
            open: inner.work.open(),
        };
        let events = inner.replay.events(again).map(|event| FromEngine::Event(Box::new(event)));
        std::iter::once(FromEngine::Welcome(welcome)).chain(events).chain([FromEngine::Alive]).collect()
    }

    /// A command of a client; only the one that is attached has a say.
    pub fn command(&self, seat: u64, mut command: Command) {
        let mut inner = self.inner();
        if inner.seat.as_ref().is_none_or(|taken| taken.number != seat) {
            return;
        }
        let Some(request) = command.request_mut() else {
            // Shutdown.
            inner.standing.ending = true;
            return self.tell(inner);
        };
        inner.next_request = inner.next_request.max(request.0.saturating_add(1));
        inner.work.begins(&command, &self.control);
        self.dispatch.send(command);
        self.tell(inner);
    }

    pub fn wish(&self, seat: u64, wish: Wish) {
        if self.inner().seat.as_ref().is_some_and(|taken| taken.number == seat) {
            self.control.wish(wish);
        }
    }

    /// Tells the client that something it sent was lost.
    pub fn lost(&self, event: Event) {
        self.pass_on(&mut self.inner(), event);
    }

    /// An event of the engine: kept as far as a later client needs it, and passed on if there is one.
    pub fn heard(&self, event: Event) {
        let mut inner = self.inner();
        if event == Event::Stopped {
            // Told at the very end, when the process ends.
            return;
        }
        inner.replay.heard(&event);
        // At the end the wish to stop stands for whatever still waits.
        let control = if inner.standing.ending { &Control::default() } else { &*self.control };
        inner.work.heard(&event, control);
        self.pass_on(&mut inner, event);
        self.tell(inner);
    }

    fn pass_on(&self, inner: &mut Inner, event: Event) {
        let Some(seat) = &inner.seat else { return };
        let full = seat.queue.len() >= MOST_WAITING;
        if full || seat.queue.send(FromEngine::Event(Box::new(event))).is_err() {
            tracing::warn!("the client does not read its events: it is left alone");
            seat.connection.hang_up();
            inner.seat = None;
            inner.standing.lost = true;
        }
    }

    /// A client goes.
    pub fn leave(&self, seat: u64, parting: Parting) {
        let mut inner = self.inner();
        if inner.seat.as_ref().is_some_and(|taken| taken.number == seat) {
            inner.seat = None;
            inner.standing.lost = parting == Parting::Lost;
            inner.standing.ending |= parting == Parting::End;
        }
        self.tell(inner);
    }

    /// The engine is to end in good order.
    pub fn end(&self) {
        let mut inner = self.inner();
        inner.standing.ending = true;
        self.tell(inner);
    }

    /// The engine has ended by itself or as asked.
    pub fn ended(&self) {
        let mut inner = self.inner();
        inner.standing.ended = true;
        self.tell(inner);
    }

    /// The last word to a client that is still there.
    pub fn close(&self) {
        let mut inner = self.inner();
        inner.standing.ending = true;
        let Some(Seat { queue, written, .. }) = inner.seat.take() else { return };
        drop(inner);
        queue.send(FromEngine::Event(Box::new(Event::Stopped))).ok();
        drop(queue);
        // An error is the good news: the writing thread has dropped its end.
        written.recv_timeout(LAST_WORDS).ok();
    }

    pub fn standing(&self) -> Standing {
        let inner = self.inner();
        Standing { attached: inner.seat.is_some(), run: inner.work.has_run(), ..inner.standing }
    }

    fn tell(&self, inner: MutexGuard<'_, Inner>) {
        drop(inner);
        // Full: somebody is about to look anyway.
        self.changed.try_send(()).ok();
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
