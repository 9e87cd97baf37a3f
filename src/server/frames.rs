//! What goes over the socket: the length of the rest (u32, little-endian), then JSON.

use std::io::{self, Read, Write};
use std::path::PathBuf;

use protocol::{Command, Event, Wish};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Version of these messages. Raised when an older program would misread them.
pub const VERSION: u32 = 1;
/// Version of the program, since messages of the engine change with it.
pub const PROGRAM: &str = env!("CARGO_PKG_VERSION");

/// Longest frame, in bytes.
const LONGEST: u32 = 256 << 20;

/// From the window.
#[derive(Debug, Serialize, Deserialize)]
pub enum ToEngine {
    /// The first frame. Its form never changes.
    Hello {
        version: u32,
        program: String,
    },
    Command(Box<Command>),
    Wish(Wish),
    /// The last frame: a run under way goes on, or the engine ends.
    Detach {
        keep: bool,
    },
}

/// From the engine.
#[derive(Debug, Serialize, Deserialize)]
pub enum FromEngine {
    /// The first frame. Requests are numbered from `first_request` on, so that no answer to an earlier client passes
    /// for one to this one.
    Welcome {
        first_request: u64,
        log: Option<PathBuf>,
    },
    /// The first and only frame. Its form never changes.
    Refused(Refusal),
    Event(Box<Event>),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// Another client is attached.
    Busy,
    /// This engine is about to end.
    Ending,
    /// This engine is of another version.
    Version { version: u32, program: String, process: u32 },
}

impl ToEngine {
    pub fn hello() -> Self {
        Self::Hello { version: VERSION, program: PROGRAM.into() }
    }
}

/// Writes a frame.
///
/// # Errors
/// When the other side is gone, or the message is too long for a frame.
pub fn write(mut to: impl Write, message: &impl Serialize) -> io::Result<()> {
    let mut frame = vec![0; 4];
    serde_json::to_writer(&mut frame, message)?;
    let length = u32::try_from(frame.len() - 4).ok().filter(|length| *length <= LONGEST);
    let length =
        length.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the message is too long"))?;
    frame[..4].copy_from_slice(&length.to_le_bytes());
    to.write_all(&frame)?;
    to.flush()
}

/// Reads a frame; none at the end. What was announced is not reserved before it has come.
///
/// # Errors
/// When the connection fails, ends within a frame, or announces a frame that is too long. `InvalidData`: the frame was
/// read whole, but is no message.
pub fn read<T: DeserializeOwned>(mut from: impl Read) -> io::Result<Option<T>> {
    let mut length = [0; 4];
    if from.read(&mut length[..1])? == 0 {
        return Ok(None);
    }
    from.read_exact(&mut length[1..])?;
    let length = u32::from_le_bytes(length);
    if length > LONGEST {
        return Err(io::Error::other(format!("a frame of {length} bytes was announced")));
    }
    let mut json = Vec::new();
    from.take(u64::from(length)).read_to_end(&mut json)?;
    if json.len() as u64 != u64::from(length) {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let message = serde_json::from_slice(&json);
    message.map(Some).map_err(|err| io::Error::new(io::ErrorKind::InvalidData, err))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_back_one_by_one() {
        let mut bytes = Vec::new();
        write(&mut bytes, &ToEngine::hello()).unwrap();
        write(&mut bytes, &ToEngine::Wish(Wish::ScaleRate(0.5))).unwrap();
        write(&mut bytes, &ToEngine::Detach { keep: true }).unwrap();
        let mut from = bytes.as_slice();
        let mut next = || read::<ToEngine>(&mut from).unwrap();
        assert!(matches!(next(), Some(ToEngine::Hello { version: VERSION, .. })));
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
    }
}
