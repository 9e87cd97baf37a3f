//! A file's content in another form (unpacked, converted), in a temporary file that has no name and goes when it is
//! closed. Rows are then read from it by position as from any file, in whatever order training wants them: a packed
//! stream could only be read from its beginning, and one that is held in memory has no bound.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use protocol::{Result, Text, UserError, text};

use super::DataFile;
use crate::space::{require_space, write_error};

/// Disk space that others keep.
const RESERVE: u64 = 1 << 30;
/// Between two looks at what space is left.
const LOOK_EVERY: u64 = 64 << 20;
/// Content may be this much larger than its file once it is [`SUSPICIOUS`]: text packs ten to one, a bomb a
/// thousand to one.
const MAX_RATIO: u64 = 250;
const SUSPICIOUS: u64 = 1 << 30;

/// A form of files that are not read as they lie there.
#[derive(Clone, Copy)]
pub struct Layer {
    pub id: &'static str,
    /// What is under way, for progress.
    pub doing: fn() -> Text,
    /// Whether far more content than file tells that something is wrong.
    pub bounded: bool,
}

pub struct Spool {
    out: BufWriter<File>,
    folder: PathBuf,
    path: PathBuf,
    layer: Layer,
    written: u64,
    /// What was written when space was looked at.
    looked: u64,
    limit: u64,
}

impl Spool {
    /// An empty one for `file`, which wants `limit` bytes of content at least.
    ///
    /// # Errors
    /// When no temporary file can be made, or the disk is full.
    pub fn new(file: &DataFile, layer: Layer, limit: Option<u64>) -> Result<Self> {
        let path = file.path().to_path_buf();
        let (folder, out) = temporary(&path)?;
        let spool = Self {
            out: BufWriter::with_capacity(1 << 20, out),
            folder,
            path,
            layer,
            written: 0,
            looked: 0,
            limit: limit.unwrap_or(u64::MAX),
        };
        if limit.is_none() {
            require_space(&spool.folder, RESERVE).map_err(|err| spool.no_room(err))?;
        }
        Ok(spool)
    }

    /// Whether there is as much as is wanted.
    pub fn is_full(&self) -> bool {
        self.written >= self.limit
    }

    /// Adds content, `read` bytes of the file having been read for all there is now.
    ///
    /// # Errors
    /// When the disk has no room, or the content is out of all proportion to the file.
    pub fn push(&mut self, content: &[u8], read: u64) -> Result<()> {
        self.written += content.len() as u64;
        self.out.write_all(content).map_err(|err| self.failed(&err))?;
        if self.written - self.looked > LOOK_EVERY {
            self.looked = self.written;
            require_space(&self.folder, RESERVE).map_err(|err| self.no_room(err))?;
        }
        let proportion = self.written / read.max(1);
        if self.layer.bounded && self.written > SUSPICIOUS && proportion > MAX_RATIO {
            return Err(self.bomb(proportion));
        }
        Ok(())
    }

    /// `file` with this content; `more`: of which it is the beginning only.
    ///
    /// # Errors
    /// When the last bytes cannot be written.
    pub fn finish(mut self, file: DataFile, more: bool) -> Result<DataFile> {
        self.out.flush().map_err(|err| self.failed(&err))?;
        let Self { out, written, layer, .. } = self;
        let out = out.into_inner().map_err(|err| write_error(file.path(), written, err.error()))?;
        Ok(file.unpacked(layer.id, out, written, more))
    }

    fn failed(&self, err: &std::io::Error) -> UserError {
        write_error(&self.folder, self.written, err)
    }

    fn no_room(&self, err: UserError) -> UserError {
        let (file, done) = (self.path.display(), self.written);
        err.detail(format!("{done} bytes of the content of {file} lie in a temporary file here"))
    }

    fn bomb(&self, proportion: u64) -> UserError {
        UserError::bad_input(text!(
            "The content is {proportion} times as large as the file, which no text is",
            "内容达到文件大小的 {proportion} 倍，不像是正常文本"
        ))
        .mend(Text::fixed("unpack it yourself if it is right", "如确认无误，请自行解压后使用"))
        .in_file(&self.path)
    }
}

/// A file without a name, beside `path` or, where nothing can be written there, in the system's folder for such
/// files (which is often in memory).
fn temporary(path: &Path) -> Result<(PathBuf, File)> {
    let beside = path.parent().unwrap_or(path).to_path_buf();
    let elsewhere = std::env::temp_dir();
    if let Ok(file) = tempfile::tempfile_in(&beside) {
        return Ok((beside, file));
    }
    match tempfile::tempfile_in(&elsewhere) {
        Ok(file) => Ok((elsewhere, file)),
        Err(err) => {
            Err(UserError::io(Text::fixed("make a temporary file", "创建临时文件"), &elsewhere, &err))
        }
    }
}
