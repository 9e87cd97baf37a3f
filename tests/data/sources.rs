//! Containers of rows: what is read, and what is refused with which words.

use std::io::Write;

use data::sources::{MAX_ROW_BYTES, RowSource, RowValue, open};
use data::{Progress, Silent};
use protocol::{Result, Text, UserError};
use serde_json::{Value, json};

use crate::support::Folder;

fn source(name: &str, content: impl AsRef<[u8]>) -> (Folder, Result<Box<dyn RowSource>>) {
    let (folder, path) = Folder::with(name, content);
    let source = open(&path, &Silent);
    (folder, source)
}

/// Every row as JSON; a row of text as a string.
fn values(name: &str, content: impl AsRef<[u8]>) -> Vec<Value> {
    let (_folder, source) = source(name, content);
    let source = source.unwrap();
    (0..source.len())
        .map(|index| match source.get(index).unwrap().value {
            RowValue::Object(fields) => Value::Object(fields),
            RowValue::Text(text) => Value::String(text),
        })
        .collect()
}

fn refusal(name: &str, content: impl AsRef<[u8]>) -> UserError {
    let (_folder, source) = source(name, content);
    source.err().unwrap_or_else(|| panic!("{name} was opened"))
}

/// The error of row `index`; the rows around it must be readable.
fn row_error(name: &str, content: impl AsRef<[u8]>, index: usize) -> UserError {
    let (_folder, source) = source(name, content);
    let source = source.unwrap();
    for other in (0..source.len()).filter(|other| *other != index) {
        source.get(other).unwrap_or_else(|err| panic!("row {other}: {err}"));
    }
    let err = source.get(index).unwrap_err();
    assert_eq!(err.place.row, Some(index as u64 + 1), "{err}");
    assert!(err.place.file.is_some(), "{err}");
    assert_eq!(err.exit_code(), 2, "{err}");
    err
}

fn assert_says(err: &UserError, part: &str) {
    assert!(err.to_string().contains(part), "{err}");
    assert!(!err.what.zh.is_empty());
}

#[test]
fn jsonl_rows_are_found_whatever_lies_between_them() {
    let expected = [json!({"a": 1}), json!({"a": 2}), json!({"a": 3})];
    assert_eq!(values("a.jsonl", "{\"a\":1}\n{\"a\":2}\n{\"a\":3}"), expected);
    assert_eq!(values("a.jsonl", "\u{feff}{\"a\":1}\r\n\r\n  \n {\"a\":2} \r\n{\"a\":3}\r\n\r\n"), expected);
    // Two files with byte order marks, one after the other.
    assert_eq!(values("a.jsonl", "\u{feff}{\"a\":1}\n\u{feff}{\"a\":2}\n{\"a\":3}"), expected);
}

#[test]
fn rows_carry_their_number_and_place() {
    let (_folder, source) = source("a.jsonl", "{\"a\":1}\n\n{\"a\":2}\n");
    let row = source.unwrap().get(1).unwrap();
    assert_eq!((row.row, row.offset), (2, 9));
    assert!(row.file.ends_with("a.jsonl"));
}

#[test]
fn a_broken_jsonl_row_is_named_and_the_others_stay_readable() {
    let err = row_error("a.jsonl", "{\"a\":1}\n{\"a\": oops}\n{\"a\":3}\n", 1);
    assert_says(&err, "Not valid JSON at byte 14 of the file (column 7): expected value");
    assert_says(&row_error("a.jsonl", "{\"a\":1,}\n{}\n", 0), "trailing comma");
    assert_says(&row_error("a.jsonl", "{\"a\":1\n{}\n", 0), "EOF while parsing");
    assert_says(&row_error("a.jsonl", "{\"a\":1} {}\n{}\n", 0), "trailing characters");
    assert_says(&row_error("a.jsonl", "{}\n[1, 2]\n{}", 1), "must be a JSON object, and this is a list");
    assert_says(&row_error("a.jsonl", "{}\n{\"a\":\"\0\"}\n", 1), "NUL");
}

