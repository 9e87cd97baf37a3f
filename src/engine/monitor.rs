//! The device's pulse: once a second while it works, and once when it rests. At rest the thread sleeps on its channel
//! and costs nothing.

use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use protocol::Event;

use crate::device::{Chosen, Meter};
use crate::sink::Sink;

const EVERY: Duration = Duration::from_secs(1);

/// The work thread's end.
pub struct Monitor {
    /// Whether the device works.
    working: Option<Sender<bool>>,
    thread: Option<JoinHandle<()>>,
}

impl Monitor {
    /// Begins to watch, with a first reading of the device at rest. Without a thread to spare nothing is told.
    pub fn start(chosen: Chosen, sink: Sink) -> Self {
        let (working, heard) = unbounded();
        let body = move || watch(&heard, &mut Meter::new(chosen), sink);
        let thread = std::thread::Builder::new().name("monitor".into()).spawn(body);
        Self { working: Some(working), thread: thread.ok() }
    }

    pub fn work_begins(&self) {
        self.tell(true);
    }

    pub fn work_ended(&self) {
        self.tell(false);
    }

    fn tell(&self, working: bool) {
        if let Some(channel) = &self.working
            && channel.send(working).is_err()
        {
            tracing::debug!("the monitor has ended");
        }
    }
}

/// The engine's last word comes after the monitor's.
impl Drop for Monitor {
    fn drop(&mut self) {
        self.working = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the monitor panicked");
        }
    }
}

fn watch(heard: &Receiver<bool>, meter: &mut Meter, mut sink: Sink) {
    sink.emit(Event::Device { stats: meter.read() });
    let mut working = false;
    loop {
        let next = if working { heard.recv_timeout(EVERY) } else { heard.recv().map_err(Into::into) };
        match next {
            Ok(state) => working = state,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        // A short answer between two others is no reason to tell the state in between.
        if heard.is_empty() {
            sink.emit(Event::Device { stats: meter.read() });
        }
    }
}
