//! Finds an engine that serves nobody, or starts one.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use protocol::{Result, UserError};

use super::connection::Connection;
use super::errors;
use super::frames::{Claim, FromEngine, Refusal, ToEngine, Welcome};
use super::process::{self, End};
use super::remote::RemoteOptions;

/// For a new process to listen: it may have to load the GPU's libraries first.
const START: Duration = Duration::from_secs(60);
/// For an engine to answer a greeting.
const ANSWER: Duration = Duration::from_secs(5);
/// For an engine of another version to end: without a run it does so at once.
const OTHERS: Duration = Duration::from_secs(4);
const BETWEEN: Duration = Duration::from_millis(15);
/// Engines that are started before it is given up: each may be taken by another window.
const STARTS: u32 = 4;
/// How long the end of a process may take to be known after its connection's.
const POST_MORTEM: Duration = Duration::from_millis(500);

/// A connection that an engine has welcomed.
pub struct Link {
    pub connection: Connection,
    pub welcome: Welcome,
    /// Known if this program started the engine.
    pub end: Option<End>,
}

impl Link {
    /// The error that says how the engine ended. A moment passes between the end of a connection and that of its
    /// process.
    pub fn death(&self) -> UserError {
        let began = Instant::now();
        let how = || self.end.as_ref().and_then(End::words);
        while self.end.is_some() && how().is_none() && began.elapsed() < POST_MORTEM {
            thread::sleep(Duration::from_millis(10));
        }
        errors::engine_died(self.welcome.log.as_deref(), how())
    }
}

/// Connects. An engine of another version that is at work is an error, unless `beside_others`.
///
/// # Errors
/// When there is no engine to attach to and none can be started.
pub fn connect(options: &RemoteOptions, claim: &Claim, beside_others: bool) -> Result<Link> {
    options.sockets.prepare()?;
    let began = Instant::now();
    loop {
        match attach(options, claim) {
            Ok(link) => return Ok(link),
            Err(None) => return start(options, claim, STARTS),
            Err(Some(_)) if beside_others => return start(options, claim, STARTS),
            Err(Some(other)) if began.elapsed() > OTHERS => return Err(other),
            Err(Some(_)) => thread::sleep(BETWEEN * 10),
        }
    }
}

/// Tries every engine there is, the claimed one first; the error says that one is of another version.
fn attach(options: &RemoteOptions, claim: &Claim) -> Result<Link, Option<UserError>> {
    let mut other = None;
    let mut names = options.sockets.names();
    names.sort_by_key(|name| *name != claim.engine);
    for name in names {
        let connection = match options.sockets.connect(&name) {
            Ok(connection) => connection,
            Err(err) => {
                tracing::debug!("nobody listens at {name}: {err}");
                options.sockets.forget_abandoned(&name);
                continue;
            }
        };
        match greet(connection, claim) {
            Ok(Ok(link)) => return Ok(link),
            Ok(Err(Refusal::Version { program, process, .. })) => {
                other = Some(errors::other_version(&program, process));
            }
            Ok(Err(Refusal::Busy | Refusal::Ending | Refusal::Failed(_))) => {}
            Err(err) => tracing::debug!("the engine at {name} does not answer: {err}"),
        }
    }
    Err(other)
}

fn greet(connection: Connection, claim: &Claim) -> io::Result<Result<Link, Refusal>> {
    connection.patience(Some(ANSWER), Some(ANSWER));
    let answer = introduce(&connection, claim)?;
    connection.patience(None, None);
    Ok(answer.map(|welcome| Link { connection, welcome, end: None }))
}

/// The first words of either side.
pub fn introduce(connection: &Connection, claim: &Claim) -> io::Result<Result<Welcome, Refusal>> {
    connection.write(&ToEngine::hello(claim))?;
    match connection.read()? {
        Some(FromEngine::Welcome(welcome)) => Ok(Ok(welcome)),
        Some(FromEngine::Refused(refusal)) => Ok(Err(refusal)),
        Some(_) => Err(io::Error::other("no welcome")),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

fn start(options: &RemoteOptions, claim: &Claim, starts: u32) -> Result<Link> {
    let started = process::start(options).map_err(|err| errors::not_started(None, err.to_string()))?;
    let began = Instant::now();
    loop {
        let connected = options.sockets.connect(&started.socket);
        let reason = match connected.and_then(|connection| greet(connection, claim)) {
            Ok(Ok(link)) => return Ok(Link { end: Some(started.end), ..link }),
            // Another window was quicker.
            Ok(Err(Refusal::Busy)) if starts > 1 => return start(options, claim, starts - 1),
            Ok(Err(refusal)) => format!("{refusal:?}"),
            Err(err) => err.to_string(),
        };
        if let Some(end) = started.end.words() {
            return Err(errors::not_started(Some(&started.log), end));
        }
        if began.elapsed() > START {
            return Err(errors::not_started(Some(&started.log), reason));
        }
        thread::sleep(BETWEEN);
    }
}
