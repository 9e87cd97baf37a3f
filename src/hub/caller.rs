//! Whoever asked: may want the work to end, and hears why it takes so long.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use protocol::{Text, UserError};

use crate::fault::Fault;

/// Between two looks at the wish.
const LOOK: Duration = Duration::from_millis(50);

/// Takes what is waited for; None: nothing any more.
type Hears = dyn Fn(Option<&Text>) + Send + Sync;

/// Asks whether somebody wants the work to end, and tells what it waits for.
#[derive(Clone)]
pub struct Caller {
    wants_end: Arc<dyn Fn() -> bool + Send + Sync>,
    hears: Arc<Hears>,
    waits: Arc<Mutex<Waits>>,
}

/// What is waited for now.
#[derive(Default)]
struct Waits {
    /// Pieces of work that wait.
    pieces: usize,
    /// What was said last, unless it is over.
    told: Option<Text>,
}

impl Caller {
    pub fn who_ends(wanted: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self { wants_end: Arc::new(wanted), hears: Arc::new(|_| ()), waits: Arc::default() }
    }

    /// One who waits for the end, whatever comes.
    pub fn patient() -> Self {
        Self::who_ends(|| false)
    }

    /// `hears` is told what the work waits for when a hub does not answer, each thing once, and None when it answers
    /// again.
    #[must_use]
    pub fn hearing(self, hears: impl Fn(Option<&Text>) + Send + Sync + 'static) -> Self {
        Self { hears: Arc::new(hears), ..self }
    }

    /// Does the work, or breaks it off at whatever it waits for.
    pub(crate) async fn or<T>(&self, work: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
        tokio::select! {
            done = work => done,
            () = self.ends() => Err(Fault::last(stopped())),
        }
    }

    async fn ends(&self) {
        while !(self.wants_end)() {
            tokio::time::sleep(LOOK).await;
        }
    }

    fn tell(&self, change: impl FnOnce(&mut Waits) -> Option<Text>) {
        let mut waits = self.waits.lock().unwrap_or_else(PoisonError::into_inner);
        let now = change(&mut waits);
        if now != waits.told {
            (self.hears)(now.as_ref());
            waits.told = now;
        }
    }
}

/// One piece of work that may have to wait.
pub(crate) struct Waiting<'a> {
    caller: &'a Caller,
    counted: bool,
}

impl<'a> Waiting<'a> {
    pub fn of(caller: &'a Caller) -> Self {
        Self { caller, counted: false }
    }

    /// From now on it waits for this.
    pub fn begins(&mut self, what: Text) {
        let news = usize::from(!std::mem::replace(&mut self.counted, true));
        self.caller.tell(|waits| {
            waits.pieces += news;
            Some(what)
        });
    }

    /// The same where nothing was said yet that tells more.
    pub fn begins_unless_told(&mut self, what: Text) {
        let said = self.caller.waits.lock().unwrap_or_else(PoisonError::into_inner).told.clone();
        self.begins(said.unwrap_or(what));
    }

    /// It goes on. The caller hears so when no other piece waits.
    pub fn ends(&mut self) {
        if std::mem::take(&mut self.counted) {
            self.caller.tell(|waits| {
                waits.pieces -= 1;
                waits.told.clone().filter(|_| waits.pieces > 0)
            });
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.ends();
    }
}

fn stopped() -> UserError {
    UserError::failure(Text::fixed("The transfer was stopped", "传输已停止"))
        .mend(Text::fixed("start it again: it goes on where it was", "重新开始即可从中断处继续"))
}
