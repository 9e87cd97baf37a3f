//! What goes over a socket or a pipe: the length of the rest (u32, little-endian), then JSON.

use std::fmt;
use std::io::{self, Read, Write};
use std::path::PathBuf;

use protocol::{Command, Event, UserError, Wish};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Version of these messages. Raised when an older program would misread them.
pub const VERSION: u32 = 2;
/// Version of the program, since messages of the engine change with it.
pub const PROGRAM: &str = env!("CARGO_PKG_VERSION");

/// Longest frame, in bytes. Four bytes of text announce more than this, so that text is never taken for a frame.
const LONGEST: u32 = 256 << 20;

/// From the window.
#[derive(Debug, Serialize, Deserialize)]
pub enum ToEngine {
    /// The first frame. Its form only ever grows by what may be absent.
    Hello {
        version: u32,
        program: String,
        #[serde(default)]
        claim: Option<Claim>,
    },
    Command(Box<Command>),
    Wish(Wish),
    /// The last frame: a run under way goes on, or the engine ends.
    Detach {
        keep: bool,
    },
}

/// Who a client is and where it was attached before, so that it finds its place again when its connection broke.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// A name that no other client has.
    pub client: String,
    /// The engine, by the name of its socket; empty: none yet.
    pub engine: String,
}

/// From the engine.
#[derive(Debug, Serialize, Deserialize)]
pub enum FromEngine {
    /// The first frame. The events that follow, up to the first [`FromEngine::Alive`], repeat what a client must know.
    Welcome(Welcome),
    /// The first and only frame. Its form never changes.
    Refused(Refusal),
    Event(Box<Event>),
    /// Nothing is told, and the engine lives.
    Alive,
    /// The last frame of a relay: the engine's process has ended by itself.
    Ended(Box<UserError>),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// Requests are numbered from here on, so that no answer to an earlier client passes for one to this one.
    pub first_request: u64,
    pub log: Option<PathBuf>,
    /// The name of the engine's socket.
    pub engine: String,
    /// Requests that its work thread has not answered yet.
    pub open: Vec<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// Another client is attached.
    Busy,
    /// This engine is about to end.
    Ending,
    /// This engine is of another version.
    Version { version: u32, program: String, process: u32 },
    /// There is no engine to be had.
    Failed(Box<UserError>),
}

impl ToEngine {
    pub fn hello(claim: &Claim) -> Self {
        Self::Hello { version: VERSION, program: PROGRAM.into(), claim: Some(claim.clone()) }
    }
}

impl FromEngine {
    /// What a client of another version is told.
    pub fn other_version() -> Self {
        let process = std::process::id();
        Self::Refused(Refusal::Version { version: VERSION, program: PROGRAM.into(), process })
    }
}

/// A frame was announced that is too long to be one.
#[derive(Debug)]
pub struct TooLong(pub [u8; 4]);

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a frame of {} bytes was announced", u32::from_le_bytes(self.0))
    }
}

impl std::error::Error for TooLong {}

/// Writes a frame.
///
/// # Errors
/// When the other side is gone, or the message is too long for a frame.
pub fn write(to: impl Write, message: &impl Serialize) -> io::Result<()> {
    let mut frame = vec![0; 4];
    serde_json::to_writer(&mut frame, message)?;
    write_frame(to, frame)
}

/// Writes what [`read_bytes`] gave.
///
/// # Errors
/// As [`write`].
pub fn write_bytes(to: impl Write, json: &[u8]) -> io::Result<()> {
    write_frame(to, [&[0; 4], json].concat())
}

/// `frame` has room for its length in front. It goes out in one piece.
fn write_frame(mut to: impl Write, mut frame: Vec<u8>) -> io::Result<()> {
    let length = u32::try_from(frame.len() - 4).ok().filter(|length| *length <= LONGEST);
    let length =
        length.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the message is too long"))?;
    frame[..4].copy_from_slice(&length.to_le_bytes());
    to.write_all(&frame)?;
    to.flush()
}

/// Reads a frame; none at the end.
///
/// # Errors
/// As [`read_bytes`]. `InvalidData`: the frame was read whole, but is no message.
pub fn read<T: DeserializeOwned>(from: impl Read) -> io::Result<Option<T>> {
    let Some(json) = read_bytes(from)? else { return Ok(None) };
    let message = serde_json::from_slice(&json);
    message.map(Some).map_err(|err| io::Error::new(io::ErrorKind::InvalidData, err))
}

/// Reads a frame without looking into it; none at the end. What was announced is not reserved before it has come.
///
/// # Errors
/// When the connection fails, ends within a frame, or announces a frame that is too long ([`TooLong`]).
pub fn read_bytes(mut from: impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 4];
    if !begins(&mut from, &mut length[..1])? {
        return Ok(None);
    }
    from.read_exact(&mut length[1..])?;
    if u32::from_le_bytes(length) > LONGEST {
        return Err(io::Error::other(TooLong(length)));
    }
    let length = u64::from(u32::from_le_bytes(length));
    let mut json = Vec::new();
    from.take(length).read_to_end(&mut json)?;
    if json.len() as u64 != length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Some(json))
}

/// Whether there is a byte. A process that was stopped and goes on finds its waiting interrupted.
fn begins(from: &mut impl Read, first: &mut [u8]) -> io::Result<bool> {
    loop {
        match from.read(first) {
            Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
            read => return read.map(|bytes| bytes > 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_back_one_by_one() {
        let mut bytes = Vec::new();
        let claim = Claim { client: "a".into(), engine: "b".into() };
        write(&mut bytes, &ToEngine::hello(&claim)).unwrap();
        write(&mut bytes, &ToEngine::Wish(Wish::ScaleRate(0.5))).unwrap();
        let last = serde_json::to_vec(&ToEngine::Detach { keep: true }).unwrap();
        write_bytes(&mut bytes, &last).unwrap();
        let mut from = bytes.as_slice();
        let mut next = || read::<ToEngine>(&mut from).unwrap();
        assert!(
            matches!(next(), Some(ToEngine::Hello { version: VERSION, claim: Some(of), .. }) if of == claim)
        );
        assert!(matches!(next(), Some(ToEngine::Wish(Wish::ScaleRate(factor))) if factor == 0.5));
        assert!(matches!(next(), Some(ToEngine::Detach { keep: true })));
        assert!(next().is_none());
    }

    #[test]
    fn hostile_frames_are_refused() {
        let of = |bytes: &[u8]| read::<ToEngine>(bytes).unwrap_err().kind();
        assert_eq!(of(&[1, 0]), io::ErrorKind::UnexpectedEof);
        assert_eq!(of(&[9, 0, 0, 0, b'{']), io::ErrorKind::UnexpectedEof);
        assert_eq!(of(&u32::MAX.to_le_bytes()), io::ErrorKind::Other);
        assert_eq!(of(b"\x02\0\0\0{}"), io::ErrorKind::InvalidData);
        let text = read_bytes(&b"Last login: today"[..]).unwrap_err();
        let told = text.get_ref().and_then(|err| err.downcast_ref::<TooLong>());
        assert_eq!(told.map(|told| told.0), Some(*b"Last"), "text is told from frames");
    }

    #[test]
    fn an_older_hello_is_still_one() {
        let hello = br#"{"Hello":{"version":1,"program":"0.0.9"}}"#;
        let read = serde_json::from_slice::<ToEngine>(hello).unwrap();
        assert!(matches!(read, ToEngine::Hello { version: 1, claim: None, .. }));
    }
}
