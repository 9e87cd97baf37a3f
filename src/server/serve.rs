//! The engine's process: `emberwright engine`, which the window starts.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};
use engine::{EngineHandle, EngineOptions};
use interprocess::local_socket::prelude::*;
use protocol::{Command, Event, Result, Text, UserError, text};

use super::address::Sockets;
use super::connection::Connection;
use super::dispatch::Dispatch;
use super::frames::{FromEngine, PROGRAM, ToEngine, VERSION};
use super::hub::{Admitted, Hub, Parting, Standing};

/// How long an engine without a run waits for a client after the last one …
const GRACE: Duration = Duration::from_secs(2);
/// … for one that went without a farewell, and may have lost its connection only …
const LOST_GRACE: Duration = Duration::from_secs(30);
/// … and for the first one.
const FIRST_GRACE: Duration = Duration::from_secs(30);
/// Longest silence while there is nothing to tell.
const BEAT: Duration = Duration::from_secs(2);
/// For a client's first frame.
const HELLO: Duration = Duration::from_secs(5);
/// For a client that does not read.
const STUCK: Duration = Duration::from_secs(300);

/// Serves until nobody needs the engine any more: no client is attached and no run is under way, or a client or the
/// system asked for the end.
///
/// # Errors
/// When the socket or a thread cannot be had.
pub fn serve(sockets: &Sockets, name: &str, options: EngineOptions, log: Option<PathBuf>) -> Result<()> {
    sockets.prepare()?;
    let listener = sockets.listen(name).map_err(|err| failed(&err))?;
    let engine = Arc::new(engine::spawn(options, Arc::new(|| {})));
    let dispatch = Dispatch::start(engine.clone()).map_err(|err| failed(&err))?;
    let (hub, changed) = Hub::new(engine.control.clone(), dispatch, name.into(), log);
    let ready = start_threads(&hub, &engine, listener);
    if let Err(err) = ready {
        sockets.forget(name);
        return Err(failed(&err));
    }
    wait(&hub, &changed);
    sockets.forget(name);
    hub.end();
    if !hub.standing().ended {
        engine.send(Command::Shutdown);
    }
    while !hub.standing().ended && changed.recv().is_ok() {}
    hub.close();
    Ok(())
}

fn failed(err: &io::Error) -> UserError {
    UserError::failure(text!("The engine cannot be reached: {err}", "引擎无法接受连接：{err}"))
}

fn start_threads(
    hub: &Arc<Hub>,
    engine: &Arc<EngineHandle>,
    listener: LocalSocketListener,
) -> io::Result<()> {
    let (events, told) = (engine.events.clone(), hub.clone());
    let pump = move || {
        events.iter().for_each(|event| told.heard(event));
        told.ended();
    };
    spawn("events", pump)?;
    heed_signals(hub)?;
    let hub = hub.clone();
    let accept = move || {
        for stream in listener.incoming() {
            match stream {
                Ok(stream) => attend(Connection::new(stream), &hub),
                Err(err) => {
                    tracing::warn!("a connection failed: {err}");
                    // Out of descriptors, perhaps: not at once again.
                    std::thread::sleep(Duration::from_millis(100));
                }
            }
        }
    };
    spawn("accept", accept)
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
    std::thread::Builder::new().name(name.into()).spawn(body).map(drop)
}

/// A polite kill ends the engine in good order; a terminal that closes does not concern it.
#[cfg(unix)]
fn heed_signals(hub: &Arc<Hub>) -> io::Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    let mut signals = signal_hook::iterator::Signals::new([SIGHUP, SIGINT, SIGTERM])?;
    let hub = hub.clone();
    spawn("signals", move || {
        for signal in signals.forever().filter(|signal| *signal != SIGHUP) {
            tracing::warn!("signal {signal}: the engine ends");
            hub.end();
        }
    })
}

#[cfg(not(unix))]
fn heed_signals(_: &Arc<Hub>) -> io::Result<()> {
    Ok(())
}

