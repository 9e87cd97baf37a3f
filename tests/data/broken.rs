//! Rows that are no JSON: what stands where, and how to mend it.

use data::Silent;
use data::sources::open;
use protocol::UserError;

use crate::support::Folder;

/// The error of a row of a file with this content.
fn refused(name: &str, content: &str, row: usize) -> UserError {
    let (_folder, path) = Folder::with(name, content);
    let err = open(&path, &Silent).and_then(|source| source.get(row)).map(drop).unwrap_err();
    assert_eq!(err.place.file.as_deref(), Some(path.as_path()), "{err}");
    assert!(err.what.zh.contains("不是有效的 JSON"), "{}", err.what.zh);
    err
}

/// File, content, broken row (0-based), what is said of the place, and what of the mend.
const LINES: [(&str, usize, &str, &str); 24] = [
    ("{\"a\": 1,}\n", 0, "column 9): trailing comma", "the comma before the closing bracket"),
    ("{\"a\": [1, 2,]}\n", 0, "column 13): trailing comma", "the comma before"),
    ("{'a': 'b'}\n", 0, "column 2): key must be a string", "straight double quotes"),
    ("{\"a\": 'b'}\n", 0, "column 7): expected value", "straight double quotes"),
    ("{“a”: “b”}\n", 0, "column 2): key must be a string", "straight double quotes"),
    ("{\"键\": “值”}\n", 0, "column 7): expected value", "straight double quotes"),
    ("{a: 1}\n", 0, "column 2): key must be a string", "put keys in double quotes"),
    ("{\"a\": None}\n", 0, "column 7): expected value", "in place of None"),
    ("{\"a\": True}\n", 0, "column 7): expected value", "in place of True"),
    ("{\"a\": NaN}\n", 0, "column 7): expected value", "no NaN: write null"),
    ("{\"a\": oops}\n", 0, "column 7): expected value", "put texts in double quotes"),
    ("{\"a\": }\n", 0, "column 7): expected value", "a value is missing"),
    (
        "{\"a\": \"he said \"no\"\"}\n",
        0,
        "column 17): expected `,` or `}`",
        "a quote inside a text is written \\\"",
    ),
    ("{\"a\": 1 \"b\": 2}\n", 0, "column 9): expected `,` or `}`", "the comma that is missing"),
    ("{\"a\" 1}\n", 0, "column 6): expected `:`", "a colon between"),
    ("{\"a\": \"C:\\data\"}\n", 0, "column 11): invalid escape", "twice: \\\\"),
    ("{\"a\": \"b\tc\"}\n", 0, "column 9): control character", "a tab inside a text as \\t"),
    ("{\"a\": 01}\n", 0, "column 8): invalid number", "numbers like 12"),
    ("{\"a\": 1} {\"a\": 2}\n", 0, "column 10): trailing characters", "begin a new line there"),
    ("{\"a\": 1},\n{\"a\": 2}\n", 0, "column 9): trailing characters", "JSON lines have none"),
    ("{\"a\": \"one\ntwo\"}\n", 0, "EOF while parsing a string", "a line break stands inside a text"),
    ("{\"a\": \"one\ntwo\"}\n", 1, "column 2): expected ident", "has split the row before"),
    ("{\"a\": \"one\n中文\"}\n", 1, "column 1): expected value", "has split the row before"),
    ("{\n  \"a\": 1\n}\n", 0, "EOF while parsing an object", "goes into a .json file"),
];

#[test]
fn a_broken_line_says_where_and_how_to_mend_it() {
    for (content, row, place, mend) in LINES {
        let err = refused("a.jsonl", content, row);
        assert!(err.what.en.contains(place), "{content}: {err}");
        let said = err.mend.as_ref().unwrap_or_else(|| panic!("{content}: {err}"));
        assert!(said.en.contains(mend), "{content}: {err}");
        assert!(!said.zh.is_ascii() && err.line().en.contains(mend), "{content}: {err}");
        assert_eq!(err.place.row, Some(row as u64 + 1), "{content}");
    }
}

#[test]
fn a_broken_row_of_a_document_says_its_line() {
    let err = refused("a.json", "[\n {\"a\": 1},\n {\n  \"a\": 1,\n }\n]\n", 1);
    assert!(err.what.en.contains("(line 3 of the row, column 2): trailing comma"), "{err}");
    let err = refused("a.json", "[{\"a\": \"one\ntwo\"}]", 0);
    assert!(err.mend.unwrap().en.contains("line break inside a text as \\n"));
}

#[test]
fn a_document_that_is_broken_outside_of_rows_says_line_and_column() {
    for (content, place) in [
        ("[\n {\"a\": 1}\n {\"a\": 2}\n]", "(line 3, column 2): `,` or `]` was expected"),
        ("[\n {\"a\": \"中\"} {\"a\": 2}\n]", "(line 2, column 13): `,` or `]` was expected"),
        ("[\n {\"a\": 1}\n]\nx", "(line 4, column 1): the end of the file was expected"),
    ] {
        let err = refused("a.json", content, 0);
        assert!(err.what.en.contains(place), "{content}: {err}");
        assert!(err.mend.is_some(), "{content}");
    }
}
