//! Removing a run.

use std::fs;
use std::path::Path;

use protocol::{Result, Text, UserError};

use super::folder::PLAN_FILE;
use crate::files::{RunLock, remove_leftovers};

/// Between a run's name and the rest of the name it has while it is removed.
const MARK: &str = ".tmp-removed-";

/// Removes a run folder: hidden first, so that a kill in between leaves no half run, and emptied then. What an
/// earlier removal left is removed, too.
///
/// # Errors
/// When it is no run folder, or a link to one, or somebody works in it, or it cannot be removed.
pub fn delete(run: &Path) -> Result<()> {
    refuse_other(run)?;
    let lock = RunLock::acquire(run)?;
    let name = run.file_name().unwrap_or_default().to_string_lossy();
    let hidden = run.with_file_name(format!(".{name}{MARK}{}", std::process::id()));
    let removing = |err: &std::io::Error| UserError::io(Text::fixed("remove the run", "删除训练"), run, err);
    // Windows does not move a folder in which a file is open.
    let lock = if cfg!(windows) { None } else { Some(lock) };
    fs::rename(run, &hidden).map_err(|err| removing(&err))?;
    fs::remove_dir_all(&hidden).map_err(|err| removing(&err))?;
    drop(lock);
    let parent = run.parent().unwrap_or(Path::new("."));
    if let Err(error) = remove_leftovers(parent, &format!(".{name}{MARK}")) {
        tracing::warn!("what an earlier removal left stays: {error}");
    }
    Ok(())
}

/// A folder is only removed if it is a run: a plan in it, and the lock that every run leaves.
fn refuse_other(run: &Path) -> Result<()> {
    let refused = |what: Text| Err(UserError::bad_input(what).in_file(run));
    let metadata = fs::symlink_metadata(run)
        .map_err(|err| UserError::io(Text::fixed("look at the run", "查看训练"), run, &err))?;
    if metadata.is_symlink() {
        return refused(Text::fixed(
            "This is a link to a folder; only the folder itself can be removed",
            "这是指向文件夹的链接；只能删除文件夹本身",
        ));
    }
    let file = |name: &str| fs::symlink_metadata(run.join(name)).is_ok_and(|file| file.is_file());
    if !metadata.is_dir() || !file(PLAN_FILE) || !file("run.lock") || run.file_name().is_none() {
        return refused(Text::fixed(
            "This is not a run folder, so it is not removed",
            "这不是训练文件夹，因此不会删除",
        ));
    }
    Ok(())
}
