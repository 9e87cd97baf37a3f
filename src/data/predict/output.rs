//! The file that answers go into, row by row: whatever ends the work, the rows that were written are whole, and the rest
//! can follow.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use protocol::{Result, Text, UserError, text};
use serde_json::{Map, Value};

/// A file of answers.
#[derive(Debug)]
pub struct Output {
    file: File,
    path: PathBuf,
    kind: Kind,
    columns: Vec<String>,
    rows: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Csv,
    /// A list of objects, one a line.
    Json,
    JsonLines,
}

impl Kind {
    fn of(path: &Path) -> Result<Self> {
        let extension = path.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase());
        match extension.as_deref() {
            Some("csv") => Ok(Self::Csv),
            Some("json") => Ok(Self::Json),
            Some("jsonl" | "ndjson") => Ok(Self::JsonLines),
            _ => Err(UserError::bad_input(Text::fixed(
                "What kind of file is to be written does not follow from its name",
                "无法从文件名判断要写入的文件类型",
            ))
            .in_file(path)
            .mend(Text::fixed("let it end in .csv, .json or .jsonl", "请以 .csv、.json 或 .jsonl 结尾"))),
        }
    }
}

impl Output {
    /// Begins a file that is not there yet.
    ///
    /// # Errors
    /// When the name says no kind, there is such a file, or it cannot be written.
    pub fn create(path: &Path, columns: &[String]) -> Result<Self> {
        let kind = Kind::of(path)?;
        let opened = OpenOptions::new().read(true).write(true).create_new(true).open(path);
        let file = opened.map_err(|err| match err.kind() {
            std::io::ErrorKind::AlreadyExists => taken(path),
            _ => UserError::io(Text::fixed("write the answers", "写入回答"), path, &err),
        })?;
        let mut output = Self { file, path: path.to_owned(), kind, columns: columns.to_vec(), rows: 0 };
        output.lock()?;
        output.begin()?;
        Ok(output)
    }

    /// Goes on behind the whole rows of a file that was begun; each of them is told, in order. Begins the file where
    /// there is none, or nothing in it.
    ///
    /// # Errors
    /// When it holds something else than these columns, or cannot be read or written.
    pub fn resume(
        path: &Path,
        columns: &[String],
        told: &mut dyn FnMut(Vec<String>) -> Result<()>,
    ) -> Result<Self> {
        let kind = Kind::of(path)?;
        if !path.exists() {
            return Self::create(path, columns);
        }
        let failed = |err: &std::io::Error| {
            UserError::io(Text::fixed("go on with the answers", "继续写入回答"), path, err)
        };
        let file = OpenOptions::new().read(true).write(true).open(path).map_err(|err| failed(&err))?;
        let mut output = Self { file, path: path.to_owned(), kind, columns: columns.to_vec(), rows: 0 };
        output.lock()?;
        let end = output.read(told)?;
        output.file.set_len(end).map_err(|err| failed(&err))?;
        output.file.seek(SeekFrom::Start(end)).map_err(|err| failed(&err))?;
        if end == 0 {
            output.begin()?;
        }
        Ok(output)
    }

    /// Whole rows that a file has already, without changing it.
    ///
    /// # Errors
    /// As [`resume`](Self::resume).
    pub fn rows_in(path: &Path, columns: &[String]) -> Result<u64> {
        let kind = Kind::of(path)?;
        if !path.exists() {
            return Ok(0);
        }
        let file = File::open(path)
            .map_err(|err| UserError::io(Text::fixed("read the answers", "读取回答"), path, &err))?;
        let mut output = Self { file, path: path.to_owned(), kind, columns: columns.to_vec(), rows: 0 };
        output.read(&mut |_| Ok(()))?;
        Ok(output.rows)
    }

    /// Rows in the file.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Adds rows, each with a value for every column.
    ///
    /// # Errors
    /// When the disk is full, or fails.
    pub fn write(&mut self, rows: &[Vec<Value>]) -> Result<()> {
        let mut bytes = Vec::new();
        for row in rows {
            match self.kind {
                Kind::Csv => bytes.extend(csv_line(&row.iter().map(plain).collect::<Vec<_>>())),
                Kind::Json => {
                    bytes.extend(if self.rows == 0 { &b"\n"[..] } else { &b",\n"[..] });
                    bytes.extend(self.object(row));
                }
                Kind::JsonLines => {
                    bytes.extend(self.object(row));
                    bytes.push(b'\n');
                }
            }
            self.rows += 1;
        }
        self.put(&bytes)
    }

