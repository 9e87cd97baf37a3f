//! A connection that one thread reads, another one writes, and a third one can end.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use interprocess::local_socket::Stream;
use interprocess::local_socket::traits::Stream as _;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::frames;

#[derive(Clone, Debug)]
pub struct Connection(Arc<Stream>);

impl Connection {
    pub fn new(stream: Stream) -> Self {
        Self(Arc::new(stream))
    }

    /// # Errors
    /// As [`frames::read`].
    pub fn read<T: DeserializeOwned>(&self) -> io::Result<Option<T>> {
        frames::read(&*self.0)
    }

    /// # Errors
    /// As [`frames::write`].
    pub fn write(&self, message: &impl Serialize) -> io::Result<()> {
        frames::write(&*self.0, message)
    }

    /// Longest wait for the other side; none: for ever. Where the system has no such limit there is none.
    pub fn patience(&self, read: Option<Duration>, write: Option<Duration>) {
        let set = self.0.set_recv_timeout(read).and_then(|()| self.0.set_send_timeout(write));
        if let Err(err) = set {
            tracing::debug!("a connection takes no limit of time: {err}");
        }
    }

    /// Ends the connection for both directions and all threads that read or write.
    #[cfg(unix)]
    pub fn hang_up(&self) {
        use std::os::fd::AsFd;
        use std::os::unix::net::UnixStream;
        let Stream::UdSocket(stream) = &*self.0;
        let ended = stream.as_fd().try_clone_to_owned().map(UnixStream::from);
        if let Err(err) = ended.and_then(|stream| stream.shutdown(std::net::Shutdown::Both)) {
            tracing::debug!("a connection was ended already: {err}");
        }
    }

    /// A pipe ends when its last owner drops it: the reading thread hears of it from the other side.
    #[cfg(not(unix))]
    pub fn hang_up(&self) {}
}
