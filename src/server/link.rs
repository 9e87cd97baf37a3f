//! Finds an engine that serves nobody, or starts one.

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use protocol::{Result, UserError};

use super::connection::Connection;
use super::errors;
use super::frames::{FromEngine, Refusal, ToEngine};
use super::process::{self, End};
use super::remote::RemoteOptions;

/// For a new process to listen: it may have to load the GPU's libraries first.
const START: Duration = Duration::from_secs(60);
/// For an engine to answer a greeting.
const ANSWER: Duration = Duration::from_secs(5);
/// For an engine of another version to end: without a run it does so at once.
const OTHERS: Duration = Duration::from_secs(4);
const BETWEEN: Duration = Duration::from_millis(15);

/// A connection that the engine has welcomed.
pub struct Link {
    pub connection: Connection,
    pub first_request: u64,
    pub log: Option<PathBuf>,
    /// Known if this program started the engine.
    pub end: Option<End>,
}

/// Connects. An engine of another version that is at work is an error, unless `beside_others`.
///
/// # Errors
/// When there is no engine to attach to and none can be started.
pub fn connect(options: &RemoteOptions, beside_others: bool) -> Result<Link> {
    options.sockets.prepare()?;
    let began = Instant::now();
    loop {
        match attach(options) {
            Ok(link) => return Ok(link),
            Err(None) => return start(options),
            Err(Some(_)) if beside_others => return start(options),
            Err(Some(other)) if began.elapsed() > OTHERS => return Err(other),
            Err(Some(_)) => std::thread::sleep(BETWEEN * 10),
        }
    }
}

/// Tries every engine there is; the error says that one is of another version.
fn attach(options: &RemoteOptions) -> Result<Link, Option<UserError>> {
    let mut other = None;
    for name in options.sockets.names() {
        let connection = match options.sockets.connect(&name) {
            Ok(connection) => connection,
            Err(err) => {
                tracing::debug!("nobody listens at {name}: {err}");
                options.sockets.forget_abandoned(&name);
                continue;
            }
        };
        match greet(connection) {
            Ok(Ok(link)) => return Ok(link),
            Ok(Err(Refusal::Version { program, process, .. })) => {
                other = Some(errors::other_version(&program, process));
            }
            Ok(Err(Refusal::Busy | Refusal::Ending)) => {}
            Err(err) => tracing::debug!("the engine at {name} does not answer: {err}"),
        }
    }
    Err(other)
}

fn greet(connection: Connection) -> io::Result<Result<Link, Refusal>> {
    connection.patience(Some(ANSWER), Some(ANSWER));
    connection.write(&ToEngine::hello())?;
    match connection.read()? {
        Some(FromEngine::Welcome { first_request, log }) => {
            connection.patience(None, None);
            Ok(Ok(Link { connection, first_request, log, end: None }))
        }
        Some(FromEngine::Refused(refusal)) => Ok(Err(refusal)),
        _ => Err(io::Error::other("no welcome")),
    }
}

fn start(options: &RemoteOptions) -> Result<Link> {
    let started = process::start(options).map_err(|err| errors::not_started(None, err.to_string()))?;
    let began = Instant::now();
    loop {
        let tried = options.sockets.connect(&started.socket).and_then(greet);
        let reason = match tried {
            Ok(Ok(link)) => return Ok(Link { end: Some(started.end), ..link }),
            Ok(Err(refusal)) => format!("{refusal:?}"),
            Err(err) => err.to_string(),
        };
        if let Some(end) = started.end.words() {
            return Err(errors::not_started(Some(&started.log), end));
        }
        if began.elapsed() > START {
            return Err(errors::not_started(Some(&started.log), reason));
        }
        std::thread::sleep(BETWEEN);
    }
}
