//! The engine as the window sees it.

use protocol::{Command, Event, UserError, Wish};

use crate::hosting::Hosting;

/// How the window stands with its engine.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum LinkState {
    /// `said`: what ssh says meanwhile.
    Connecting { said: Option<String> },
    #[default]
    Attached,
    /// Attached, and nothing was heard for so long, not even that it lives.
    Silent { seconds: u64 },
    /// The connection broke and the engine may be well: it is tried again in `seconds`.
    Lost { error: Box<UserError>, seconds: u64 },
    /// There is no engine, and nothing is tried until a restart.
    Ended,
}

/// A way to the engine. Nothing here waits: a frame calls it.
pub trait EngineClient {
    fn send(&mut self, command: Command);

    fn wish(&mut self, wish: Wish);

    /// Appends the events that have come.
    fn drain(&mut self, events: &mut Vec<Event>);

    /// How the line to the engine is. One in the same process is always there.
    fn link(&self) -> LinkState {
        LinkState::Attached
    }

    /// The window goes. With `keep_running` a run under way goes on, and the next window attaches to it again; without,
    /// it is stopped in good order and the engine ends.
    fn detach(&mut self, keep_running: bool);

    /// A new engine in place of one that ended.
    fn restart(&mut self);

    /// Goes over to an engine elsewhere; the one before is left as [`EngineClient::detach`] says. A client of one engine
    /// only stays with it.
    fn host(&mut self, _hosting: &Hosting, _keep_running: bool) {}
}
