//! CPM-Bee's binary folders (tests/reference/make_bee_data.py): rows as the dicts that they were made from.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use data::sources::{RowValue, open, open_head};
use data::{Dataset, Record, Silent, Unencoded};
use protocol::config::DataConfig;
use serde_json::Value;

use crate::common::root;
use crate::packed::gzip;
use crate::support::Folder;

fn folder() -> PathBuf {
    root().join("tests/fixtures/bee")
}

fn expected() -> Vec<Value> {
    let lines = std::fs::read_to_string(root().join("tests/fixtures/bee.jsonl")).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The rows of a file, read backwards: any order will do.
fn rows(path: &Path) -> Vec<Value> {
    let source = open(path, &Silent).unwrap_or_else(|err| panic!("{err}"));
    let value = |index| match source.get(index).unwrap().value {
        RowValue::Object(fields) => Value::Object(fields),
        RowValue::Text(text) => panic!("{text}"),
    };
    let mut rows: Vec<_> = (0..source.len()).rev().map(value).collect();
    rows.reverse();
    rows
}

#[test]
fn a_folder_is_its_listed_files_without_the_masked_ones() {
    let config = DataConfig { train: vec![folder()], ..DataConfig::default() };
    let dataset = Dataset::open(&config, "".as_ref(), Arc::new(Unencoded), &Silent).unwrap();
    let sources = dataset.sources();
    let names: Vec<_> =
        sources.iter().map(|source| source.file.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(names, ["part_2", "part_1", "part_5"]);
    assert!(
        sources
            .iter()
            .all(|source| (source.container.as_str(), source.format.as_str()) == ("bee", "cpm-bee"))
    );
    let expected = expected();
    assert_eq!(dataset.len(), expected.len());
    let rows = sources.iter().flat_map(|source| rows(&source.file));
    assert_eq!(rows.collect::<Vec<_>>(), expected);
    let Record::Dict(first) = dataset.record(0).unwrap() else { panic!("no dict") };
    assert_eq!(Value::Object(first), expected[0]);
}

#[test]
fn a_file_is_told_by_its_content_and_not_taken_for_gzip() {
    assert_eq!(rows(&folder().join("part_1")), expected()[5..14]);
    // A first record whose length begins as a gzip file does: 0x88b bytes.
    let text = "x".repeat(0x88b - 20);
    let mut payload = b"\x80\x02}X\x05\0\0\0inputX".to_vec();
    payload.extend((text.len() as u32).to_le_bytes());
    payload.extend(text.as_bytes());
    payload.extend(b"s.");
    assert_eq!(payload.len(), 0x88b);
    let mut bytes = vec![0x1f];
    bytes.extend((payload.len() as u32).to_le_bytes());
    bytes.extend(&payload);
    bytes.push(0);
    assert_eq!(bytes[..3], [0x1f, 0x8b, 8]);
    let (_folder, path) = Folder::with("part", &bytes);
    assert_eq!(open(&path, &Silent).unwrap().get(0).unwrap().fields().unwrap()["input"], text.as_str());
    let (_folder, path) = Folder::with("a.jsonl", gzip(b"{\"text\":\"a\"}\n"));
    assert_eq!(open(&path, &Silent).unwrap().get(0).unwrap().fields().unwrap()["text"], "a");
}

#[test]
fn the_head_has_whole_rows_only() {
    let path = folder().join("part_1");
    for limit in [1, 300, 600, 1500] {
        let head = open_head(&path, limit).unwrap();
        assert!(!head.is_whole() && head.len() < 9, "{limit}");
        for index in 0..head.len() {
            assert_eq!(head.get(index).unwrap().fields().unwrap()["input"], expected()[5 + index]["input"]);
        }
    }
}

#[test]
fn what_is_broken_is_refused_with_its_place() {
    let whole = std::fs::read(folder().join("part_2")).unwrap();
    let meta = r#"{"file_name": "part", "block_begin": 0, "block_end": 2, "block_size": 512}"#;
    let damaged = |at: usize, byte: u8| {
        let mut bytes = whole.clone();
        bytes[at] = byte;
        let (folder, path) = Folder::with("part", &bytes);
        std::fs::write(folder.path().join("meta.bin"), meta).unwrap();
        let opened = open(&path, &Silent);
        let err = opened.and_then(|source| (0..source.len()).try_for_each(|row| source.get(row).map(drop)));
        err.err().unwrap().to_string()
    };
    // Behind the first record, and within it: a function instead of a dict.
    let first = 5 + u32::from_le_bytes(whole[1..5].try_into().unwrap()) as usize;
    assert!(damaged(first, 7).contains("no record"), "{}", damaged(first, 7));
    assert!(damaged(7, b'c').contains("0x63"), "{}", damaged(7, b'c'));
    for (listed, words) in [("{", "list"), (r#"{"file_name": "../part", "block_size": 512}"#, "../part")] {
        let (folder, _) = Folder::with("part", &whole);
        std::fs::write(folder.path().join("meta.bin"), listed).unwrap();
        let config = DataConfig { train: vec![folder.path().to_path_buf()], ..DataConfig::default() };
        let err = Dataset::open(&config, "".as_ref(), Arc::new(Unencoded), &Silent).err().unwrap();
        assert!(err.to_string().contains(words) && err.exit_code() == 2, "{err}");
    }
}
