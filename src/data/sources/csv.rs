//! Tables of text: CSV, and with tabs TSV. The first record names the columns. Fields may be quoted and
//! then hold line breaks; all values are text. The rules are those of the `csv` crate (RFC 4180, lenient):
//! a quote opens a field only at its beginning, `""` inside is a quote, blank lines are skipped.

use csv_core::ReadRecordResult;
use protocol::{Result, Text, UserError, text};
use serde_json::{Map, Value};

use super::index::RowIndex;
use super::{Container, DataFile, MAX_ROW_BYTES, Row, RowSource, RowValue, content_start, indexing, utf8};
use crate::progress::Progress;

pub(super) const CONTAINER: Container = Container { id: "csv", extensions: &["csv", "tsv", "tab"], open };

const DELIMITERS: [u8; 4] = [b',', b'\t', b';', b'|'];
/// How much of a file the delimiter is guessed from.
const SAMPLE: usize = 64 << 10;
/// A table with more columns was surely misread, or is no dataset.
const MAX_COLUMNS: usize = 4096;

struct Csv {
    file: DataFile,
    index: RowIndex,
    splitter: Splitter,
    columns: Vec<String>,
}

fn open(file: DataFile, progress: &dyn Progress) -> Result<Box<dyn RowSource>> {
    let start = content_start(&file)?;
    let delimiter = sniff_delimiter(&file, start)?;
    let mut records = Records::new(delimiter);
    file.scan(start, &indexing(), progress, |at, chunk| {
        records.feed(at, chunk).map_err(|err| err.in_file(&**file.path()))
    })?;
    let mut starts = if file.is_head() {
        records.starts
    } else {
        records.finish().map_err(|err| err.in_file(&**file.path()))?
    };
    let splitter = Splitter::new(delimiter);
    let columns = read_header(&file, &mut starts, &splitter)?;
    let index = RowIndex::of(&file, starts);
    Ok(Box::new(Csv { file, index, splitter, columns }))
}

/// Takes the header from the record starts.
fn read_header(file: &DataFile, starts: &mut Vec<u64>, splitter: &Splitter) -> Result<Vec<String>> {
    if starts.is_empty() {
        return Ok(Vec::new());
    }
    let header = RowIndex::new(vec![starts.remove(0)], starts.first().copied().unwrap_or(file.bytes()));
    let named = |err: UserError| err.at_item("header").in_file(&**file.path());
    let bytes = header.read(file, 0)?;
    let (offset, _) = header.span(file, 0)?;
    let mut columns = splitter.fields(&bytes, offset).map_err(named)?;
    if columns.len() > MAX_COLUMNS || bytes.len() as u64 > MAX_ROW_BYTES {
        return Err(named(UserError::bad_input(text!(
            "The header has more than {MAX_COLUMNS} columns, or is far too long",
            "表头超过 {MAX_COLUMNS} 列，或过长"
        ))));
    }
    for (index, column) in columns.iter_mut().enumerate() {
        *column = column.trim().to_owned();
        if column.is_empty() {
            *column = format!("column_{}", index + 1);
        }
    }
    match first_double(&columns) {
        Some(double) => Err(named(
            UserError::bad_input(text!(
                "The header names the column `{double}` twice",
                "表头中列名 `{double}` 重复"
            ))
            .mend(Text::fixed("the first line must name each column once", "第一行应为不重复的列名")),
        )),
        None => Ok(columns),
    }
}

fn first_double(columns: &[String]) -> Option<&String> {
    let mut seen = std::collections::HashSet::new();
    columns.iter().find(|column| !seen.insert(column.as_str()))
}

/// Parts records into fields. The reader's tables take longer to build than a row to read, so that the
/// reader is built once and copied; it walks its rules, not the tables (`nfa`), as those of csv-core 0.1.13
/// do not survive the copy.
struct Splitter {
    reader: csv_core::Reader,
    delimiter: u8,
}

impl Splitter {
    fn new(delimiter: u8) -> Self {
        Self { reader: csv_core::ReaderBuilder::new().delimiter(delimiter).nfa(true).build(), delimiter }
    }

