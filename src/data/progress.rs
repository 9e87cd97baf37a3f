//! How long work on files tells how far it is, and hears that it should end.

use protocol::{Result, Text, UserError, Verdict};

/// Told by long passes over files and rows, from any thread.
pub trait Progress: Sync {
    /// `done` of `total`, in the stage's own unit (bytes when indexing, rows when checking).
    fn report(&self, _stage: &Text, _done: u64, _total: u64) {}

    /// A check has gone on: `so_far` makes the verdict on the rows looked at, and their number.
    fn verdict(&self, _so_far: &mut dyn FnMut() -> (Verdict, u64)) {}

    /// Polled several times a second; true ends the work with an error.
    fn cancelled(&self) -> bool {
        false
    }
}

/// Tells no one and never ends early.
pub struct Silent;

impl Progress for Silent {}

/// # Errors
/// When the work should end.
pub(crate) fn check_cancelled(progress: &dyn Progress) -> Result<()> {
    if progress.cancelled() { Err(stopped()) } else { Ok(()) }
}

/// The work ended early, as was wished.
pub(crate) fn stopped() -> UserError {
    UserError::failure(Text::fixed("Stopped before the data was read", "数据读取已中止"))
}
