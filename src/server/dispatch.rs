//! A queue in front of the engine: its own is short, and whoever fills it waits.

use std::sync::Arc;

use crossbeam_channel::{Sender, unbounded};
use engine::EngineHandle;
use protocol::Command;

#[derive(Clone, Debug)]
pub struct Dispatch(Sender<Command>);

impl Dispatch {
    /// # Errors
    /// When there is no thread to be had.
    pub fn start(engine: Arc<EngineHandle>) -> std::io::Result<Self> {
        let (sender, commands) = unbounded::<Command>();
        let body = move || commands.iter().for_each(|command| engine.send(command));
        std::thread::Builder::new().name("dispatch".into()).spawn(body)?;
        Ok(Self(sender))
    }

    /// Never waits.
    pub fn send(&self, command: Command) {
        if self.0.send(command).is_err() {
            tracing::error!("a command came for an engine that has ended");
        }
    }
}
