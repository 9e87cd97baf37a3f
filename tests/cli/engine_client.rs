//! A client without a window, and the engines that it leaves behind.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use emberwright::server::{RemoteEngine, RemoteOptions, Sockets};
use protocol::config::parse_run_file;
use protocol::{Command, Event, Outcome, RequestId, RunCommand, RunEvent, StepMetrics, UserError};
use ui::{EngineClient, LinkState};

#[cfg(target_os = "linux")]
pub use crate::processes::running;
#[cfg(unix)]
pub use crate::processes::signal;
use crate::project::run_file;
use crate::workshop::Workshop;

pub const PATIENCE: Duration = Duration::from_secs(90);
/// A run that ends when the test wants it to.
pub const LONG: &str = "max_steps = 100000\nsave_every = 0\neval_every = 0\n";

/// A client without a window.
pub struct Window<C: EngineClient = RemoteEngine> {
    pub client: C,
    /// Told and not yet looked at.
    pub events: Vec<Event>,
    requests: u64,
}

impl<C: EngineClient> Window<C> {
    pub fn new(client: C) -> Self {
        Self { client, events: Vec::new(), requests: 0 }
    }

    pub fn request(&mut self) -> RequestId {
        self.requests += 1;
        RequestId(self.requests)
    }

    /// Looks at events until `look` has what it wants.
    #[track_caller]
    pub fn wait<T>(&mut self, what: &str, mut look: impl FnMut(&Event) -> Option<T>) -> T {
        let began = Instant::now();
        loop {
            self.client.drain(&mut self.events);
            while !self.events.is_empty() {
                if let Some(found) = look(&self.events.remove(0)) {
                    return found;
                }
            }
            assert!(began.elapsed() < PATIENCE, "waited in vain for {what}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    #[track_caller]
    pub fn ready(&mut self) {
        self.wait("Ready", |event| match event {
            Event::Ready { .. } => Some(()),
            Event::Failed { error, .. } => panic!("{error}"),
            _ => None,
        });
    }

    pub fn start(&mut self, workshop: &Workshop, settings: &str) -> PathBuf {
        let source = run_file(settings);
        let config = Box::new(parse_run_file(&source, Path::new("run.toml")).unwrap());
        let (base, out) = (workshop.path(""), workshop.path("out"));
        let request = self.request();
        self.client.send(Command::Run(RunCommand::Start { request, config, base, source, out: out.clone() }));
        out
    }

    #[track_caller]
    pub fn steps(&mut self) -> (RequestId, Vec<StepMetrics>) {
        self.wait("steps", |event| match event {
            Event::Run { request, update: RunEvent::Stepped { steps, .. }, .. } => {
                Some((*request, steps.clone()))
            }
            Event::Run { update: RunEvent::Ended { outcome }, .. } => panic!("{outcome:?}"),
            _ => None,
        })
    }

    #[track_caller]
    pub fn outcome(&mut self) -> Outcome {
        self.wait("the run's end", |event| match event {
            Event::Run { update: RunEvent::Ended { outcome }, .. } => Some(outcome.clone()),
            _ => None,
        })
    }

    #[track_caller]
    pub fn failure(&mut self) -> UserError {
        self.wait("a failure", |event| match event {
            Event::Failed { error, .. } => Some((**error).clone()),
            _ => None,
        })
    }

    /// Waits for the line to be as wanted; events stay where they are.
    #[track_caller]
    pub fn link(&mut self, what: &str, wanted: impl Fn(&LinkState) -> bool) -> LinkState {
        let began = Instant::now();
        loop {
            let state = self.client.link();
            if wanted(&state) {
                return state;
            }
            assert!(began.elapsed() < PATIENCE, "waited in vain for {what}: {state:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[track_caller]
    pub fn last_event(&mut self) {
        self.wait("the last event", |event| (*event == Event::Stopped).then_some(()));
    }
}

pub fn options(workshop: &Workshop) -> RemoteOptions {
    RemoteOptions {
        program: env!("CARGO_BIN_EXE_emberwright").into(),
        sockets: Sockets::at(workshop.path("sockets")),
        device: "cpu".into(),
        runs_dir: workshop.path("runs"),
        log_dir: workshop.path("logs"),
    }
}

pub fn open(workshop: &Workshop) -> Window {
    Window::new(RemoteEngine::new(options(workshop), Arc::new(|| {})))
}

pub fn sockets(workshop: &Workshop) -> Vec<String> {
    options(workshop).sockets.names()
}

/// Processes of engines of this workshop.
#[cfg(target_os = "linux")]
pub fn processes(workshop: &Workshop) -> Vec<u32> {
    running(&workshop.path("sockets").display().to_string())
}

#[cfg(not(target_os = "linux"))]
pub fn processes(_: &Workshop) -> Vec<u32> {
    Vec::new()
}

/// Waits until no engine of this workshop is left.
#[track_caller]
pub fn all_gone(workshop: &Workshop) {
    let began = Instant::now();
    while !(sockets(workshop).is_empty() && processes(workshop).is_empty()) {
        let left = (sockets(workshop), processes(workshop));
        assert!(began.elapsed() < PATIENCE, "an engine is left: {left:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
