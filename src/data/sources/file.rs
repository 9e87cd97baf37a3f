//! A file on disk, read by position.
//!
//! Rows are fetched with positioned reads rather than through a memory map: the page cache serves both,
//! and a file that shrinks while it is read ends in an error instead of a SIGBUS.

use std::fs::{File, Metadata};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use protocol::{Result, Text, UserError, text};
use sha2::{Digest, Sha256};

use crate::progress::{Progress, check_cancelled};

/// A row may not be longer than this, in bytes. One row becomes one training example, and 16 MiB of text
/// are already millions of tokens.
pub const MAX_ROW_BYTES: u64 = 16 << 20;

const CHUNK: usize = 1 << 20;
/// Chunks between two reports of progress.
const REPORT_EVERY: u64 = 16;

pub struct DataFile {
    path: Arc<Path>,
    file: File,
    bytes: u64,
    /// Where scanning ends: the file's end, or before it where only the head is looked at.
    end: u64,
    modified: Option<SystemTime>,
}

impl DataFile {
    /// # Errors
    /// When the path is missing, unreadable, or not a regular file.
    pub fn open(path: &Path) -> Result<Self> {
        let doing = || Text::fixed("open the dataset", "打开数据集");
        // Asked before opening: opening a named pipe would wait for a writer.
        let found = std::fs::metadata(path).map_err(|err| UserError::io(doing(), path, &err))?;
        if found.is_dir() {
            return Err(UserError::bad_input(Text::fixed(
                "A dataset must be a file, and this is a folder",
                "数据集应为文件，而此路径是文件夹",
            ))
            .mend(Text::fixed("name the files in it one by one", "请逐一列出其中的文件"))
            .in_file(path));
        }
        if !found.is_file() {
            return Err(UserError::bad_input(Text::fixed(
                "A dataset must be a regular file",
                "数据集必须是普通文件",
            ))
            .in_file(path));
        }
        let file = File::open(path).map_err(|err| UserError::io(doing(), path, &err))?;
        let opened = file.metadata().map_err(|err| UserError::io(doing(), path, &err))?;
        let bytes = opened.len();
        Ok(Self { path: path.into(), file, bytes, end: bytes, modified: modified(&opened) })
    }

    /// Opens a file of which only the first `limit` bytes are scanned.
    ///
    /// # Errors
    /// As [`DataFile::open`].
    pub fn open_head(path: &Path, limit: u64) -> Result<Self> {
        let file = Self::open(path)?;
        Ok(Self { end: file.bytes.min(limit), ..file })
    }

    /// Where scanning ends.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Whether scanning ends before the file does: what lies across the end is cut.
    pub fn is_head(&self) -> bool {
        self.end < self.bytes
    }

    pub fn path(&self) -> &Arc<Path> {
        &self.path
    }

    /// Size when it was opened.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The first `limit` bytes, or fewer if the file is shorter.
    pub fn head(&self, limit: usize) -> Result<Vec<u8>> {
        self.read(0, limit.min(usize::try_from(self.bytes).unwrap_or(usize::MAX)))
    }

    /// Exactly `len` bytes from `start`.
    ///
    /// # Errors
    /// When the file was changed since it was opened, or cannot be read.
    pub fn read(&self, start: u64, len: usize) -> Result<Vec<u8>> {
        self.check_unchanged()?;
        let mut bytes = vec![0; len];
        let mut done = 0;
        while done < len {
            match self.read_some(&mut bytes[done..], start + done as u64)? {
                0 => return Err(self.changed()),
                count => done += count,
            }
        }
        Ok(bytes)
    }

    /// Hands the file from `start` to its end to `take`, chunk by chunk, each with its position.
    pub fn scan(
        &self,
        start: u64,
        stage: &Text,
        progress: &dyn Progress,
        mut take: impl FnMut(u64, &[u8]) -> Result<()>,
    ) -> Result<()> {
        let mut chunk = vec![0; CHUNK];
        let mut at = start;
        for turn in 0u64.. {
            if turn.is_multiple_of(REPORT_EVERY) {
                check_cancelled(progress)?;
                progress.report(stage, at, self.end);
            }
            let left = usize::try_from(self.end.saturating_sub(at)).unwrap_or(CHUNK).min(CHUNK);
            let count = self.read_some(&mut chunk[..left], at)?;
            if count == 0 {
                break;
            }
            take(at, &chunk[..count])?;
            at += count as u64;
        }
        progress.report(stage, at, self.end);
        if at != self.end.max(start) { Err(self.changed()) } else { self.check_unchanged() }
    }

    /// SHA-256 of the whole file, as lower-case hexadecimal digits.
    pub fn sha256(&self, progress: &dyn Progress) -> Result<String> {
        let mut hasher = Sha256::new();
        self.scan(0, &Text::fixed("hashing", "计算哈希"), progress, |_, chunk| {
            hasher.update(chunk);
            Ok(())
        })?;
        Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Reads up to a buffer's length at `at`; 0 at the end of the file.
    pub(super) fn read_some(&self, buffer: &mut [u8], at: u64) -> Result<usize> {
        loop {
            match read_at(&self.file, buffer, at) {
                Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
                other => {
                    return other.map_err(|err| {
                        UserError::io(Text::fixed("read the dataset", "读取数据集"), &self.path, &err)
                    });
                }
            }
        }
    }

    fn check_unchanged(&self) -> Result<()> {
        let now = self
            .file
            .metadata()
            .map_err(|err| UserError::io(Text::fixed("read the dataset", "读取数据集"), &self.path, &err))?;
        if now.len() != self.bytes || modified(&now) != self.modified { Err(self.changed()) } else { Ok(()) }
    }

    fn changed(&self) -> UserError {
        let bytes = self.bytes;
        UserError::bad_input(text!(
            "The file was changed after it was opened (it had {bytes} bytes then)",
            "文件在打开之后被修改（当时为 {bytes} 字节）"
        ))
        .mend(Text::fixed(
            "start again, and leave the file alone while it is in use",
            "请重新开始，使用期间不要改动该文件",
        ))
        .in_file(&*self.path)
    }
}

fn modified(metadata: &Metadata) -> Option<SystemTime> {
    metadata.modified().ok()
}

#[cfg(unix)]
fn read_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, at)
}

#[cfg(windows)]
fn read_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buffer, at)
}
