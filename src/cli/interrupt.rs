//! Ctrl-C: the first one asks the work to end in good order, the second one leaves at once. While nothing is
//! under way the first one leaves.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// Exit code of a program that a Ctrl-C ended, as shells have it.
const INTERRUPTED: i32 = 130;

/// Set by a signal. When it is set already, the signal ends the process.
pub struct Interrupt {
    signalled: Arc<AtomicBool>,
}

impl Interrupt {
    /// Listens for Ctrl-C and a polite kill. A hang-up is left alone: `nohup` decides about it.
    pub fn listen() -> io::Result<Self> {
        let signalled = Arc::new(AtomicBool::new(true));
        for signal in [SIGINT, SIGTERM] {
            // The order matters: handlers run as registered, and the first signal must find the flag clear.
            flag::register_conditional_shutdown(signal, INTERRUPTED, Arc::clone(&signalled))?;
            flag::register(signal, Arc::clone(&signalled))?;
        }
        Ok(Self { signalled })
    }

    /// From here on the first signal is a wish.
    pub fn work_begins(&self) {
        self.signalled.store(false, Ordering::Release);
    }

    /// From here on a signal ends the process.
    pub fn work_ended(&self) {
        self.signalled.store(true, Ordering::Release);
    }

    /// Whether a signal came since the work began.
    pub fn wanted(&self) -> bool {
        self.signalled.load(Ordering::Acquire)
    }
}
