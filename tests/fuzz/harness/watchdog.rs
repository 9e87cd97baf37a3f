//! Ends the process of a target that hangs, or whose parent is gone.

use std::io::Read;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Rounds begun so far.
static ROUND: AtomicU64 = AtomicU64::new(0);
/// Seconds without a new round after which a parser counts as hanging.
const PATIENCE: u64 = 120;

pub fn round_begins() {
    ROUND.fetch_add(1, Relaxed);
}

pub fn watch() {
    std::thread::spawn(|| {
        // The parent writes nothing: this ends when it does.
        let mut nothing = [0];
        if !matches!(std::io::stdin().read(&mut nothing), Ok(1..)) {
            std::process::exit(3);
        }
    });
    std::thread::spawn(|| {
        let mut last = (0, 0);
        loop {
            std::thread::sleep(Duration::from_secs(1));
            let now = ROUND.load(Relaxed);
            last = if now == last.0 { (now, last.1 + 1) } else { (now, 0) };
            if last.1 > PATIENCE {
                println!("the input hangs");
                std::process::abort();
            }
        }
    });
}