#[test]
fn text_that_is_not_utf8_is_named_by_its_byte() {
    let err = row_error("a.jsonl", b"{\"a\":1}\n{\"a\":\"\xff\"}\n{}", 1);
    assert_says(&err, "Not UTF-8 text at byte 14 of the file");
    assert_says(&row_error("a.csv", b"a,b\n1,2\n3,\xff\n", 1), "Not UTF-8");
    assert_says(&row_error("a.txt", b"one\ntw\xffo\n", 1), "Not UTF-8");
    assert_says(&row_error("a.json", b"[{}, {\"a\":\"\xff\"}]", 1), "Not UTF-8");
}

#[test]
fn the_last_of_double_keys_counts() {
    assert_eq!(values("a.jsonl", "{\"a\":1,\"b\":0,\"a\":2}"), [json!({"a": 2, "b": 0})]);
}

#[test]
fn nesting_is_bounded() {
    let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(values("a.jsonl", nested(100)).len(), 1);
    let deep = format!("{}\n{{}}\n", nested(100_000));
    assert_says(&row_error("a.jsonl", &deep, 0), "recursion limit");
    let array = format!("[{}, {{}}]", nested(100_000));
    assert_says(&row_error("a.json", array, 0), "recursion limit");
}

#[test]
fn a_row_beyond_the_limit_is_refused_without_reading_it() {
    let folder = Folder::new();
    for (name, before, after) in [
        ("a.jsonl", "{}\n{\"a\":\"", "\"}\n{}\n"),
        ("a.json", "[{},{\"a\":\"", "\"},{}]"),
        ("a.txt", "x\n", "\ny\n"),
    ] {
        let long = "x".repeat(MAX_ROW_BYTES as usize + 1);
        let path = folder.write(name, format!("{before}{long}{after}"));
        let source = open(&path, &Silent).unwrap();
        assert_eq!(source.len(), 3, "{name}");
        let err = source.get(1).unwrap_err();
        assert_says(&err, "at most 16 MiB");
        assert_eq!(err.place.row, Some(2));
        source.get(2).unwrap();
    }
}

#[test]
fn a_sparse_gigabyte_line_costs_nothing() {
    let folder = Folder::new();
    let path = folder.write("a.jsonl", "{\"a\":1}\n{\"a\":\"");
    // A hole of NUL bytes: a gigabyte on paper, nothing on disk.
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(1 << 30).unwrap();
    let source = open(&path, &Silent).unwrap();
    assert_eq!(source.len(), 2);
    assert_says(&source.get(1).unwrap_err(), "at most 16 MiB");
}

#[test]
fn json_arrays_and_wrapped_arrays_have_rows() {
    let expected = [json!({"a": "x],}\\\""}), json!({"b": [1, {"c": "["}]})];
    let array = "[ {\"a\": \"x],}\\\\\\\"\"} ,\n{\"b\":[1,{\"c\":\"[\"}]}\n]\n";
    assert_eq!(values("a.json", array), expected);
    assert_eq!(values("a.json", format!("\u{feff}{array}")), expected);
    let wrapped = format!("{{\"version\": \"1\", \"tags\": [1, 2], \"data\": {array}, \"n\": {{\"k\": 2}}}}");
    assert_eq!(values("a.json", wrapped), expected);
    assert_eq!(values("a.json", "[]"), Vec::<Value>::new());
    // A conversation is one row, not a list of rows.
    assert_eq!(values("a.json", "{\n\"messages\": [{\"role\": \"user\"}]}").len(), 1);
}

#[test]
fn json_lines_are_known_by_content_whatever_the_name() {
    assert_eq!(values("a.json", "{\"a\":1}\n{\"a\":2}\n").len(), 2);
    assert_eq!(values("a.jsonl", "[\n{\"a\":1},\n{\"a\":2}]\n").len(), 2);
    assert_eq!(values("noname", "{\"a\":1}\n{\"a\":2}\n").len(), 2);
}

