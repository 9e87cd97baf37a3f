//! Files that stay open: heads of large ones, indexes made meanwhile, rows found.

use std::sync::Arc;

use data::sources::{RowSource, open, open_head};
use data::{Dataset, Library, Progress, Silent, find, preview};
use protocol::config::DataConfig;

use crate::support::{Folder, Words, alpaca_lines, config};

fn rows(source: &dyn RowSource) -> Vec<data::sources::RowValue> {
    (0..source.len()).map(|index| source.get(index).unwrap().value).collect()
}

#[test]
fn a_head_has_the_rows_that_lie_in_it_whole() {
    let cases = [
        ("a.jsonl", "{\"a\":\"x\"}\r\n\n{\"a\":\"yy\"}\n{\"a\":\"你好\"}\n{\"a\":\"z\"}\n"),
        ("a.json", "[{\"a\":\"x]\"}, {\"a\":\"\\\"yy\"} ,\n{\"a\":\"你好\"},{\"a\":[1,2]}]\n"),
        (
            "b.json",
            "{\"version\": 1, \"data\": [{\"a\":\"x\"}, {\"a\":\"yy\"}, {\"a\":\"你好\"}], \"end\": {}}",
        ),
        ("a.csv", "a,b\nx,\"y\ny\"\n\"你,好\",z\n1,2\n"),
        ("a.txt", "one line\nanother\n第三行\nthe last"),
    ];
    for (name, content) in cases {
        let (_folder, path) = Folder::with(name, content);
        let whole = open(&path, &Silent).unwrap();
        let all = rows(whole.as_ref());
        let mut most = 0;
        // The header of a table and the first bracket must be there.
        for limit in 4..content.len() as u64 {
            let head = open_head(&path, limit).unwrap_or_else(|err| panic!("{name} up to {limit}: {err}"));
            assert!(!head.is_whole());
            let seen = rows(head.as_ref());
            // An array may end before the file does.
            assert!(seen.len() < all.len() || name.ends_with(".json"), "{name} up to {limit}");
            assert_eq!(seen, all[..seen.len()], "{name} up to {limit}");
            assert!(seen.len() >= most, "{name} up to {limit}");
            most = seen.len();
        }
        assert!(most >= all.len() - 1, "{name}: {most} of {}", all.len());
        let head = open_head(&path, content.len() as u64).unwrap();
        assert!(head.is_whole() && rows(head.as_ref()) == all, "{name}");
    }
}

/// More rows than a head holds.
fn large() -> (Folder, DataConfig, usize) {
    let count = 120_000;
    let (folder, path) = Folder::with("a.jsonl", alpaca_lines(count));
    assert!(path.metadata().unwrap().len() > 6 << 20);
    (folder, config(&["a.jsonl"]), count)
}

fn words() -> Arc<Words> {
    Arc::new(Words::default())
}

fn instruction(dataset: &Dataset, row: u64) -> String {
    preview(dataset, row, 1, &|_| Vec::new()).rows[0].fields[0].1.clone()
}

#[test]
fn a_large_file_shows_its_first_rows_and_is_counted_meanwhile() {
    let (folder, config, count) = large();
    let mut library = Library::default();
    let head = library.glance(&config, folder.path(), words(), &Silent).unwrap();
    assert_eq!(instruction(&head, 7), "say 7");
    assert!(head.training_rows().is_none_or(|rows| rows == count as u64));
    let whole = library.dataset(&config, folder.path(), words(), &Silent).unwrap();
    assert_eq!(whole.training_rows(), Some(count as u64));
    assert_eq!(instruction(&whole, 119_999), "say 119999");
    assert!(library.indexing().is_none());
    // The index stays: the next look has everything.
    let again = library.glance(&config, folder.path(), words(), &Silent).unwrap();
    assert_eq!((again.is_whole(), again.len()), (true, count));
    // Until the file changes.
    folder.write("a.jsonl", alpaca_lines(3));
    let changed = library.glance(&config, folder.path(), words(), &Silent).unwrap();
    assert_eq!((changed.is_whole(), changed.len()), (true, 3));
}

struct Impatient;

impl Progress for Impatient {
    fn cancelled(&self) -> bool {
        true
    }
}

