//! The engine's door: commands in, events out.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Sender};
use protocol::{Command, Control, Event, Text, UserError};

/// Called after every event that was sent.
pub type Waker = Arc<dyn Fn() + Send + Sync>;

pub struct EngineOptions {
    /// `auto`, `cpu` or `cuda:N`.
    pub device: String,
    pub runs_dir: PathBuf,
    pub log_dir: PathBuf,
}

pub struct EngineHandle {
    pub events: Receiver<Event>,
    pub control: Arc<Control>,
    commands: Sender<Command>,
    worker: JoinHandle<()>,
}

impl EngineHandle {
    pub fn send(&self, command: Command) {
        // A worker that has ended says so by `Event::Stopped`.
        self.commands.send(command).ok();
    }

    pub fn join(self) {
        drop(self.commands);
        self.worker.join().ok();
    }
}

pub fn spawn(_options: EngineOptions, waker: Waker) -> EngineHandle {
    let (commands, inbox) = crossbeam_channel::bounded(64);
    let (outbox, events) = crossbeam_channel::bounded(1024);
    let worker = thread::spawn(move || {
        for command in inbox {
            let last = command == Command::Shutdown;
            let event = match last {
                true => Event::Stopped,
                false => Event::Failed {
                    request: None,
                    error: Box::new(UserError::failure(Text::fixed("not built yet", "尚未完成"))),
                },
            };
            outbox.send(event).ok();
            waker();
            if last {
                break;
            }
        }
    });
    EngineHandle { events, control: Arc::new(Control::default()), commands, worker }
}
