//! Plain text. Each row is a document: a paragraph where blank lines part the file into paragraphs,
//! else a line. Line ends come out as `\n`, and blank lines are never rows.

use protocol::{Result, Text, UserError};

use super::index::RowIndex;
use super::{Container, DataFile, MAX_ROW_BYTES, Row, RowSource, RowValue, content_start, indexing, utf8};
use crate::progress::Progress;

pub(super) const CONTAINER: Container = Container { id: "txt", extensions: &["txt", "text", "md"], open };

struct Txt {
    file: DataFile,
    index: RowIndex,
    paragraphs: bool,
}

fn open(file: DataFile, progress: &dyn Progress) -> Result<Box<dyn RowSource>> {
    let start = content_start(&file)?;
    let mut documents = Documents { line: start, ..Documents::default() };
    file.scan(start, &indexing(), progress, |at, chunk| {
        documents.feed(at, chunk);
        Ok(())
    })?;
    let Documents { starts, paragraphs, .. } = documents;
    let index = RowIndex::of(&file, starts);
    Ok(Box::new(Txt { file, index, paragraphs }))
}

/// Finds where documents begin. Lines are taken for documents until a blank line between two others
/// shows that the file has paragraphs.
#[derive(Default)]
struct Documents {
    starts: Vec<u64>,
    paragraphs: bool,
    /// Start of the line under way.
    line: u64,
    /// The line under way has a byte that is not blank.
    filled: bool,
    /// The line before was blank.
    gap: bool,
}

impl Documents {
    fn feed(&mut self, at: u64, chunk: &[u8]) {
        let mut here = 0;
        while here < chunk.len() {
            let rest = &chunk[here..];
            if !self.filled
                && let Some(content) =
                    rest.iter().position(|byte| !byte.is_ascii_whitespace() || *byte == b'\n')
                && rest[content] != b'\n'
            {
                self.filled = true;
                self.begin_line();
            }
            let Some(end) = memchr::memchr(b'\n', rest) else { return };
            here += end + 1;
            self.gap = !self.filled;
            self.filled = false;
            self.line = at + here as u64;
        }
    }

    fn begin_line(&mut self) {
        if self.gap && !self.starts.is_empty() && !self.paragraphs {
            self.paragraphs = true;
            self.starts.truncate(1);
        }
        if !self.paragraphs || self.gap {
            self.starts.push(self.line);
        }
    }
}

impl RowSource for Txt {
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
        let bytes = self.index.read(&self.file, index)?;
        let document = if self.paragraphs {
            if bytes.len() as u64 > MAX_ROW_BYTES {
                return Err(self.index.too_long(&self.file, index));
            }
            bytes.as_slice()
        } else {
            self.index.cut_line(&self.file, index, &bytes)?
        };
        let (offset, _) = self.index.span(&self.file, index)?;
        let row = index as u64 + 1;
        let text = read_text(document, offset).map_err(|err| err.at_row(row).in_file(&**self.file.path()))?;
        Ok(Row { value: RowValue::Text(text), file: self.file.path().clone(), row, offset })
    }
}

fn read_text(bytes: &[u8], offset: u64) -> Result<String> {
    let text = utf8(bytes, offset)?;
    if text.contains('\0') {
        return Err(UserError::bad_input(Text::fixed("The text has NUL bytes", "文本含有 NUL 字节"))
            .mend(Text::fixed("check that this is a text file", "请确认这是文本文件")));
    }
    Ok(text.replace("\r\n", "\n").trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn starts(bytes: &[u8], chunk: usize) -> Vec<u64> {
        let mut documents = Documents::default();
        for (turn, part) in bytes.chunks(chunk).enumerate() {
            documents.feed((turn * chunk) as u64, part);
        }
        documents.starts
    }

    #[test]
    fn lines_are_documents_until_a_blank_line_parts_paragraphs() {
        for chunk in 1..12 {
            assert_eq!(starts(b"ab\n  cd\nef", chunk), [0, 3, 8], "lines, chunks of {chunk}");
            assert_eq!(starts(b"\nab\ncd\n\n", chunk), [1, 4], "blank at the ends, chunks of {chunk}");
            assert_eq!(starts(b"ab\ncd\r\n\r\n \nef\ngh\n\ni", chunk), [0, 11, 18], "paragraphs, {chunk}");
        }
    }
}