#[test]
fn a_broken_json_array_is_refused_with_the_row() {
    for (content, row, says) in [
        ("[{\"a\":1},{\"a\":", Some(2), "ends in the middle"),
        ("[{\"a\":1},{\"a\":\"x}]", Some(2), "string without closing quote"),
        ("[{\"a\":1},", Some(2), "ends in the middle"),
        ("[{\"a\":1},]", Some(2), "comma too many"),
        ("[{\"a\":1},,{}]", Some(2), "comma too many"),
        ("[{\"a\":1} {}]", Some(1), "`,` or `]` was expected"),
        ("[{}] x", None, "the end of the file was expected"),
        ("{\"data\": [{}", Some(1), "ends in the middle"),
        ("{\"x\": [{}], \"y\": [{}]}", None, "several lists of rows: `x`, `y`"),
        ("\"text\"", None, "`[` or `{` was expected"),
    ] {
        let err = refusal("a.json", content);
        assert_says(&err, says);
        assert_eq!(err.place.row, row, "{content}: {err}");
        assert!(err.place.file.is_some());
    }
    let err = row_error("a.json", "[{\"a\":1}, {\"a\":1,}, {}]", 1);
    assert_says(&err, "Not valid JSON at byte 17");
    assert_says(&row_error("a.json", "[{}, 5]", 1), "this is a number");
}

#[test]
fn csv_fields_may_be_quoted_and_span_lines() {
    let expected = [json!({"a": "1", "b": "x, \"y\"\r\nz"}), json!({"a": "", "b": "q\"r"})];
    let table = "a,b\r\n1,\"x, \"\"y\"\"\r\nz\"\r\n\r\n,q\"r\r\n";
    assert_eq!(values("a.csv", table), expected);
    assert_eq!(values("a.csv", format!("\u{feff}{table}")), expected);
    assert_eq!(values("a.csv", "\"a\",\"b\"\n\"\",\"\"\n"), [json!({"a": "", "b": ""})]);
    assert_eq!(values("a.csv", "a,b\n,"), [json!({"a": "", "b": ""})]);
    assert_eq!(values("a.csv", "a,b\r\r\n\"x\"y,\"é\"\r"), [json!({"a": "xy", "b": "é"})]);
}

#[test]
fn delimiters_are_guessed() {
    let expected = [json!({"a": "1,5", "b": "2"}), json!({"a": "3", "b": "4,5"})];
    assert_eq!(values("a.csv", "a;b\n1,5;2\n3;4,5\n"), expected);
    assert_eq!(values("a.csv", "a\tb\n1,5\t2\n3\t4,5\n"), expected);
    assert_eq!(values("a.tsv", "a\tb\n1,5\t2\n3\t4,5\n"), expected);
    assert_eq!(values("a.csv", "text\n\"hello, world\"\n"), [json!({"text": "hello, world"})]);
}

#[test]
fn an_unclosed_quote_is_refused_where_it_opens() {
    let err = refusal("a.csv", "a,b\n1,2\n3,\"four\n5,6\n7,8\n");
    assert_says(&err, "The quote opened at byte 10 of the file is never closed");
    assert_eq!(err.place.row, Some(2));
    // In a long file it is found long before the end.
    let long = format!("a,b\n1,\"{}", "x\n".repeat(MAX_ROW_BYTES as usize));
    assert_says(&refusal("a.csv", long), "never closed");
}

#[test]
fn csv_rows_must_fit_the_header() {
    assert_says(
        &row_error("a.csv", "a,b\n1,2\n1,2,3\n4,5\n1,2\n1,2\n1,2\n1,2\n1,2\n1,2\n1,2\n", 1),
        "3 fields, the header 2",
    );
    assert_says(&refusal("a.csv", "a,b,a\n1,2,3\n"), "names the column `a` twice");
    assert_eq!(values("a.csv", ",Question\n0,why\n"), [json!({"column_1": "0", "Question": "why"})]);
    let wide = format!("{}\n", vec!["x"; 1_000_000].join(","));
    assert_says(&refusal("a.csv", wide), "more than 4096 columns");
    assert_says(&row_error("a.csv", "a,b\n1,2\n3,\0\n", 1), "NUL");
}

#[test]
fn text_is_paragraphs_where_blank_lines_are_and_lines_elsewhere() {
    assert_eq!(
        values("a.txt", "\u{feff}one\r\n\ttwo \r\nthree"),
        [json!("one"), json!("\ttwo"), json!("three")]
    );
    assert_eq!(values("a.txt", "\n\none\r\ntwo\r\n \r\n\r\nthree\n\n"), [json!("one\ntwo"), json!("three")]);
    assert_says(&row_error("a.txt", "one\nt\0wo\n", 1), "NUL");
}

