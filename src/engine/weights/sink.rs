//! Where a tensor's bytes go while a file is written.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use protocol::{Result, Text, UserError, text};

use super::checkpoint::{Checkpoint, out_of_range};
use super::dtype::{convert, encode_f32};
use super::shards::Planned;
use crate::files::write_error;

/// Bytes converted at a time; also the size of the write buffer.
const BUFFER: usize = 1 << 20;

/// A file being written, with what its errors need.
pub(super) struct FileOut {
    path: PathBuf,
    /// Size that the file will have, for the message of a full disk.
    bytes: u64,
    file: BufWriter<File>,
}

impl FileOut {
    pub(super) fn create(path: &Path, bytes: u64) -> Result<Self> {
        let file = File::create_new(path).map_err(|err| write_error(path, bytes, &err))?;
        Ok(Self { path: path.to_path_buf(), bytes, file: BufWriter::with_capacity(BUFFER, file) })
    }

    pub(super) fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(|err| write_error(&self.path, self.bytes, &err))
    }

    pub(super) fn finish(mut self) -> Result<()> {
        self.file.flush().map_err(|err| write_error(&self.path, self.bytes, &err))
    }
}

/// Takes the elements of one tensor, in row-major order and in as many pieces as the caller likes.
pub struct TensorSink<'a> {
    file: &'a mut FileOut,
    tensor: &'a Planned,
    /// Bytes that are still to come.
    left: u64,
}

impl<'a> TensorSink<'a> {
    pub(super) fn new(file: &'a mut FileOut, tensor: &'a Planned, bytes: u64) -> Self {
        Self { file, tensor, left: bytes }
    }

    /// Bytes in the planned format, little-endian.
    ///
    /// # Errors
    /// A failing disk; more bytes than planned.
    pub fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.left = self.left.checked_sub(bytes.len() as u64).ok_or_else(|| self.wrong_length())?;
        self.file.put(bytes)
    }

    /// Numbers, rounded to the planned float format (to the nearest, ties to even).
    ///
    /// # Errors
    /// As [`put`](Self::put), and a finite number that the format cannot hold.
    pub fn put_f32(&mut self, numbers: &[f32]) -> Result<()> {
        let dtype = self.tensor.dtype;
        let mut buffer = vec![0; (BUFFER / 8).min(numbers.len()) * dtype.size()];
        for numbers in numbers.chunks(BUFFER / 8) {
            let buffer = &mut buffer[..numbers.len() * dtype.size()];
            encode_f32(numbers, buffer, dtype).map_err(|err| out_of_range(&self.tensor.name, dtype, err))?;
            self.put(buffer)?;
        }
        Ok(())
    }

    /// A whole stored tensor: its bytes as they are where the formats agree, else converted.
    ///
    /// # Errors
    /// As [`put_f32`](Self::put_f32); no such tensor; formats that do not convert.
    pub fn put_stored(&mut self, checkpoint: &Checkpoint, name: &str) -> Result<()> {
        let bytes = checkpoint.bytes(name)?;
        let from = checkpoint.info(name).map_or(self.tensor.dtype, |info| info.dtype);
        let to = self.tensor.dtype;
        if from == to {
            return self.put(&bytes);
        }
        if !from.is_float() || !to.is_float() {
            let what =
                text!("{name} cannot be converted from {from} to {to}", "{name} 无法从 {from} 转换为 {to}");
            return Err(UserError::bad_input(what).at_item(name));
        }
        let mut buffer = vec![0; BUFFER / 8 * to.size()];
        for bytes in bytes.chunks(BUFFER / 8 * from.size()) {
            let buffer = &mut buffer[..bytes.len() / from.size() * to.size()];
            convert(bytes, from, buffer, to).map_err(|err| out_of_range(name, to, err))?;
            self.put(buffer)?;
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<()> {
        if self.left == 0 { Ok(()) } else { Err(self.wrong_length()) }
    }

    fn wrong_length(&self) -> UserError {
        let Planned { name, dtype, shape } = self.tensor;
        let what = Text::fixed("A tensor was not written as planned", "张量的写入与计划不符");
        UserError::failure(what).at_item(name).detail(format!("planned {shape:?} {dtype}"))
    }
}

/// As [`TensorSink::put`], for code that writes to any writer.
impl Write for TensorSink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.put(bytes).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
