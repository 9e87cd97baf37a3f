//! A file on disk, read by position; of a packed one, what it holds.
//!
//! Rows are fetched with positioned reads rather than through a memory map: the page cache serves both,
//! and a file that shrinks while it is read ends in an error instead of a SIGBUS.

use std::fs::{File, Metadata};
use std::io::{self, Seek};
use std::ops::Range;
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
    /// Size and time of change when it was opened.
    stamp: (u64, Option<SystemTime>),
    content: Content,
}

/// What is read and scanned: the file, or what it was unpacked to.
struct Content {
    /// A temporary file without a name; none where the file is read as it lies there.
    unpacked: Option<File>,
    bytes: u64,
    /// Where scanning ends: the content's end, or before it where only the head is looked at.
    end: u64,
    /// Whether there is more behind `bytes`, not unpacked.
    more: bool,
    /// What was taken off, outermost first.
    layers: Vec<&'static str>,
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
                "A file of rows is wanted, and this is a folder",
                "此处应为数据文件，而此路径是文件夹",
            ))
            .mend(Text::fixed("name a file in it", "请指定其中的文件"))
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
        let content = Content { unpacked: None, bytes, end: bytes, more: false, layers: Vec::new() };
        Ok(Self { path: path.into(), file, stamp: (bytes, modified(&opened)), content })
    }

    /// The file, of which only the first `limit` bytes are scanned.
    pub fn cut(mut self, limit: Option<u64>) -> Self {
        self.content.end = self.content.bytes.min(limit.unwrap_or(u64::MAX));
        self
    }

    /// The file, its content being `bytes` bytes of `unpacked`; `more`: and further ones that were not unpacked.
    pub(super) fn unpacked(mut self, layer: &'static str, unpacked: File, bytes: u64, more: bool) -> Self {
        self.content.layers.push(layer);
        self.content = Content { unpacked: Some(unpacked), bytes, end: bytes, more, ..self.content };
        self
    }

    /// Where scanning ends.
    pub fn end(&self) -> u64 {
        self.content.end
    }

    /// Whether scanning ends before the content does: what lies across the end is cut.
    pub fn is_head(&self) -> bool {
        self.content.more || self.content.end < self.content.bytes
    }

    /// Forms that were taken off the file to come to its content, outermost first.
    pub fn layers(&self) -> &[&'static str] {
        &self.content.layers
    }

    pub fn path(&self) -> &Arc<Path> {
        &self.path
    }

    /// Size of the file on disk when it was opened.
    pub fn size(&self) -> u64 {
        self.stamp.0
    }

    /// Size of its content.
    pub fn bytes(&self) -> u64 {
        self.content.bytes
    }

    /// The first `limit` bytes, or fewer if the content is shorter.
    pub fn head(&self, limit: usize) -> Result<Vec<u8>> {
        self.read(0, limit.min(usize::try_from(self.bytes()).unwrap_or(usize::MAX)))
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

    /// Hands the content from `start` to its end to `take`, chunk by chunk, each with its position.
    pub fn scan(
        &self,
        start: u64,
        stage: &Text,
        progress: &dyn Progress,
        take: impl FnMut(u64, &[u8]) -> Result<()>,
    ) -> Result<()> {
        self.scan_in(self.content(), start..self.end(), stage, progress, take)
    }

    fn scan_in(
        &self,
        file: &File,
        range: Range<u64>,
        stage: &Text,
        progress: &dyn Progress,
        mut take: impl FnMut(u64, &[u8]) -> Result<()>,
    ) -> Result<()> {
        let Range { start, end } = range;
        let mut chunk = vec![0; CHUNK];
        let mut at = start;
        for turn in 0u64.. {
            if turn.is_multiple_of(REPORT_EVERY) {
                check_cancelled(progress)?;
                progress.report(stage, at, end);
            }
            let left = usize::try_from(end.saturating_sub(at)).unwrap_or(CHUNK).min(CHUNK);
            let count = self.read_from(file, &mut chunk[..left], at)?;
            if count == 0 {
                break;
            }
            take(at, &chunk[..count])?;
            at += count as u64;
        }
        progress.report(stage, at, end);
        if at != end.max(start) { Err(self.changed()) } else { self.check_unchanged() }
    }

    /// SHA-256 of the whole file as it lies on disk, as lower-case hexadecimal digits.
    pub fn sha256(&self, progress: &dyn Progress) -> Result<String> {
        let mut hasher = Sha256::new();
        let stage = Text::fixed("hashing", "计算哈希");
        self.scan_in(&self.file, 0..self.size(), &stage, progress, |_, chunk| {
            hasher.update(chunk);
            Ok(())
        })?;
        Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Reads up to a buffer's length of the content at `at`; 0 at its end.
    pub(super) fn read_some(&self, buffer: &mut [u8], at: u64) -> Result<usize> {
        self.read_from(self.content(), buffer, at)
    }

    fn read_from(&self, file: &File, buffer: &mut [u8], at: u64) -> Result<usize> {
        loop {
            match read_at(file, buffer, at) {
                Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
                other => return other.map_err(|err| self.unreadable(&err)),
            }
        }
    }

    /// The content, to be read from its beginning. It has no place of its own: only one such reader at a time.
    pub(super) fn reader(&self) -> Result<File> {
        let again = || {
            let mut file = self.content().try_clone()?;
            file.rewind()?;
            Ok(file)
        };
        again().map_err(|err| self.unreadable(&err))
    }

    /// # Errors
    /// When the file was changed since it was opened.
    pub(super) fn check_unchanged(&self) -> Result<()> {
        let now = self.file.metadata().map_err(|err| self.unreadable(&err))?;
        if (now.len(), modified(&now)) == self.stamp { Ok(()) } else { Err(self.changed()) }
    }

    fn content(&self) -> &File {
        self.content.unpacked.as_ref().unwrap_or(&self.file)
    }

    pub(super) fn unreadable(&self, err: &io::Error) -> UserError {
        UserError::io(Text::fixed("read the dataset", "读取数据集"), &self.path, err)
    }

    fn changed(&self) -> UserError {
        let bytes = self.size();
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
