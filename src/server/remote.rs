//! The window's end: an engine in another process, here or on another machine.

use std::path::PathBuf;
use std::time::Duration;

use engine::Waker;
use protocol::{Command, Event, Result, UserError, Wish};
use ui::EngineClient;
use ui::client::LinkState;

use super::address::Sockets;
use super::connection::Connection;
use super::frames::{Claim, ToEngine, Welcome};
use super::line::Line;
use super::link::{self, Link};
use super::ssh::{FarLink, SshOptions};

/// How long a window that closes waits for its last words to be sent.
const FAREWELL: Duration = Duration::from_secs(1);

/// What to start an engine with on this machine.
#[derive(Clone, Debug)]
pub struct RemoteOptions {
    /// This program.
    pub program: PathBuf,
    pub sockets: Sockets,
    /// `auto`, `cpu` or `cuda:N`.
    pub device: String,
    pub runs_dir: PathBuf,
    pub log_dir: PathBuf,
}

/// Where the engine is.
#[derive(Clone, Debug)]
pub enum Site {
    Here(RemoteOptions),
    There(SshOptions),
}

impl From<RemoteOptions> for Site {
    fn from(options: RemoteOptions) -> Self {
        Self::Here(options)
    }
}

impl From<SshOptions> for Site {
    fn from(options: SshOptions) -> Self {
        Self::There(options)
    }
}

impl Site {
    /// Attaches to an engine there, or starts one. `told` hears what is said meanwhile.
    pub fn connect(
        &self,
        claim: &Claim,
        beside_others: bool,
        told: impl Fn(String) + Send + 'static,
    ) -> Result<Attached> {
        match self {
            Self::Here(options) => link::connect(options, claim, beside_others).map(Attached::Near),
            Self::There(options) => {
                let link = options.connect(claim, beside_others, told)?;
                Ok(Attached::Far(link, options.clone()))
            }
        }
    }

    /// Whether an engine may live on when its connection breaks.
    pub fn comes_back(&self) -> bool {
        matches!(self, Self::There(_))
    }
}

/// An engine that has welcomed this client.
pub enum Attached {
    Near(Link),
    Far(FarLink, SshOptions),
}

impl Attached {
    pub fn connection(&self) -> &Connection {
        match self {
            Self::Near(link) => &link.connection,
            Self::Far(link, _) => &link.connection,
        }
    }

    pub fn welcome(&self) -> &Welcome {
        match self {
            Self::Near(link) => &link.welcome,
            Self::Far(link, _) => &link.welcome,
        }
    }

    /// After the connection's end: what to say of it.
    pub fn loss(&self) -> UserError {
        match self {
            Self::Near(link) => link.death(),
            Self::Far(link, options) => link.loss(options),
        }
    }
}

/// Attaches to an engine that serves nobody, or starts one, in a thread. Whatever is asked meanwhile waits for it. The
/// waker is called after events have come. When the connection to another machine breaks, it is made again.
///
/// Events of a run that an earlier window began carry `RequestId(0)`.
pub struct RemoteEngine {
    site: Site,
    waker: Waker,
    line: Line,
}

impl RemoteEngine {
    pub fn new(site: impl Into<Site>, waker: Waker) -> Self {
        let site = site.into();
        let line = Line::open(site.clone(), waker.clone(), false);
        Self { site, waker, line }
    }

    /// As [`EngineClient::detach`], without waiting: the words are sent in the background.
    pub fn leave(&mut self, keep_running: bool) {
        self.line.part(keep_running);
    }
}

impl EngineClient for RemoteEngine {
    fn send(&mut self, command: Command) {
        self.line.say(ToEngine::Command(Box::new(command)));
    }

    fn wish(&mut self, wish: Wish) {
        self.line.say(ToEngine::Wish(wish));
    }

    fn drain(&mut self, events: &mut Vec<Event>) {
        self.line.drain(events);
    }

    fn link(&self) -> LinkState {
        self.line.state()
    }

    fn detach(&mut self, keep_running: bool) {
        self.line.part(keep_running);
        self.line.wait_until_sent(FAREWELL);
    }

    fn restart(&mut self) {
        self.line.part(false);
        self.line = Line::open(self.site.clone(), self.waker.clone(), true);
    }
}