/// Sleeps until the process is to end.
fn wait(hub: &Hub, changed: &Receiver<()>) {
    let mut idle_since = Instant::now();
    loop {
        let standing = hub.standing();
        if standing.ending || (standing.ended && standing.served) {
            return;
        }
        let needed = standing.attached || standing.run;
        if needed {
            idle_since = Instant::now();
        }
        let grace = match standing {
            Standing { served: false, .. } => FIRST_GRACE,
            Standing { lost: true, .. } => LOST_GRACE,
            _ => GRACE,
        };
        let left = grace.saturating_sub(idle_since.elapsed());
        let heard = match needed {
            true => changed.recv().map_err(RecvTimeoutError::from),
            false if left.is_zero() => return,
            false => changed.recv_timeout(left),
        };
        if needed {
            idle_since = Instant::now();
        }
        if heard == Err(RecvTimeoutError::Disconnected) {
            return;
        }
    }
}

/// Greets a client in a thread of its own: one that says nothing must not keep others out.
fn attend(connection: Connection, hub: &Arc<Hub>) {
    let hub = hub.clone();
    let started = spawn("client", move || {
        if let Err(err) = converse(&connection, &hub) {
            tracing::debug!("a client's connection ended: {err}");
        }
        connection.hang_up();
    });
    if let Err(err) = started {
        tracing::error!("no thread for a client: {err}");
    }
}

fn converse(connection: &Connection, hub: &Arc<Hub>) -> io::Result<()> {
    connection.patience(Some(HELLO), Some(HELLO));
    let claim = match connection.read()? {
        Some(ToEngine::Hello { version: VERSION, program, claim }) if program == PROGRAM => claim,
        Some(ToEngine::Hello { .. }) => return connection.write(&FromEngine::other_version()),
        _ => return Err(io::Error::other("no hello")),
    };
    connection.patience(None, Some(STUCK));
    let admitted = match hub.admit(connection, claim.as_ref()) {
        Ok(admitted) => admitted,
        Err(refusal) => return connection.write(&FromEngine::Refused(refusal)),
    };
    let seat = admitted.seat;
    let (writer, left) = (connection.clone(), hub.clone());
    spawn("to-client", move || {
        if let Err(err) = tell(&writer, &admitted) {
            tracing::debug!("the client is gone: {err}");
            left.leave(seat, Parting::Lost);
        }
        writer.hang_up();
        drop(admitted.written);
    })
    .inspect_err(|_| hub.leave(seat, Parting::Lost))?;
    let end = listen(connection, hub, seat);
    hub.leave(seat, *end.as_ref().unwrap_or(&Parting::Lost));
    end.map(drop)
}

/// Writes what the engine tells, and that it lives when it tells nothing.
fn tell(client: &Connection, admitted: &Admitted) -> io::Result<()> {
    loop {
        let message = match admitted.queue.recv_timeout(BEAT) {
            Ok(message) => message,
            Err(RecvTimeoutError::Timeout) => FromEngine::Alive,
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        };
        client.write(&message)?;
    }
}

/// Hears a client out, and how it goes.
fn listen(connection: &Connection, hub: &Hub, seat: u64) -> io::Result<Parting> {
    loop {
        match connection.read() {
            Ok(Some(ToEngine::Command(command))) => hub.command(seat, *command),
            Ok(Some(ToEngine::Wish(wish))) => hub.wish(seat, wish),
            Ok(Some(ToEngine::Detach { keep: true })) => return Ok(Parting::Farewell),
            Ok(Some(ToEngine::Detach { keep: false })) => return Ok(Parting::End),
            Ok(Some(ToEngine::Hello { .. })) => {}
            Ok(None) => return Ok(Parting::Lost),
            Err(err) if err.kind() == io::ErrorKind::InvalidData => hub.lost(unreadable(&err)),
            Err(err) => return Err(err),
        }
    }
}

fn unreadable(err: &io::Error) -> Event {
    tracing::error!("a command could not be read: {err}");
    let what = Text::fixed("The engine could not read a command", "引擎无法读取一条命令");
    let error = UserError::failure(what).detail(err.to_string());
    Event::Failed { request: None, error: Box::new(error) }
}
