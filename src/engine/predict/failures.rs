//! `OUTPUT.failed.jsonl`: which rows have no answer, and why. It is there only where there are such rows, and lets a resumed
//! prediction count those of its earlier sessions, which an output without a column for it does not tell.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use protocol::{Result, Text, UserError};
use serde::{Deserialize, Serialize};

use crate::files::AtomicFile;

/// Rows without an answer, by number (1-based).
pub struct Failures {
    path: PathBuf,
    /// Open from the first new one on.
    file: Option<File>,
    rows: BTreeMap<u64, Text>,
}

#[derive(Serialize, Deserialize)]
struct Line {
    /// 1-based.
    row: u64,
    why: Text,
}

impl Failures {
    /// Those of the first `rows` rows, which the output has. What is told of others was not finished, and is forgotten.
    ///
    /// # Errors
    /// When the file is there and cannot be read or written.
    pub fn of(output: &Path, rows: u64) -> Result<Self> {
        let path = beside(output);
        let known = match std::fs::read(&path) {
            Ok(bytes) => read(&bytes, rows),
            Err(err) if err.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self { path, file: None, rows: BTreeMap::new() });
            }
            Err(err) => return Err(failed(&path, &err)),
        };
        if known.is_empty() {
            std::fs::remove_file(&path).map_err(|err| failed(&path, &err))?;
        } else {
            AtomicFile::write(
                &path,
                &known.iter().flat_map(|(row, why)| line(*row, why)).collect::<Vec<_>>(),
            )?;
        }
        Ok(Self { path, file: None, rows: known })
    }

    /// # Errors
    /// When the disk is full, or fails.
    pub fn add(&mut self, row: u64, why: &Text) -> Result<()> {
        let opened = match self.file.take() {
            Some(file) => Ok(file),
            None => OpenOptions::new().create(true).append(true).open(&self.path),
        };
        let mut file = opened.map_err(|err| failed(&self.path, &err))?;
        file.write_all(&line(row, why)).map_err(|err| failed(&self.path, &err))?;
        self.file = Some(file);
        self.rows.insert(row, why.clone());
        Ok(())
    }

    pub fn count(&self) -> u64 {
        self.rows.len() as u64
    }

    /// Where they are told.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn beside(output: &Path) -> PathBuf {
    let mut name = OsString::from(output);
    name.push(".failed.jsonl");
    name.into()
}

/// A line that a kill cut is none.
fn read(bytes: &[u8], rows: u64) -> BTreeMap<u64, Text> {
    let lines =
        bytes.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice::<Line>(line).ok());
    lines.filter(|line| (1..=rows).contains(&line.row)).map(|line| (line.row, line.why)).collect()
}

fn line(row: u64, why: &Text) -> Vec<u8> {
    let mut line = serde_json::json!({ "row": row, "why": why }).to_string().into_bytes();
    line.push(b'\n');
    line
}

fn failed(path: &Path, err: &std::io::Error) -> UserError {
    UserError::io(Text::fixed("note the rows without an answer", "记录没有回答的行"), path, err)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_earlier_sessions_are_known_and_unfinished_ones_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("a.csv");
        let why = Text::fixed("too long", "过长");
        let mut first = Failures::of(&output, 0).unwrap();
        assert!(!first.path().exists());
        for row in [2, 5, 9] {
            first.add(row, &why).unwrap();
        }
        let path = first.path().to_path_buf();
        assert_eq!(path, folder.path().join("a.csv.failed.jsonl"));
        // As if a kill had come in the middle of a line; row 9 was not written into the output any more.
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.extend(b"{\"row\":3,\"wh");
        std::fs::write(&path, bytes).unwrap();
        let mut again = Failures::of(&output, 8).unwrap();
        assert_eq!(again.count(), 2);
        again.add(9, &why).unwrap();
        assert_eq!((again.count(), Failures::of(&output, 9).unwrap().count()), (3, 3));
        let lines = std::fs::read_to_string(&path).unwrap();
        assert_eq!(lines.lines().count(), 3, "{lines}");
        // Another prediction begins.
        assert_eq!(Failures::of(&output, 0).unwrap().count(), 0);
        assert!(!path.exists());
    }
}
