//! `emberwright engine --stdio`: the engine of this machine behind two pipes, for a window on another one.
//!
//! The engine itself is a process of its own that outlives the pipes. This one finds or starts it and hands frames on, so
//! that a connection that breaks costs no step. Nothing else is written to stdout.

use std::io;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Sender, bounded};
use protocol::{Result, Text, UserError};

use super::connection::Connection;
use super::frames::{FromEngine, PROGRAM, Refusal, ToEngine, VERSION};
use super::link;
use super::remote::RemoteOptions;

/// For a frame that is on its way when the client has said its last, so that none is cut off by the end of the process. A
/// client that reads takes no longer.
const LAST_FRAME: Duration = Duration::from_secs(2);

/// Serves the client at stdin and stdout.
///
/// # Errors
/// When what comes from the client is no greeting, or the pipes fail before an engine is found.
pub fn relay_stdio(options: &RemoteOptions, beside_others: bool) -> Result<()> {
    relay(&Connection::pair(io::stdin(), io::stdout(), || {}), options, beside_others)
}

/// Serves a client until it or the engine is gone.
///
/// # Errors
/// As [`relay_stdio`].
pub fn relay(client: &Connection, options: &RemoteOptions, beside_others: bool) -> Result<()> {
    let claim = match client.read().map_err(|err| no_greeting(&err))? {
        Some(ToEngine::Hello { version: VERSION, program, claim }) if program == PROGRAM => claim,
        Some(ToEngine::Hello { .. }) => {
            return client.write(&FromEngine::other_version()).map_err(|err| failed(&err));
        }
        Some(_) => return Err(no_greeting(&io::Error::other("it was another message"))),
        None => return Ok(()),
    };
    let link = match link::connect(options, &claim.unwrap_or_default(), beside_others) {
        Ok(link) => link,
        Err(error) => {
            let refusal = FromEngine::Refused(Refusal::Failed(Box::new(error)));
            return client.write(&refusal).map_err(|err| failed(&err));
        }
    };
    client.write(&FromEngine::Welcome(link.welcome.clone())).map_err(|err| failed(&err))?;
    let (over, ended) = bounded(2);
    let both = hand_on(client, &link.connection, Side::Client, over.clone())
        .and_then(|()| hand_on(&link.connection, client, Side::Engine, over));
    both.map_err(|err| failed(&err))?;
    let first = ended.recv();
    if first == Ok(Side::Engine) {
        // The client may be gone as well.
        client.write(&FromEngine::Ended(Box::new(link.death()))).ok();
    }
    link.connection.hang_up();
    if first == Ok(Side::Client) {
        // An error: the client does not read.
        ended.recv_timeout(LAST_FRAME).ok();
    }
    Ok(())
}

/// Who went first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Client,
    Engine,
}

/// Frames as they come, in a thread; `over` hears who is to blame when there are no more.
fn hand_on(from: &Connection, to: &Connection, source: Side, over: Sender<Side>) -> io::Result<()> {
    let (from, to) = (from.clone(), to.clone());
    let other = if source == Side::Client { Side::Engine } else { Side::Client };
    let body = move || {
        let blame = loop {
            match from.read_bytes() {
                Ok(Some(frame)) if to.write_bytes(&frame).is_ok() => {}
                Ok(Some(_)) => break other,
                Ok(None) => break source,
                Err(err) => {
                    tracing::warn!("the {source:?}'s frames end: {err}");
                    break source;
                }
            }
        };
        // The first one counts.
        over.send(blame).ok();
    };
    thread::Builder::new().name("relay".into()).spawn(body).map(drop)
}

fn no_greeting(err: &io::Error) -> UserError {
    let what = Text::fixed(
        "What came on stdin is no greeting of an Emberwright window",
        "标准输入的内容不是 Emberwright 窗口的问候",
    );
    let mend = Text::fixed(
        "`engine --stdio` is started by a window or a program that speaks its frames, see ARCHITECTURE.md",
        "`engine --stdio` 由窗口或懂得其数据帧的程序启动，参见 ARCHITECTURE.md",
    );
    UserError::bad_input(what).detail(err.to_string()).mend(mend)
}

fn failed(err: &io::Error) -> UserError {
    let what = Text::fixed("The client's pipes have failed", "客户端的管道已中断");
    UserError::failure(what).detail(err.to_string())
}
