//! JSON lines: one object a line. Blank lines are skipped; a byte order mark and CRLF are understood.

use protocol::{Result, Text};

use super::index::RowIndex;
use super::{Container, DataFile, Row, RowSource, RowValue, content_start, indexing, json_object, skip_bom};
use crate::progress::Progress;

pub(super) const CONTAINER: Container =
    Container { id: "jsonl", extensions: &["jsonl", "ndjson", "jsonlines"], open };

struct Jsonl {
    file: DataFile,
    index: RowIndex,
    container: &'static str,
}

fn open(file: DataFile, progress: &dyn Progress) -> Result<Box<dyn RowSource>> {
    open_as(file, CONTAINER.id, progress)
}

/// Opens a file whose content are JSON lines, whatever it was before.
pub(super) fn open_as(
    file: DataFile,
    container: &'static str,
    progress: &dyn Progress,
) -> Result<Box<dyn RowSource>> {
    let mut lines = LineStarts::default();
    let start = content_start(&file)?;
    file.scan(start, &indexing(), progress, |at, chunk| {
        lines.feed(at, chunk);
        Ok(())
    })?;
    let index = RowIndex::of(&file, lines.starts);
    Ok(Box::new(Jsonl { file, index, container }))
}

/// Finds the first byte that is not blank of every line that has one.
#[derive(Default)]
struct LineStarts {
    starts: Vec<u64>,
    inside: bool,
}

impl LineStarts {
    fn feed(&mut self, at: u64, chunk: &[u8]) {
        let mut here = 0;
        while here < chunk.len() {
            let rest = &chunk[here..];
            if self.inside {
                let Some(end) = memchr::memchr(b'\n', rest) else { return };
                self.inside = false;
                here += end + 1;
            } else {
                let Some(content) = rest.iter().position(|byte| !byte.is_ascii_whitespace()) else { return };
                here += content;
                self.starts.push(at + here as u64);
                self.inside = true;
            }
        }
    }
}

impl RowSource for Jsonl {
    fn file(&self) -> &DataFile {
        &self.file
    }

    fn container(&self) -> &'static str {
        self.container
    }

    fn len(&self) -> usize {
        self.index.len()
    }

    fn get(&self, index: usize) -> Result<Row> {
        let bytes = self.index.read(&self.file, index)?;
        let line = self.index.cut_line(&self.file, index, &bytes)?;
        let (offset, _) = self.index.span(&self.file, index)?;
        let row = index as u64 + 1;
        let fields = json_object(skip_bom(line), offset, false).map_err(|err| {
            let err = match memchr::memchr(0, line) {
                Some(_) => err.mend(Text::fixed(
                    "the row has NUL bytes; write the file anew",
                    "该行含有 NUL 字节，请重新生成文件",
                )),
                None => err,
            };
            err.at_row(row).in_file(&**self.file.path())
        })?;
        Ok(Row { value: RowValue::Object(fields), file: self.file.path().clone(), row, offset })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_are_the_same_however_the_file_is_cut_into_chunks() {
        let bytes = b"  {\"a\":1}\r\n\n \t\n{}\n{\"b\":\n";
        for size in 1..=bytes.len() {
            let mut lines = LineStarts::default();
            for (turn, chunk) in bytes.chunks(size).enumerate() {
                lines.feed((turn * size) as u64, chunk);
            }
            assert_eq!(lines.starts, [2, 15, 18], "chunks of {size}");
        }
    }
}