#[test]
fn empty_files_have_no_rows() {
    for name in ["a.jsonl", "a.json", "a.csv", "a.tsv", "a.txt"] {
        for content in ["", "\u{feff}", "\n \r\n"] {
            let (_folder, source) = source(name, content);
            assert_eq!(source.unwrap().len(), 0, "{name} {content:?}");
        }
    }
    assert_eq!(values("a.csv", "a,b\n"), Vec::<Value>::new());
}

#[test]
fn what_is_no_dataset_is_refused_by_name() {
    let folder = Folder::new();
    assert_says(&open(folder.path(), &Silent).err().unwrap(), "this is a folder");
    let missing = open(&folder.path().join("none.jsonl"), &Silent).err().unwrap();
    assert_says(&missing, "Could not open the dataset");
    assert_says(&open("/dev/null".as_ref(), &Silent).err().unwrap(), "regular file");
    assert_says(&refusal("a.xlsx", b"PK\x03\x04"), "a zip archive");
    assert_says(&refusal("a.txt", b"\xff\xfe\0\0a\0\0\0"), "UTF-32");
    assert_says(&refusal("a.csv", b"\xb1\xea\xcc\xe2,\xd5\xaa\xd2\xaa\n1,2\n"), "GB18030");
    assert_says(&refusal("a.bin", b"\x00\x01\x02"), "binary");
    assert_says(&refusal("noname", "hello"), "neither from its name nor from its content");
}

#[test]
fn a_file_that_changes_under_us_is_noticed() {
    let (_folder, path) = Folder::with("a.jsonl", "{\"a\":1}\n{\"a\":2}\n");
    let source = open(&path, &Silent).unwrap();
    source.get(1).unwrap();
    std::fs::write(&path, "{\"a\":1}\n").unwrap();
    let err = source.get(1).unwrap_err();
    assert_says(&err, "changed after it was opened");
    assert!(source.get(0).is_err());
}

struct StopAtOnce;

impl Progress for StopAtOnce {
    fn report(&self, _: &Text, _: u64, _: u64) {}
    fn cancelled(&self) -> bool {
        true
    }
}

#[test]
fn indexing_can_be_stopped() {
    for (name, content) in [("a.jsonl", "{}\n"), ("a.json", "[{}]"), ("a.csv", "a\n1\n"), ("a.txt", "x\n")] {
        let (_folder, path) = Folder::with(name, content);
        assert_says(&open(&path, &StopAtOnce).err().unwrap(), "Stopped");
    }
}

#[test]
fn a_large_file_is_not_held() {
    // Memory is the whole process's: measured in a process of its own, where no other test allocates.
    const ALONE: &str = "EMBERWRIGHT_TEST_ALONE";
    if std::env::var_os(ALONE).is_none() {
        let status = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["sources::a_large_file_is_not_held", "--exact"])
            .env(ALONE, "1")
            .status();
        assert!(status.unwrap().success());
        return;
    }
    let line = format!("{{\"instruction\":\"{}\",\"output\":\"y\"}}\n", "x".repeat(1960));
    let (rows, bytes) = (10_000, 10_000 * line.len() as u64);
    let folder = Folder::new();
    let path = folder.path().join("a.jsonl");
    let mut file = std::fs::File::create(&path).unwrap();
    (0..rows).for_each(|_| file.write_all(line.as_bytes()).unwrap());
    let before = resident();
    let source = open(&path, &Silent).unwrap();
    assert_eq!((source.len(), source.file().bytes()), (rows, bytes));
    (0..rows).step_by(7).for_each(|index| drop(source.get(index).unwrap()));
    let grown = resident().saturating_sub(before);
    // A buffer of 1 MiB and 8 bytes a row, of 20 MB of rows.
    assert!(grown < 4 << 20, "{grown} bytes more");
}

/// Memory of this process in bytes, without the pages of its own program file that it happens to have
/// touched; 0 where it cannot be told.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: Vec<u64> = status.split(' ').filter_map(|field| field.parse().ok()).collect();
    let [_, resident, shared, ..] = pages.as_slice() else { return 0 };
    resident.saturating_sub(*shared) * 4096
}