    /// Ends the file, wherever the work ended.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn finish(mut self) -> Result<()> {
        if self.kind == Kind::Json {
            self.put(b"\n]\n")?;
        }
        let synced = self.file.sync_all();
        synced.map_err(|err| {
            UserError::io(Text::fixed("finish the answers", "完成回答的写入"), &self.path, &err)
        })
    }

    /// What stands before the first row.
    fn begin(&mut self) -> Result<()> {
        match self.kind {
            Kind::Csv => self.put(&csv_line(&self.columns)),
            Kind::Json => self.put(b"["),
            Kind::JsonLines => Ok(()),
        }
    }

    fn object(&self, row: &[Value]) -> Vec<u8> {
        let fields = self.columns.iter().cloned().zip(row.iter().cloned()).collect();
        Value::Object(fields).to_string().into_bytes()
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        let written = self.file.write_all(bytes);
        written.map_err(|err| UserError::io(Text::fixed("write the answers", "写入回答"), &self.path, &err))
    }

    /// Two that write into one file would lose rows.
    fn lock(&self) -> Result<()> {
        match self.file.try_lock() {
            Err(std::fs::TryLockError::WouldBlock) => Err(UserError::bad_input(Text::fixed(
                "Another prediction is writing this file",
                "另一个预测正在写入该文件",
            ))
            .in_file(&self.path)
            .mend(Text::fixed("wait for it, or name another output", "请等待其结束，或另选输出文件"))),
            // Some network file systems know no locks.
            Ok(()) | Err(std::fs::TryLockError::Error(_)) => Ok(()),
        }
    }

    /// Reads the rows that are whole; where the last of them ends.
    fn read(&mut self, told: &mut dyn FnMut(Vec<String>) -> Result<()>) -> Result<u64> {
        let mut bytes = Vec::new();
        self.file
            .read_to_end(&mut bytes)
            .map_err(|err| UserError::io(Text::fixed("read the answers", "读取回答"), &self.path, &err))?;
        match self.kind {
            Kind::Csv => self.read_csv(&bytes, told),
            Kind::Json | Kind::JsonLines => self.read_lines(&bytes, told),
        }
    }

    /// Reads whole records; where the last of them ends.
    fn read_csv(&mut self, bytes: &[u8], told: &mut dyn FnMut(Vec<String>) -> Result<()>) -> Result<u64> {
        let mut end = 0;
        for (number, record) in records(bytes).enumerate() {
            let Some((fields, until)) = record else { return Err(self.not_ours(number as u64)) };
            if number == 0 {
                if fields != self.columns {
                    return Err(self.other_columns(&fields));
                }
            } else {
                if fields.len() != self.columns.len() {
                    return Err(self.not_ours(number as u64));
                }
                told(fields)?;
                self.rows += 1;
            }
            end = until as u64;
        }
        Ok(end)
    }

    /// Reads whole lines with an object each; where the last of them ends.
    fn read_lines(&mut self, bytes: &[u8], told: &mut dyn FnMut(Vec<String>) -> Result<()>) -> Result<u64> {
        let list = self.kind == Kind::Json;
        let mut at = 0;
        let mut end = 0;
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            let start = at;
            at += line.len();
            let text = line.trim_ascii_end();
            if list && (text == b"[" && start == 0) {
                end = 1;
                continue;
            }
            if text.is_empty() || list && text == b"]" {
                continue;
            }
            let object = text.strip_suffix(b",").filter(|_| list).unwrap_or(text);
            // A line that the kill cut; a list's last object has no line end behind it, and may be whole.
            let whole = line.ends_with(b"\n") || list;
            let fields = match serde_json::from_slice::<Map<String, Value>>(object) {
                Ok(fields) if whole => fields,
                _ if at == bytes.len() => break,
                _ => return Err(self.not_ours(self.rows + 1)),
            };
            let names: Vec<String> = fields.keys().cloned().collect();
            if names != self.columns {
                return Err(self.other_columns(&names));
            }
            told(fields.values().map(plain).collect())?;
            self.rows += 1;
            end = (start + object.len() + usize::from(!list)) as u64;
        }
        Ok(end)
    }

    fn other_columns(&self, found: &[String]) -> UserError {
        let (found, wanted) = (found.join(", "), self.columns.join(", "));
        UserError::bad_input(text!(
            "The output was begun with other columns: {found}, and not {wanted}",
            "输出文件已有的列为 {found}，与要求的 {wanted} 不同"
        ))
        .in_file(&self.path)
        .mend(Text::fixed(
            "resume with the same columns, or name another output",
            "请以相同的列继续，或另选输出文件",
        ))
    }

    fn not_ours(&self, row: u64) -> UserError {
        UserError::bad_input(Text::fixed(
            "The output holds something that a prediction does not write",
            "输出文件中含有并非由预测写入的内容",
        ))
        .in_file(&self.path)
        .at_row(row)
        .mend(Text::fixed("name another output", "请另选输出文件"))
    }
}

