//! A file mapped into memory, read only.

use std::fs::File;
use std::ops::{Deref, Range};
use std::path::{Path, PathBuf};

use memmap2::Mmap;
use protocol::{Result, Text, UserError, text};

// Bytes of a mapping are handed out as numbers without swapping.
const _: () = assert!(cfg!(target_endian = "little"), "tensor files are little-endian");

/// The whole of a regular file, mapped. Its pages belong to the page cache, so they are not counted as
/// memory of this process that the system could not take back.
#[derive(Debug)]
pub struct Mapping {
    path: PathBuf,
    map: Mmap,
}

impl Mapping {
    /// # Errors
    /// The file cannot be opened, or is no regular file (a pipe would block, a device has no end).
    pub fn open(path: &Path) -> Result<Self> {
        let reading = || Text::fixed("read the file", "读取文件");
        let metadata = std::fs::metadata(path).map_err(|err| UserError::io(reading(), path, &err))?;
        if !metadata.is_file() {
            let what = Text::fixed("Not a regular file", "不是普通文件");
            return Err(UserError::bad_input(what).in_file(path));
        }
        let file = File::open(path).map_err(|err| UserError::io(reading(), path, &err))?;
        #[expect(unsafe_code, reason = "a mapping has no safe constructor")]
        // SAFETY: the mapping is read only and private to this type. Another process that rewrites the file
        // while we read can change or end the bytes, as with every memory-mapped format; all lengths and
        // offsets are checked against this mapping's own length, once, before any use.
        let map = unsafe { Mmap::map(&file) };
        let map = map.map_err(|err| UserError::io(text!("map the file", "映射文件"), path, &err))?;
        Ok(Self { path: path.to_path_buf(), map })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Asks the system to read a range of bytes soon: a hint, which may be refused.
    pub fn fetch_ahead(&self, range: Range<usize>) {
        #[cfg(unix)]
        if let Err(err) = self.map.advise_range(memmap2::Advice::WillNeed, range.start, range.len()) {
            tracing::debug!("pages are not fetched ahead: {err}");
        }
        #[cfg(not(unix))]
        let _ = range;
    }
}

impl Deref for Mapping {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.map
    }
}
