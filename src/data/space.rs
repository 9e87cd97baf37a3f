//! Disk space: asked for before writing, named when it runs out.

use std::io;
use std::path::Path;

use protocol::{Result, Text, UserError, text};

/// Refuses a write that cannot fit.
///
/// # Errors
/// The file system of `folder` has less than `bytes` left for us: both numbers are named. Where the space
/// cannot be asked for, the write itself will tell.
pub fn require_space(folder: &Path, bytes: u64) -> Result<()> {
    match available(folder) {
        Some(left) if left < bytes => {
            let (needed, left) = (human(bytes), human(left));
            let what = text!(
                "Not enough disk space: {needed} are needed, {left} are free",
                "磁盘空间不足：需要 {needed}，可用 {left}"
            );
            Err(UserError::failure(what).in_file(folder).mend(free_some()))
        }
        _ => Ok(()),
    }
}

/// Bytes that are free where `path` lies or would lie; 0 if unknown.
pub fn free_bytes(path: &Path) -> u64 {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    absolute.ancestors().find(|folder| folder.is_dir()).and_then(available).unwrap_or(0)
}

/// The error of a failed write to a file that is to have `bytes` bytes.
pub fn write_error(path: &Path, bytes: u64, err: &io::Error) -> UserError {
    let needed = human(bytes);
    let error =
        UserError::io(text!("write the file ({needed} needed)", "写入文件（需要 {needed}）"), path, err);
    if err.kind() == io::ErrorKind::StorageFull { error.mend(free_some()) } else { error }
}

fn free_some() -> Text {
    Text::fixed("free some disk space and try again", "请释放磁盘空间后重试")
}

/// `12.3 MB`: decimal units, as file managers show.
fn human(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["bytes", "kB", "MB", "GB", "TB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1000.0 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} bytes") } else { format!("{value:.1} {}", UNITS[unit]) }
}

#[cfg(unix)]
fn available(folder: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(folder).ok()?;
    stat.f_bavail.checked_mul(stat.f_frsize)
}

#[cfg(not(unix))]
fn available(_folder: &Path) -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_readable() {
        assert_eq!(human(999), "999 bytes");
        assert_eq!(human(5_000_000_000), "5.0 GB");
    }

    #[test]
    fn more_than_the_disk_is_refused_beforehand() {
        let folder = tempfile::tempdir().unwrap();
        assert!(require_space(folder.path(), 1).is_ok());
        let err = require_space(folder.path(), u64::MAX).unwrap_err();
        assert!(cfg!(not(unix)) || err.what.en.contains("are needed"), "{err}");
    }
}
