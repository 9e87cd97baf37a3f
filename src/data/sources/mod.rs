//! Where rows come from: containers of rows on disk, read one row at a time.
//!
//! Opening a file takes off what lies around its rows ([`unpack`]), indexes where they begin (one streaming pass) and
//! holds nothing else. A container costs one file here and one word in the list at [`CONTAINERS`].

pub(crate) mod bee;
mod broken;
mod csv;
mod file;
mod index;
mod json;
mod jsonl;
mod parquet;
mod scan;
mod sniff;
mod spool;
mod txt;
mod unpack;
mod utf16;

use std::path::Path;
use std::sync::Arc;

use protocol::{Result, Text, UserError, text};
use serde_json::{Map, Value};

use crate::progress::{Progress, Silent};

pub use file::{DataFile, MAX_ROW_BYTES};

/// A row as it stands in its file.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub value: RowValue,
    pub file: Arc<Path>,
    /// 1-based. Blank lines, a CSV's header and the brackets of a JSON array are not counted.
    pub row: u64,
    /// Where the row begins in the file, in bytes.
    pub offset: u64,
}

#[derive(Clone, Debug, PartialEq)]
pub enum RowValue {
    /// Named fields. Of keys that occur twice, the last one counts.
    Object(Map<String, Value>),
    /// A document of a plain text file.
    Text(String),
}

impl Row {
    /// The fields; none for a row of plain text.
    pub fn fields(&self) -> Option<&Map<String, Value>> {
        match &self.value {
            RowValue::Object(fields) => Some(fields),
            RowValue::Text(_) => None,
        }
    }

    /// An error that names this row.
    pub fn error(&self, what: Text) -> UserError {
        self.place(UserError::bad_input(what))
    }

    /// Adds this row's place to an error; one that lies in another file (a template's line) keeps its own.
    pub fn place(&self, error: UserError) -> UserError {
        match &error.place.file {
            Some(file) if **file != *self.file => {
                let (row, file) = (self.row, self.file.display());
                let line = format!("row {row} of {file}");
                error.detail(line)
            }
            _ => error.at_row(self.row).in_file(&*self.file),
        }
    }
}

/// Rows of one file, in file order, by index.
pub trait RowSource: Send + Sync {
    fn file(&self) -> &DataFile;

    /// Id of the container, such as `jsonl`.
    fn container(&self) -> &'static str;

    fn len(&self) -> usize;

    /// Whether all rows of the file are there, rather than those of its head.
    fn is_whole(&self) -> bool {
        !self.file().is_head()
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads row `index` (0-based).
    ///
    /// # Errors
    /// When the row is malformed or too long, or the file was changed since it was opened. Names file and row.
    fn get(&self, index: usize) -> Result<Row>;
}

/// A way to keep rows in a file.
pub struct Container {
    pub id: &'static str,
    /// Lower case, without the dot.
    pub extensions: &'static [&'static str],
    open: fn(DataFile, &dyn Progress) -> Result<Box<dyn RowSource>>,
}

pub static CONTAINERS: &[&Container] = &[
    &jsonl::CONTAINER,
    &json::CONTAINER,
    &csv::CONTAINER,
    &parquet::CONTAINER,
    &txt::CONTAINER,
    &bee::CONTAINER,
];

/// Opens a file, choosing the container by its content, and by its name where the content does not tell.
///
/// # Errors
/// When the file cannot be opened, is of a kind that is not read, its outer structure is broken (an array
/// without end, an unclosed quote), or what it is packed in cannot be taken off.
pub fn open(path: &Path, progress: &dyn Progress) -> Result<Box<dyn RowSource>> {
    open_up_to(path, None, progress)
}

/// Opens the first `limit` bytes of a file's content, or somewhat more: the rows that lie in them whole.
///
/// # Errors
/// As [`open`].
pub fn open_head(path: &Path, limit: u64) -> Result<Box<dyn RowSource>> {
    open_up_to(path, Some(limit), &Silent)
}

fn open_up_to(path: &Path, limit: Option<u64>, progress: &dyn Progress) -> Result<Box<dyn RowSource>> {
    let file = unpack::unpack(DataFile::open(path)?, limit, progress)?;
    let container = sniff::container(&file)?;
    (container.open)(file, progress)
}

/// Whether a file's name (in lower case) is that of rows, which a folder's files are chosen by.
pub(crate) fn is_data_name(name: &str) -> bool {
    // A text that explains the data is not the data.
    !name.ends_with(".md") && sniff::by_file_name(name).is_some()
}

const BOM: &[u8] = b"\xEF\xBB\xBF";

fn skip_bom(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(BOM).unwrap_or(bytes)
}

/// Where the content begins: behind a byte order mark.
fn content_start(file: &DataFile) -> Result<u64> {
    Ok(if file.head(BOM.len())? == BOM { BOM.len() as u64 } else { 0 })
}

/// What making an index is called.
pub fn indexing() -> Text {
    Text::fixed("indexing rows", "建立行索引")
}

/// Bytes of a row as text.
fn utf8(bytes: &[u8], offset: u64) -> Result<&str> {
    std::str::from_utf8(bytes).map_err(|err| {
        let byte = offset + err.valid_up_to() as u64;
        UserError::bad_input(text!(
            "Not UTF-8 text at byte {byte} of the file",
            "文件第 {byte} 字节处不是 UTF-8 文本"
        ))
        .mend(Text::fixed(
            "save the file as UTF-8 (in a spreadsheet: as \"CSV UTF-8\")",
            "请将文件另存为 UTF-8 编码（电子表格中选择“CSV UTF-8”）",
        ))
    })
}

/// Reads a JSON object from text; what follows it is left alone when `prefix` is set.
fn json_object(bytes: &[u8], offset: u64, prefix: bool) -> Result<Map<String, Value>> {
    let text = utf8(bytes, offset)?;
    let parsed = if prefix {
        serde_json::Deserializer::from_str(text).into_iter::<Value>().next().transpose()
    } else {
        serde_json::from_str(text).map(Some)
    };
    match parsed {
        Ok(Some(Value::Object(fields))) => Ok(fields),
        Ok(other) => Err(not_an_object(&other.unwrap_or_default())),
        Err(err) => Err(broken::not_json(&err, text, offset, !prefix)),
    }
}

fn not_an_object(value: &Value) -> UserError {
    let kind = kind_of(value);
    UserError::bad_input(text!(
        "A row must be a JSON object, and this is {kind}",
        "每行必须是 JSON 对象，而此处是 {kind}"
    ))
    .mend(Text::fixed("put it under a key, such as {\"text\": …}", "请放到某个键之下，例如 {\"text\": …}"))
}

/// A JSON value's kind, for messages.
pub(crate) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true/false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
