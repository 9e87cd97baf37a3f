//! Files on their way from a hub: several at once, each resumed where it broke off and proven before it gets its name.

mod fetch;
mod meter;
mod proof;
mod sink;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use protocol::FileHash;
use url::Url;

use crate::fault::Fault;
use crate::http::Line;
pub(crate) use meter::Meter;
pub use meter::Progress;
pub(crate) use proof::{Prover, hex, prove_file};
pub(crate) use sink::is_whole;

/// Files that come at the same time: a hub's store serves one connection far below what a line carries.
const AT_ONCE: usize = 8;
/// Between two reports.
const TELL: Duration = Duration::from_millis(200);

/// How often and how soon something is tried again.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Failures in a row without a byte gained.
    pub retries: u32,
    pub first: Duration,
    pub longest: Duration,
    /// A connection on which nothing comes for so long is given up.
    pub silence: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            retries: 5,
            first: Duration::from_millis(500),
            longest: Duration::from_secs(20),
            silence: Duration::from_secs(30),
        }
    }
}

/// One file to be fetched.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    pub url: Url,
    /// As the repository calls it.
    pub path: String,
    pub bytes: u64,
    pub hash: Option<FileHash>,
    pub blob: PathBuf,
    pub lock: PathBuf,
}

/// Fetches all pieces; returns how many bytes came over the network.
pub(crate) async fn fetch_all(
    line: &Line,
    mut pieces: Vec<Piece>,
    progress: &Progress,
) -> Result<u64, Fault> {
    // The largest first, so that it is not what everybody waits for at the end.
    pieces.sort_by_key(|piece| std::cmp::Reverse(piece.bytes));
    let meter = Arc::new(Meter::new(pieces.iter().fold(0, |sum, piece| sum.saturating_add(piece.bytes))));
    let work = stream::iter(pieces)
        .map(|piece| fetch::fetch(line, piece, meter.clone()))
        .buffer_unordered(AT_ONCE)
        .try_collect::<Vec<()>>();
    meter.watch(TELL, progress, line.caller.or(work)).await?;
    Ok(meter.fetched())
}