    /// Fields of the first record in `bytes`; one more than [`MAX_COLUMNS`] stands for any larger number.
    fn fields(&self, bytes: &[u8], offset: u64) -> Result<Vec<String>> {
        let mut reader = self.reader.clone();
        // Fields without their quotes are never longer than with them.
        let mut output = vec![0; bytes.len()];
        let mut ends = [0; MAX_COLUMNS + 1];
        let (mut read, mut written, mut count) = (0, 0, 0);
        utf8(bytes, offset)?;
        loop {
            let (result, input, made, fields) =
                reader.read_record(&bytes[read..], &mut output[written..], &mut ends[count..]);
            read += input;
            written += made;
            count += fields;
            match result {
                // Asked again with nothing left, the reader ends the record.
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::Record | ReadRecordResult::OutputEndsFull => break,
                ReadRecordResult::End | ReadRecordResult::OutputFull => {
                    return Err(UserError::bad_input(Text::fixed("The record is empty", "记录为空")));
                }
            }
        }
        let starts = std::iter::once(0).chain(ends.iter().copied());
        let text = |(start, end): (usize, &usize)| {
            // Cut at ASCII bytes of UTF-8 text: always valid.
            String::from_utf8_lossy(&output[start..*end]).into_owned()
        };
        Ok(starts.zip(&ends[..count]).map(text).collect())
    }
}

/// Finds where records begin, following quotes.
struct Records {
    delimiter: u8,
    state: State,
    starts: Vec<u64>,
    /// Where the quote under way was opened.
    quote: u64,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    /// Between records.
    Outside,
    FieldStart,
    Unquoted,
    Quoted,
    /// Behind a quote inside a quoted field: its end, or the first half of `""`.
    Quote,
}

impl Records {
    fn new(delimiter: u8) -> Self {
        Self { delimiter, state: State::Outside, starts: Vec::new(), quote: 0 }
    }

    /// # Errors
    /// When a quoted field grows beyond the longest row, which is a quote that was never closed.
    fn feed(&mut self, at: u64, chunk: &[u8]) -> Result<()> {
        let mut here = 0;
        while here < chunk.len() {
            let rest = &chunk[here..];
            // The two states in which most bytes lie are crossed by search.
            let skip = match self.state {
                State::Quoted => memchr::memchr(b'"', rest),
                State::Unquoted => memchr::memchr3(self.delimiter, b'\n', b'\r', rest),
                _ => Some(0),
            };
            let position = at + (here + skip.unwrap_or(rest.len())) as u64;
            if self.state == State::Quoted && position - self.quote > MAX_ROW_BYTES {
                return Err(self.unclosed());
            }
            let Some(skip) = skip else { return Ok(()) };
            self.step(rest[skip], position);
            here += skip + 1;
        }
        Ok(())
    }

    fn step(&mut self, byte: u8, position: u64) {
        let line_end = matches!(byte, b'\n' | b'\r');
        self.state = match (self.state, byte) {
            (State::Outside, _) if line_end => State::Outside,
            (State::Outside, _) => {
                self.starts.push(position);
                self.field_start(byte, position)
            }
            (State::FieldStart, _) => self.field_start(byte, position),
            (State::Quoted, b'"') => State::Quote,
            (State::Quoted, _) => State::Quoted,
            (State::Quote, b'"') => State::Quoted,
            (State::Quote | State::Unquoted, _) if byte == self.delimiter => State::FieldStart,
            (State::Quote | State::Unquoted, _) if line_end => State::Outside,
            (State::Quote | State::Unquoted, _) => State::Unquoted,
        };
    }

    fn field_start(&mut self, byte: u8, position: u64) -> State {
        match byte {
            b'"' => {
                self.quote = position;
                State::Quoted
            }
            b'\n' | b'\r' => State::Outside,
            _ if byte == self.delimiter => State::FieldStart,
            _ => State::Unquoted,
        }
    }

