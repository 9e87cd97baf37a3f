//! The engine as the window sees it.

use protocol::{Command, Event, Wish};

/// A way to the engine. Nothing here waits: a frame calls it.
pub trait EngineClient {
    fn send(&mut self, command: Command);

    fn wish(&mut self, wish: Wish);

    /// Appends the events that have come.
    fn drain(&mut self, events: &mut Vec<Event>);

    /// The window goes. With `keep_running` a run under way goes on, and the next window attaches to it again; without,
    /// it is stopped in good order and the engine ends.
    fn detach(&mut self, keep_running: bool);

    /// A new engine in place of one that ended.
    fn restart(&mut self);
}
