//! The window's engine, wherever the user wants it.

use engine::{EngineOptions, Waker};
use protocol::{Command, Event, Wish};
use ui::EngineClient;
use ui::client::LinkState;
use ui::hosting::{HostKind, Hosting};

use super::local::LocalEngine;
use super::remote::{RemoteEngine, RemoteOptions};
use super::ssh::SshOptions;

pub struct HostedEngine {
    /// For an engine of this machine.
    here: RemoteOptions,
    waker: Waker,
    engine: Engine,
}

enum Engine {
    Thread(LocalEngine),
    Process(RemoteEngine),
}

impl HostedEngine {
    pub fn new(here: RemoteOptions, hosting: &Hosting, waker: Waker) -> Self {
        let engine = Engine::start(&here, hosting, &waker);
        Self { here, waker, engine }
    }

    fn client(&self) -> &dyn EngineClient {
        match &self.engine {
            Engine::Thread(engine) => engine,
            Engine::Process(engine) => engine,
        }
    }

    fn client_mut(&mut self) -> &mut dyn EngineClient {
        match &mut self.engine {
            Engine::Thread(engine) => engine,
            Engine::Process(engine) => engine,
        }
    }
}

impl Engine {
    fn start(here: &RemoteOptions, hosting: &Hosting, waker: &Waker) -> Self {
        let (device, waker) = (here.device.clone(), waker.clone());
        match hosting.kind {
            HostKind::Thread => {
                let (runs_dir, log_dir) = (here.runs_dir.clone(), here.log_dir.clone());
                Self::Thread(LocalEngine::new(EngineOptions { device, runs_dir, log_dir }, waker))
            }
            HostKind::Process => Self::Process(RemoteEngine::new(here.clone(), waker)),
            HostKind::Ssh => {
                let there = SshOptions { ssh: "ssh".into(), hosting: hosting.clone(), device };
                Self::Process(RemoteEngine::new(there, waker))
            }
        }
    }
}

impl EngineClient for HostedEngine {
    fn send(&mut self, command: Command) {
        self.client_mut().send(command);
    }

    fn wish(&mut self, wish: Wish) {
        self.client_mut().wish(wish);
    }

    fn drain(&mut self, events: &mut Vec<Event>) {
        self.client_mut().drain(events);
    }

    fn link(&self) -> LinkState {
        self.client().link()
    }

    fn detach(&mut self, keep_running: bool) {
        self.client_mut().detach(keep_running);
    }

    fn restart(&mut self) {
        self.client_mut().restart();
    }

    fn host(&mut self, hosting: &Hosting, keep_running: bool) {
        match &mut self.engine {
            Engine::Thread(engine) => engine.detach(false),
            Engine::Process(engine) => engine.leave(keep_running),
        }
        self.engine = Engine::start(&self.here, hosting, &self.waker);
    }
}
