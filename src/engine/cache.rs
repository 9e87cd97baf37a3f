//! What may be lost without loss: folders in the user's cache.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::UNIX_EPOCH;

use data::Keep;

static FOLDER: OnceLock<PathBuf> = OnceLock::new();

/// The program's own folder in the user's cache; whoever says it first wins.
pub fn set(folder: &Path) {
    FOLDER.get_or_init(|| folder.to_owned());
}

/// Where compiled kernels and the choice among them are kept between runs; None where nothing is kept, as in tests.
#[cfg_attr(not(feature = "gpu"), expect(dead_code, reason = "only GPUs have kernels to keep"))]
pub fn kernels() -> Option<PathBuf> {
    FOLDER.get().map(|folder| folder.join("kernels"))
}

/// Where it is kept what checks have found out of rows.
pub fn rows() -> Option<Keep> {
    let folder = FOLDER.get()?.join("checked");
    Some(Keep { folder, build: build()? })
}

/// Tells this build of the program from others.
fn build() -> Option<String> {
    let file = std::env::current_exe().and_then(std::fs::metadata).ok()?;
    let changed = file.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(format!("{} {} {}", env!("CARGO_PKG_VERSION"), file.len(), changed.as_nanos()))
}
