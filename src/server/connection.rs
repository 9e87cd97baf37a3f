//! A connection that one thread reads, another one writes, and a third one can end: a socket, or a pair of pipes.

use std::fmt;
use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use interprocess::local_socket::Stream;
use interprocess::local_socket::traits::Stream as _;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::frames;

#[derive(Clone)]
pub struct Connection(Arc<Ends>);

enum Ends {
    Socket(Stream),
    Pair(Pair),
}

/// What is read and what is written are two things, of any kind.
struct Pair {
    from: Mutex<Box<dyn Read + Send>>,
    to: Mutex<Box<dyn Write + Send>>,
    end: Box<dyn Fn() + Send + Sync>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &*self.0 {
            Ends::Socket(_) => "Connection(socket)",
            Ends::Pair(_) => "Connection(pair)",
        })
    }
}

impl Connection {
    pub fn new(stream: Stream) -> Self {
        Self(Arc::new(Ends::Socket(stream)))
    }

    /// Over any reader and writer. `end` makes both return to whoever waits for them.
    pub fn pair(
        from: impl Read + Send + 'static,
        to: impl Write + Send + 'static,
        end: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        let pair =
            Pair { from: Mutex::new(Box::new(from)), to: Mutex::new(Box::new(to)), end: Box::new(end) };
        Self(Arc::new(Ends::Pair(pair)))
    }

    /// # Errors
    /// As [`frames::read`].
    pub fn read<T: DeserializeOwned>(&self) -> io::Result<Option<T>> {
        match &*self.0 {
            Ends::Socket(stream) => frames::read(stream),
            Ends::Pair(pair) => frames::read(&mut **hold(&pair.from)),
        }
    }

    /// A frame as it came.
    ///
    /// # Errors
    /// As [`frames::read_bytes`].
    pub fn read_bytes(&self) -> io::Result<Option<Vec<u8>>> {
        match &*self.0 {
            Ends::Socket(stream) => frames::read_bytes(stream),
            Ends::Pair(pair) => frames::read_bytes(&mut **hold(&pair.from)),
        }
    }

    /// What lies ready that is no frame, once; waits until something does.
    ///
    /// # Errors
    /// When the connection fails.
    pub fn read_rest(&self, into: &mut [u8]) -> io::Result<usize> {
        match &*self.0 {
            Ends::Socket(stream) => {
                let mut stream = stream;
                stream.read(into)
            }
            Ends::Pair(pair) => hold(&pair.from).read(into),
        }
    }

    /// # Errors
    /// As [`frames::write`].
    pub fn write(&self, message: &impl Serialize) -> io::Result<()> {
        match &*self.0 {
            Ends::Socket(stream) => frames::write(stream, message),
            Ends::Pair(pair) => frames::write(&mut **hold(&pair.to), message),
        }
    }

    /// # Errors
    /// As [`frames::write_bytes`].
    pub fn write_bytes(&self, json: &[u8]) -> io::Result<()> {
        match &*self.0 {
            Ends::Socket(stream) => frames::write_bytes(stream, json),
            Ends::Pair(pair) => frames::write_bytes(&mut **hold(&pair.to), json),
        }
    }

    /// Longest wait for the other side; none: for ever. Where the system has no such limit there is none: pipes have
    /// [`Connection::deadline`].
    pub fn patience(&self, read: Option<Duration>, write: Option<Duration>) {
        let Ends::Socket(stream) = &*self.0 else { return };
        let set = stream.set_recv_timeout(read).and_then(|()| stream.set_send_timeout(write));
        if let Err(err) = set {
            tracing::debug!("a connection takes no limit of time: {err}");
        }
    }

    /// Ends the connection after `time`, unless what it gives back is dropped before.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub fn deadline(&self, time: Duration) -> io::Result<Deadline> {
        let (kept, dropped) = crossbeam_channel::bounded::<()>(0);
        let connection = self.clone();
        let body = move || {
            if dropped.recv_timeout(time) == Err(crossbeam_channel::RecvTimeoutError::Timeout) {
                tracing::debug!("no answer in time");
                connection.hang_up();
            }
        };
        std::thread::Builder::new().name("deadline".into()).spawn(body)?;
        Ok(Deadline { _kept: kept })
    }

    /// Ends the connection for both directions and all threads that read or write.
    pub fn hang_up(&self) {
        match &*self.0 {
            Ends::Socket(stream) => shut_down(stream),
            Ends::Pair(pair) => (pair.end)(),
        }
    }
}

/// See [`Connection::deadline`].
pub struct Deadline {
    _kept: crossbeam_channel::Sender<()>,
}

fn hold<T: ?Sized>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(unix)]
fn shut_down(stream: &Stream) {
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;
    let Stream::UdSocket(stream) = stream;
    let ended = stream.as_fd().try_clone_to_owned().map(UnixStream::from);
    if let Err(err) = ended.and_then(|stream| stream.shutdown(std::net::Shutdown::Both)) {
        tracing::debug!("a connection was ended already: {err}");
    }
}

/// A pipe ends when its last owner drops it: the reading thread hears of it from the other side.
#[cfg(not(unix))]
fn shut_down(_: &Stream) {}
