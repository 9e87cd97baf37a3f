//! Parquet files: rows as `datasets` has them (tests/reference/make_parquet.py), in any order, and damaged ones.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use data::sources::{RowValue, open, open_head};
use data::{Library, Progress, Silent};
use parquet::data_type::{ByteArray, ByteArrayType, Int32Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use protocol::config::DataConfig;
use protocol::{Text, UserError};
use serde_json::Value;

use crate::common::root;
use crate::packed::gzip;
use crate::support::{Folder, words};

fn fixtures() -> PathBuf {
    root().join("tests/fixtures/parquet")
}

fn rows(path: &Path) -> Vec<Value> {
    let source = open(path, &Silent).unwrap_or_else(|err| panic!("{err}"));
    let value = |index| match source.get(index).unwrap().value {
        RowValue::Object(fields) => Value::Object(fields),
        RowValue::Text(text) => panic!("{text}"),
    };
    // Backwards: any order will do.
    let mut rows: Vec<_> = (0..source.len()).rev().map(value).collect();
    rows.reverse();
    rows
}

fn refusal(content: &[u8]) -> UserError {
    let (_folder, path) = Folder::with("a.parquet", content);
    let err = open(&path, &Silent).err().unwrap();
    assert_eq!(err.exit_code(), 2, "{err}");
    assert!(err.place.file.is_some(), "{err}");
    err
}

#[test]
fn rows_are_those_that_datasets_gives() {
    let mut cases = 0;
    for entry in std::fs::read_dir(fixtures()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "parquet") {
            continue;
        }
        let expected = std::fs::read_to_string(path.with_extension("jsonl")).unwrap();
        let expected: Vec<Value> = expected.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let got = rows(&path);
        assert_eq!(got.len(), expected.len(), "{}", path.display());
        for (row, (got, expected)) in got.iter().zip(&expected).enumerate() {
            assert_eq!(got, expected, "row {} of {}", row + 1, path.display());
        }
        cases += 1;
    }
    assert_eq!(cases, 10);
}

#[test]
fn a_chat_is_recognised_and_its_source_told() {
    let config = DataConfig { train: vec![fixtures().join("chat.parquet")], ..DataConfig::default() };
    let dataset = Library::default().dataset(&config, Path::new("."), words(), &Silent).unwrap();
    let source = &dataset.sources()[0];
    assert_eq!((source.container.as_str(), source.format.as_str()), ("parquet", "messages"));
    assert_eq!(source.bytes, std::fs::metadata(fixtures().join("chat.parquet")).unwrap().len());
    assert!(!dataset.example(1).unwrap().ids.is_empty());
}

/// A file of `rows` rows with a text and a number, in row groups of `group`.
fn written(rows: usize, group: usize) -> Vec<u8> {
    let schema = "message m { required binary text (STRING); optional int32 n; }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let properties = Arc::new(WriterProperties::builder().set_dictionary_enabled(false).build());
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, properties).unwrap();
    for first in (0..rows).step_by(group) {
        let range = first..rows.min(first + group);
        let mut row_group = writer.next_row_group().unwrap();
        let texts: Vec<_> = range
            .clone()
            .map(|row| ByteArray::from(format!("row {row} {}", "x".repeat(100)).into_bytes()))
            .collect();
        let mut column = row_group.next_column().unwrap().unwrap();
        column.typed::<ByteArrayType>().write_batch(&texts, None, None).unwrap();
        column.close().unwrap();
        let mut column = row_group.next_column().unwrap().unwrap();
        let levels = vec![1; range.len()];
        let numbers: Vec<_> = range.map(|row| row as i32).collect();
        column.typed::<Int32Type>().write_batch(&numbers, Some(&levels), None).unwrap();
        column.close().unwrap();
        row_group.close().unwrap();
    }
    writer.into_inner().unwrap()
}

#[test]
fn the_head_of_a_large_file_is_not_the_whole() {
    let (_folder, path) = Folder::with("a.parquet", written(10_000, 3000));
    let head = open_head(&path, 50_000).unwrap();
    assert!(!head.is_whole() && (300..10_000).contains(&head.len()), "{}", head.len());
    let whole = open(&path, &Silent).unwrap();
    assert!(whole.is_whole());
    assert_eq!(whole.len(), 10_000);
    assert_eq!(head.get(299).unwrap().value, whole.get(299).unwrap().value);
    let RowValue::Object(last) = whole.get(9999).unwrap().value else { panic!() };
    assert_eq!(last["n"], 9999);
}

struct Stop(AtomicU64);

impl Progress for Stop {
    fn report(&self, stage: &Text, done: u64, total: u64) {
        assert!(done <= total);
        if stage.en == "decoding Parquet" {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 3
    }
}

#[test]
fn decoding_tells_how_far_it_is_and_can_be_stopped() {
    let (_folder, path) = Folder::with("a.parquet", written(10_000, 3000));
    let stopped = open(&path, &Stop(AtomicU64::new(0))).err().unwrap();
    assert!(stopped.to_string().contains("Stopped"), "{stopped}");
}

#[test]
fn damaged_files_are_refused_in_words() {
    let whole = written(100, 50);
    assert!(refusal(&whole[..whole.len() - 3]).to_string().contains("cut off"));
    assert!(refusal(b"PAR1").to_string().contains("cut off"));
    assert!(refusal(b"PAR1\xff\xff\xff\x7fPAR1").to_string().contains("damaged"));
    let mut encrypted = whole.clone();
    let end = encrypted.len();
    encrypted[end - 1] = b'E';
    assert!(refusal(&encrypted).to_string().contains("encrypted"));
    let (_folder, path) = Folder::with("a.parquet.gz", gzip(&whole));
    assert!(open(&path, &Silent).err().unwrap().to_string().contains("within gzip"));
}

#[test]
fn no_byte_that_is_changed_breaks_more_than_the_file() {
    let whole = std::fs::read(fixtures().join("nested.parquet")).unwrap();
    let folder = Folder::new();
    for at in (0..whole.len()).step_by(13) {
        let mut changed = whole.clone();
        changed[at] ^= 1 << (at % 8);
        let path = folder.write("a.parquet", changed);
        if let Ok(source) = open(&path, &Silent) {
            (0..source.len()).for_each(|row| drop(source.get(row)));
        }
    }
}

#[test]
fn a_row_that_is_too_long_is_an_error_of_its_own() {
    let schema = Arc::new(parse_message_type("message m { required binary text (STRING); }").unwrap());
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    let texts =
        ["a".to_owned(), "b".repeat(17 << 20), "c".to_owned()].map(|text| ByteArray::from(text.into_bytes()));
    column.typed::<ByteArrayType>().write_batch(&texts, None, None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    let (_folder, path) = Folder::with("a.parquet", writer.into_inner().unwrap());
    let source = open(&path, &Silent).unwrap();
    assert!(source.get(0).is_ok() && source.get(2).is_ok());
    let err = source.get(1).unwrap_err();
    assert!(err.to_string().contains("at most 16 MiB"), "{err}");
    assert_eq!(err.place.row, Some(2));
}
