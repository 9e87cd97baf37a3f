//! CPM-Bee's binary datasets, as its `preprocess_dataset.py` writes them (`cpm_live/dataset/distributed_dataset.py`): a
//! folder with data files and `meta.bin`, which lists them. A data file is a sequence of blocks of equal size. In a block,
//! records stand one behind the other: the byte 0x1F, the length of what follows (4 bytes, little-endian), a pickled dict. A
//! byte 0 ends the block; the next begins at the next multiple of the size. Rows are read by position, and nothing that a pickle
//! names is executed.

mod meta;
mod pickle;

use protocol::{Result, Text, UserError, text};
use serde_json::{Map, Value};

use super::file::MAX_ROW_BYTES;
use super::index::RowIndex;
use super::{Container, DataFile, Row, RowSource, RowValue, indexing, not_an_object};
use crate::progress::Progress;

pub(crate) use meta::{files, is_listed};

pub(super) const CONTAINER: Container = Container { id: "bee", extensions: &[], open };

const MARK: u8 = 0x1F;
/// Mark and length.
const HEAD: usize = 5;
/// Of files without `meta.bin`.
const BLOCK: u64 = 16 << 20;

/// Whether a file holds such records: a first record that is whole, with a pickle of protocol 2 to 5 in it. That a gzip
/// file begins with the same byte is why its end is looked at, too.
pub(super) fn is_one(file: &DataFile) -> Result<bool> {
    let head = file.head(HEAD + 2)?;
    let [MARK, a, b, c, d, 0x80, 2..=5] = *head.as_slice() else { return Ok(false) };
    let length = u64::from(u32::from_le_bytes([a, b, c, d]));
    let end = HEAD as u64 + length;
    if end > file.bytes() || length > MAX_ROW_BYTES {
        return Ok(false);
    }
    Ok(file.read(end - 1, 1)? == [pickle::STOP])
}

struct Records {
    file: DataFile,
    index: RowIndex,
}

fn open(file: DataFile, progress: &dyn Progress) -> Result<Box<dyn RowSource>> {
    let block = meta::block_of(file.path())?.unwrap_or(BLOCK);
    let mut finder = Finder::new(block);
    let found = file.scan(0, &indexing(), progress, |at, chunk| finder.feed(at, chunk));
    found.map_err(|err| err.in_file(&**file.path()))?;
    let index = RowIndex::of(&file, finder.starts);
    Ok(Box::new(Records { file, index }))
}

/// Finds where records begin.
struct Finder {
    block: u64,
    starts: Vec<u64>,
    /// Where there is something to look at next.
    next: u64,
    /// Bytes of a length that a chunk's end has cut.
    length: Vec<u8>,
}

impl Finder {
    fn new(block: u64) -> Self {
        Self { block, starts: Vec::new(), next: 0, length: Vec::new() }
    }

    fn feed(&mut self, at: u64, chunk: &[u8]) -> Result<()> {
        while let Some(rest) = usize::try_from(self.next - at).ok().and_then(|skip| chunk.get(skip..)) {
            let Some(byte) = rest.first() else { break };
            if !self.length.is_empty() || self.starts.last().is_some_and(|start| start + 1 == self.next) {
                self.length.push(*byte);
                self.next += 1;
                if let [a, b, c, d] = *self.length.as_slice() {
                    self.record_of(u32::from_le_bytes([a, b, c, d]))?;
                }
            } else {
                self.begin(*byte)?;
            }
        }
        Ok(())
    }

    /// A record begins here, or the block ends.
    fn begin(&mut self, byte: u8) -> Result<()> {
        match byte {
            MARK => {
                self.starts.push(self.next);
                self.next += 1;
            }
            0 => self.next = (self.next / self.block + 1) * self.block,
            _ => return Err(broken(self.next, self.starts.len())),
        }
        Ok(())
    }

    fn record_of(&mut self, length: u32) -> Result<()> {
        self.length.clear();
        let end = self.next + u64::from(length);
        let within = self.next - 1;
        if end.div_ceil(self.block) != within / self.block + 1 {
            return Err(broken(within, self.starts.len()));
        }
        self.next = end;
        Ok(())
    }
}