fn taken(path: &Path) -> UserError {
    UserError::bad_input(Text::fixed("The output is there already", "输出文件已存在"))
        .in_file(path)
        .at_item("--output")
        .mend(Text::fixed(
            "name another file, or go on behind its rows with --resume",
            "请另选文件，或用 --resume 在其已有的行之后继续",
        ))
}

/// A value as a table holds it: texts as they are, nothing for null, JSON for lists and objects.
pub fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn csv_line(fields: &[String]) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    // Writing into memory does not fail, and every row is as long as the header.
    writer.write_record(fields).ok();
    writer.into_inner().unwrap_or_default()
}

/// A record, and the byte behind it.
type Record = (Vec<String>, usize);

/// The records of a table that are whole: closed, and with a line end. What is no record is none.
fn records(bytes: &[u8]) -> impl Iterator<Item = Option<Record>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let mut quoted = false;
        let ends = |byte: &u8| {
            quoted ^= *byte == b'"';
            *byte == b'\n' && !quoted
        };
        let start = at;
        at += bytes[start..].iter().position(ends)? + 1;
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(&bytes[start..at]);
        let read = reader.records().next().and_then(std::result::Result::ok);
        Some(read.map(|record| (record.iter().map(str::to_owned).collect(), at)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 3] = ["uuid", "Key\"words", "label"];

    fn columns() -> Vec<String> {
        NAMES.map(str::to_owned).to_vec()
    }

    /// Rows whose texts have everything in them that a table must quote.
    fn rows(range: std::ops::Range<u64>) -> Vec<Vec<Value>> {
        let text =
            |row: u64| ["a,b", "say \"no\"\n\"yes\"", "", "价格：3元\r\n", "]", "{\n"][row as usize % 6];
        range.map(|row| vec![row.into(), text(row).into(), Value::Null]).collect()
    }

    fn texts(rows: &[Vec<Value>]) -> Vec<Vec<String>> {
        rows.iter().map(|row| row.iter().map(plain).collect()).collect()
    }

    fn resumed(path: &Path) -> (Output, Vec<Vec<String>>) {
        let mut found = Vec::new();
        let output = Output::resume(path, &columns(), &mut |row| {
            found.push(row);
            Ok(())
        });
        (output.unwrap(), found)
    }

    /// Cut anywhere, the file goes on behind its whole rows, and in the end is the one that was never cut.
    #[test]
    fn a_file_that_was_cut_anywhere_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a.csv", "a.json", "a.jsonl"] {
            let path = dir.path().join(name);
            let mut output = Output::create(&path, &columns()).unwrap();
            output.write(&rows(0..7)).unwrap();
            output.finish().unwrap();
            let whole = std::fs::read(&path).unwrap();
            for cut in 0..=whole.len() {
                std::fs::write(&path, &whole[..cut]).unwrap();
                let there = Output::rows_in(&path, &columns()).unwrap();
                let (mut output, found) = resumed(&path);
                assert_eq!(output.rows(), there, "{name} cut at {cut}");
                assert_eq!(found, texts(&rows(0..there)), "{name} cut at {cut}");
                output.write(&rows(there..7)).unwrap();
                output.finish().unwrap();
                assert_eq!(std::fs::read(&path).unwrap(), whole, "{name} cut at {cut}");
            }
            let read = crate::sources::open(&path, &crate::Silent).unwrap();
            assert_eq!(read.len(), 7, "{name}");
            let last = read.get(1).unwrap();
            assert_eq!(last.fields().unwrap()["Key\"words"], "say \"no\"\n\"yes\"", "{name}");
        }
    }

    #[test]
    fn what_is_there_is_not_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.csv");
        std::fs::write(&path, "uuid,label\n1,0\n").unwrap();
        let refused = Output::create(&path, &columns()).unwrap_err();
        assert!(refused.to_string().contains("--resume"), "{refused}");
        assert!(Output::resume(&path, &columns(), &mut |_| Ok(())).is_err());
        std::fs::write(dir.path().join("b.jsonl"), "{\"a\": 1}\n{\"a\": 2}\n").unwrap();
        assert!(Output::resume(&dir.path().join("b.jsonl"), &columns(), &mut |_| Ok(())).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "uuid,label\n1,0\n");
        assert!(Output::create(&dir.path().join("answers"), &columns()).is_err());
        let first = Output::create(&dir.path().join("c.csv"), &columns()).unwrap();
        assert!(Output::resume(&dir.path().join("c.csv"), &columns(), &mut |_| Ok(())).is_err());
        drop(first);
    }
}
