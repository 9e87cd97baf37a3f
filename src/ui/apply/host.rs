//! Where the engine is: going over to another one, and going on when one died.

use std::path::PathBuf;

use protocol::{Command, Event};

use super::Apply;
use crate::client::LinkState;
use crate::hosting::Hosting;
use crate::state::engine::EngineState;
use crate::state::train::TrainState;

impl Apply<'_> {
    /// Goes over to an engine elsewhere. What was asked of the one before, and its runs, are left with it.
    pub(super) fn host(&mut self, hosting: &Hosting, keep_running: bool) {
        if hosting.problem().is_some() {
            return;
        }
        self.engine.host(hosting, keep_running);
        self.state.preferences.hosting = hosting.clone();
        self.state.reduce(&Event::Stopped);
        self.state.engine =
            EngineState { link: LinkState::Connecting { said: None }, ..EngineState::default() };
        self.state.train = TrainState::default();
        self.state.runs = Default::default();
        self.state.monitor = Default::default();
        self.state.recovery = Default::default();
        self.state.browse = None;
    }

    /// The run's folder tells whether there is something to go on from.
    pub(super) fn recover(&mut self, dir: PathBuf) {
        let request = self.state.next_request();
        self.state.recovery.asked(request);
        self.engine.send(Command::ReadRun { request, dir });
    }
}