impl RowSource for Records {
    fn file(&self) -> &DataFile {
        &self.file
    }

    fn container(&self) -> &'static str {
        CONTAINER.id
    }

    fn len(&self) -> usize {
        self.index.len()
    }

    fn get(&self, index: usize) -> Result<Row> {
        let (offset, _) = self.index.span(&self.file, index)?;
        let row = index as u64 + 1;
        let placed = |err: UserError| err.at_row(row).in_file(&**self.file.path());
        let fields = self.fields(offset, index).map_err(placed)?;
        Ok(Row { value: RowValue::Object(fields), file: self.file.path().clone(), row, offset })
    }
}

impl Records {
    fn fields(&self, offset: u64, index: usize) -> Result<Map<String, Value>> {
        let head = self.file.read(offset, HEAD)?;
        let [MARK, a, b, c, d] = *head.as_slice() else { return Err(broken(offset, index)) };
        let length = u32::from_le_bytes([a, b, c, d]);
        let start = offset + HEAD as u64;
        if u64::from(length) > MAX_ROW_BYTES || start + u64::from(length) > self.file.bytes() {
            return Err(broken(offset, index));
        }
        let bytes = self.file.read(start, length as usize)?;
        match pickle::read(&bytes).map_err(|why| refused(&why))? {
            Value::Object(fields) => Ok(fields),
            other => Err(not_an_object(&other)),
        }
    }
}

fn broken(at: u64, rows: usize) -> UserError {
    UserError::bad_input(text!(
        "This is no record of a CPM-Bee dataset: byte {at} of the file, behind {rows} rows",
        "此处不是 CPM-Bee 数据集的记录：文件第 {at} 字节，位于 {rows} 行之后"
    ))
    .mend(Text::fixed(
        "make the folder again with preprocess_dataset.py, or give the JSON lines that it was made from",
        "请用 preprocess_dataset.py 重新生成该文件夹，或直接使用原始的 JSON lines 文件",
    ))
}

fn refused(why: &str) -> UserError {
    UserError::bad_input(text!("The row cannot be read: {why}", "无法读取该行：{why}")).mend(Text::fixed(
        "give the JSON lines that the folder was made from",
        "请直接使用生成该文件夹的 JSON lines 文件",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(length: usize) -> Vec<u8> {
        let mut bytes = vec![MARK];
        bytes.extend((length as u32).to_le_bytes());
        bytes.extend(std::iter::repeat_n(b'x', length));
        bytes
    }

    /// Records of these lengths in blocks, as the writer lays them.
    fn blocks(lengths: &[usize], block: usize) -> (Vec<u8>, Vec<u64>) {
        let (mut bytes, mut starts) = (Vec::new(), Vec::new());
        for length in lengths {
            if bytes.len() % block + 2 + 4 + length > block {
                bytes.resize(bytes.len().next_multiple_of(block), 0);
            }
            starts.push(bytes.len() as u64);
            bytes.extend(record(*length));
        }
        bytes.resize(bytes.len().next_multiple_of(block), 0);
        (bytes, starts)
    }

    #[test]
    fn records_are_found_however_the_file_is_cut_into_chunks() {
        let (bytes, starts) = blocks(&[3, 40, 58, 0, 7, 20, 20, 20, 1], 64);
        for size in 1..=bytes.len() {
            let mut finder = Finder::new(64);
            for (turn, chunk) in bytes.chunks(size).enumerate() {
                finder.feed((turn * size) as u64, chunk).unwrap();
            }
            assert_eq!(finder.starts, starts, "chunks of {size}");
        }
    }

    #[test]
    fn what_is_no_record_is_refused() {
        for bytes in
            [vec![7], record(3).into_iter().chain([9]).collect(), record(80), vec![MARK, 255, 255, 255, 255]]
        {
            assert!(Finder::new(64).feed(0, &bytes).is_err(), "{bytes:?}");
        }
    }
}