    /// # Errors
    /// When a quote is still open.
    fn finish(self) -> Result<Vec<u64>> {
        if self.state == State::Quoted { Err(self.unclosed()) } else { Ok(self.starts) }
    }

    fn unclosed(&self) -> UserError {
        let byte = self.quote;
        // The header is no row.
        let row = self.starts.len().saturating_sub(1) as u64;
        UserError::bad_input(text!(
            "The quote opened at byte {byte} of the file is never closed",
            "文件第 {byte} 字节处的引号没有闭合"
        ))
        .mend(Text::fixed(
            "close the quote, or write quotes inside a field twice (\"\")",
            "请补上结束引号；字段内的引号需写成两个（\"\"）",
        ))
        .at_row(row)
    }
}

/// The delimiter that parts the first records into the most fields, the same number in each.
fn sniff_delimiter(file: &DataFile, start: u64) -> Result<u8> {
    let is_tsv = file
        .path()
        .extension()
        .is_some_and(|ext| ext.eq_ignore_ascii_case("tsv") || ext.eq_ignore_ascii_case("tab"));
    if is_tsv {
        return Ok(b'\t');
    }
    let sample = file.head(SAMPLE)?;
    let sample = &sample[(start as usize).min(sample.len())..];
    let whole = file.bytes() <= SAMPLE as u64;
    let score = |delimiter: &u8| columns_in_common(sample, *delimiter, whole);
    // The first of equals stands: the comma.
    let best = DELIMITERS.iter().rev().max_by_key(|delimiter| score(delimiter));
    Ok(best.copied().unwrap_or(b','))
}

/// Columns of the header when at least nine in ten of the sample's records have as many, else 0.
fn columns_in_common(sample: &[u8], delimiter: u8, whole: bool) -> usize {
    let mut reader = ::csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .from_reader(sample);
    let mut counts: Vec<usize> =
        reader.byte_records().map_while(Result::ok).map(|record| record.len()).collect();
    if !whole && counts.len() > 1 {
        // The sample cuts the last record.
        counts.pop();
    }
    let Some(&columns) = counts.first() else { return 0 };
    let alike = counts.iter().filter(|count| **count == columns).count();
    if columns > 1 && alike * 10 >= counts.len() * 9 { columns } else { 0 }
}

impl RowSource for Csv {
    fn file(&self) -> &DataFile {
        &self.file
    }

    fn container(&self) -> &'static str {
        if self.splitter.delimiter == b'\t' { "tsv" } else { CONTAINER.id }
    }

    fn len(&self) -> usize {
        self.index.len()
    }

    fn get(&self, index: usize) -> Result<Row> {
        let (offset, end) = self.index.span(&self.file, index)?;
        if end.saturating_sub(offset) > MAX_ROW_BYTES {
            return Err(self.index.too_long(&self.file, index));
        }
        let bytes = self.index.read(&self.file, index)?;
        let row = index as u64 + 1;
        let fields = self.row(&bytes, offset).map_err(|err| err.at_row(row).in_file(&**self.file.path()))?;
        Ok(Row { value: RowValue::Object(fields), file: self.file.path().clone(), row, offset })
    }
}

impl Csv {
    fn row(&self, bytes: &[u8], offset: u64) -> Result<Map<String, Value>> {
        let values = self.splitter.fields(bytes, offset)?;
        let (found, wanted) = (values.len(), self.columns.len());
        if found != wanted {
            return Err(UserError::bad_input(text!(
                "The row has {found} fields, the header {wanted}",
                "该行有 {found} 个字段，而表头有 {wanted} 列"
            ))
            .mend(Text::fixed(
                "put fields that hold the delimiter or line breaks in quotes",
                "含有分隔符或换行的字段需加引号",
            )));
        }
        if values.iter().any(|value| value.contains('\0')) {
            return Err(UserError::bad_input(Text::fixed("The row has NUL bytes", "该行含有 NUL 字节")));
        }
        Ok(self.columns.iter().cloned().zip(values.into_iter().map(Value::String)).collect())
    }
}
