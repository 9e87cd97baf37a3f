//! The most memory that work takes: read again and again by a thread of its own while the work goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, Sender, bounded};
use protocol::DeviceKind;

use super::{Chosen, memory_in_use, resident_bytes};

/// Short against the work of a block; a reading takes microseconds.
const EVERY: Duration = Duration::from_millis(20);

/// Watches from its making to its end.
pub struct PeakMeter {
    chosen: Chosen,
    /// What was in use before the work began.
    before: u64,
    highest: Arc<AtomicU64>,
    /// The thread ends when this does.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl PeakMeter {
    /// Without a thread to spare only the readings at [`bytes`](Self::bytes) count.
    pub fn start(chosen: &Chosen) -> Self {
        let before = own_bytes(chosen);
        let highest = Arc::new(AtomicU64::new(before));
        let (stop, stopped) = bounded::<()>(0);
        let (device, seen) = (chosen.clone(), Arc::clone(&highest));
        let watch = move || {
            while stopped.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
                seen.fetch_max(own_bytes(&device), Ordering::Relaxed);
            }
        };
        let thread = std::thread::Builder::new().name("peak".into()).spawn(watch);
        Self { chosen: chosen.clone(), before, highest, stop: Some(stop), thread: thread.ok() }
    }

    /// The most so far, beyond what there was before.
    pub fn bytes(&self) -> u64 {
        let now = own_bytes(&self.chosen);
        self.highest.fetch_max(now, Ordering::Relaxed).max(now).saturating_sub(self.before)
    }
}

impl Drop for PeakMeter {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that watches memory panicked");
        }
    }
}

/// Memory that the system cannot take back: of the device's pools, or of this process without the pages of mapped files.
fn own_bytes(chosen: &Chosen) -> u64 {
    match chosen.report.kind {
        DeviceKind::Cuda | DeviceKind::Wgpu => memory_in_use(chosen),
        DeviceKind::Cpu => anonymous_bytes().unwrap_or_else(resident_bytes),
    }
}

/// Resident memory that no file stands behind; None where the system does not tell.
fn anonymous_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? << 10)
}