#[test]
fn a_wait_that_is_broken_off_does_not_spoil_the_index() {
    let (folder, config, count) = large();
    let mut library = Library::default();
    // Whether the index is quicker than the first look at the wish is the machine's affair; it must be there later.
    if let Ok(dataset) = library.dataset(&config, folder.path(), words(), &Impatient) {
        assert_eq!(dataset.len(), count);
    }
    let whole = library.dataset(&config, folder.path(), words(), &Silent).unwrap();
    assert_eq!(whole.len(), count);
}

#[test]
fn a_file_that_breaks_behind_its_head_is_told_when_it_is_needed() {
    let (folder, path) = Folder::with("a.json", format!("[{}", alpaca_lines(120_000).replace('\n', ",\n")));
    let config = config(&["a.json"]);
    let mut library = Library::default();
    let head = library.glance(&config, folder.path(), words(), &Silent).unwrap();
    assert!(!head.is_whole());
    assert_eq!(instruction(&head, 0), "say 0");
    for _ in 0..2 {
        let err = library.dataset(&config, folder.path(), words(), &Silent).err().unwrap();
        assert_eq!(err.place.file.as_deref(), Some(path.as_path()), "{err}");
    }
}

#[test]
fn rows_are_numbered_up_to_the_first_file_that_is_not_counted() {
    let (folder, _) = Folder::with("small.jsonl", alpaca_lines(3));
    folder.write("large.json", format!("[{}", alpaca_lines(120_000).replace('\n', ",\n")));
    folder.write("after.jsonl", alpaca_lines(5));
    let mut library = Library::default();
    let config = config(&["small.jsonl", "large.json", "after.jsonl"]);
    let head = library.glance(&config, folder.path(), words(), &Silent).unwrap();
    assert_eq!(instruction(&head, 2), "say 2");
    assert_eq!(instruction(&head, 3), "say 0");
    let last = head.len() - 1;
    assert!(head.place(last).unwrap().0.ends_with("large.json"));
    assert_eq!(head.sources().len(), 3);
    assert_eq!(head.training_rows(), None);
}

#[test]
fn rows_are_found_by_field_and_by_rendering_whatever_the_case() {
    let row = |said: &str| {
        serde_json::json!({"instruction": said, "input": "", "output": "Fine."}).to_string() + "\n"
    };
    let texts = ["Where is the RIVER?", "no", "ÄRGER am Fluss", "the river again", "river three"];
    let (folder, _) = Folder::with("a.jsonl", texts.map(row).concat());
    let dataset = Library::default().dataset(&config(&["a.jsonl"]), folder.path(), words(), &Silent).unwrap();
    let search =
        |text: &str, after: u64, limit: u64| find(&dataset, text, after..u64::MAX, limit, &Silent).unwrap();
    assert_eq!(search("river", 0, 10), (vec![0, 3, 4], 5));
    assert_eq!(search("River", 1, 10), (vec![3, 4], 5));
    // The search ends behind the last row that was wanted, so that the next one begins there.
    assert_eq!(search("river", 0, 2), (vec![0, 3], 4));
    assert_eq!(search("river", 4, 2), (vec![4], 5));
    assert_eq!(search("ärger", 0, 9), (vec![2], 5));
    // Only the rendering has the role.
    assert_eq!(search("<assistant>", 0, 9).0.len(), 5);
    assert_eq!(search("nowhere", 0, 9), (vec![], 5));
    assert_eq!(search("river", 99, 9), (vec![], 5));
    assert!(find(&dataset, "x", 0..9, 9, &Impatient).is_err());
}

#[test]
fn long_fields_are_cut_between_characters() {
    let row = serde_json::json!({"prompt": "你".repeat(5000), "response": {"a": [1, null]}}).to_string();
    let (folder, _) = Folder::with("a.jsonl", row);
    let config = DataConfig { format: "columns".into(), ..config(&["a.jsonl"]) };
    let dataset = Library::default().dataset(&config, folder.path(), words(), &Silent).unwrap();
    let shown = preview(&dataset, 0, 1, &|_| Vec::new());
    let row = &shown.rows[0];
    assert_eq!(row.fields[0].1, "你".repeat(4000) + "…");
    assert_eq!(row.fields[1].1, "{\"a\":[1,null]}");
    assert!(row.error.is_some() && !shown.conversations && shown.failure.is_none());
}
