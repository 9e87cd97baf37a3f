//! Several files as one dataset, previewed row by row.

use std::path::PathBuf;

use data::{Batch, Encode as _, IGNORE, ModelTokens, Silent, Survey, preview};
use protocol::config::{DataConfig, OnTooLong, Validation};
use protocol::{FindingKind, UserError};

use crate::support::{Folder, Words, alpaca_lines, config, open};

fn fails(config: &DataConfig, folder: &Folder) -> UserError {
    open(config, folder).err().unwrap()
}

#[test]
fn files_follow_one_another_and_rows_keep_their_numbers() {
    let folder = Folder::new();
    folder.write("a.jsonl", alpaca_lines(3));
    folder.write("empty.jsonl", "");
    folder.write(
        "b.json",
        "[{\"conversations\":[{\"from\":\"human\",\"value\":\"x\"},{\"from\":\"gpt\",\"value\":\"y z\"}]}]",
    );
    let dataset = open(&config(&["a.jsonl", "empty.jsonl", "b.json"]), &folder).unwrap();
    assert_eq!(dataset.len(), 4);
    let places: Vec<_> = (0..4)
        .map(|index| {
            dataset.place(index).map(|(file, row)| (file.file_name().unwrap().to_owned(), row)).unwrap()
        })
        .collect();
    let expected = [("a.jsonl", 1), ("a.jsonl", 2), ("a.jsonl", 3), ("b.json", 1)];
    assert_eq!(places, expected.map(|(file, row)| (file.into(), row)));
    let formats: Vec<_> = dataset.sources().into_iter().map(|source| (source.format, source.rows)).collect();
    assert_eq!(formats[0], ("alpaca".into(), 3));
    assert_eq!(formats[2], ("sharegpt".into(), 1));
    let example = dataset.example(3).unwrap();
    // <User> x <Assistant> y z end
    assert_eq!(example.rendered, "<User> x <Assistant> y z ");
    assert_eq!(example.learned(), 3);
    assert!(dataset.record(4).is_err());
    assert!(dataset.record(usize::MAX).is_err());
    assert_eq!(
        dataset.hashes(&data::Silent).unwrap()[1],
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    );
}

#[test]
fn errors_name_file_and_row() {
    let folder = Folder::new();
    folder.write("a.jsonl", alpaca_lines(2));
    folder.write("b.jsonl", format!("{}{{\"instruction\":\"x\"}}\n", alpaca_lines(2)));
    let dataset = open(&config(&["a.jsonl", "b.jsonl"]), &folder).unwrap();
    let err = dataset.example(4).unwrap_err();
    assert_eq!(err.place.row, Some(3));
    assert!(err.place.file.unwrap().ends_with("b.jsonl"));
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let (folder, _) = Folder::with("a.jsonl", alpaca_lines(2));
    let item = |config: DataConfig| fails(&config, &folder).place.item.unwrap();
    let good = config(&["a.jsonl"]);
    assert_eq!(item(DataConfig { max_length: 0, ..good.clone() }), "data.max_length");
    assert_eq!(item(DataConfig { train: Vec::new(), ..good.clone() }), "data.train");
    for fraction in [1.0, -0.1, f64::NAN] {
        let validation = Validation::Fraction(fraction);
        assert_eq!(item(DataConfig { validation, ..good.clone() }), "data.validation");
    }
    assert_eq!(item(DataConfig { format: "alpaka".into(), ..good.clone() }), "data.format");
    let missing = DataConfig { validation: Validation::Files(vec![PathBuf::from("none.jsonl")]), ..good };
    assert!(fails(&missing, &folder).place.file.unwrap().ends_with("none.jsonl"));
}

#[test]
fn a_row_too_long_is_an_error_where_the_run_file_says_so() {
    let (folder, _) = Folder::with("a.jsonl", alpaca_lines(1));
    let mut config = DataConfig { max_length: 6, ..config(&["a.jsonl"]) };
    assert_eq!(open(&config, &folder).unwrap().example(0).unwrap().truncated_from, Some(7));
    config.on_too_long = OnTooLong::Error;
    let err = open(&config, &folder).unwrap().example(0).unwrap_err();
    assert!(err.to_string().contains("The row has 7 tokens, more than max_length = 6"), "{err}");
}

#[test]
fn a_preview_shows_tokens_masks_and_errors() {
    let (folder, _) = Folder::with("a.jsonl", format!("{}{{broken\n", alpaca_lines(1)));
    let dataset = open(&DataConfig { max_length: 6, ..config(&["a.jsonl"]) }, &folder).unwrap();
    let rows = preview(&dataset, 0, u64::MAX, &|ids| ids.iter().map(u32::to_string).collect());
    assert_eq!(rows.columns, ["instruction", "input", "output"]);
    let rows = rows.rows;
    assert_eq!(rows.len(), 2);
    let row = &rows[0];
    let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let fields = [field("instruction", "say 0"), field("input", ""), field("output", "number 0")];
    assert_eq!(row.fields, fields);
    // <User> say 0 <Assistant> number 0, and the end token is cut.
    assert_eq!(row.loss_mask, [false, false, false, false, true, true]);
    assert_eq!(row.truncated_from, Some(7));
    assert_eq!((row.tokens.len(), row.roles.len(), row.offsets.len()), (6, 6, 6));
    assert_eq!(&row.rendered[row.offsets[1].0 as usize..row.offsets[1].1 as usize], "say");
    assert_eq!((rows[1].row, rows[1].ids.len()), (2, 0));
    assert!(rows[1].error.as_ref().unwrap().en.contains("Not valid JSON"));
    assert!(preview(&dataset, 5, 3, &|_| Vec::new()).rows.is_empty());
}

#[test]
fn examples_become_a_batch() {
    let (folder, _) = Folder::with("a.jsonl", "{\"text\":\"a b c\"}\n{\"text\":\"d\"}\n");
    let dataset = open(&config(&["a.jsonl"]), &folder).unwrap();
    let examples = [dataset.example(0).unwrap(), dataset.example(1).unwrap()];
    let batch = Batch::collate(&examples, 0).unwrap();
    assert_eq!((batch.rows, batch.len, batch.tokens, batch.learned), (2, 4, 6, 4));
    assert_eq!(batch.labels[6..], [IGNORE, IGNORE]);
}

#[test]
fn a_dataset_is_shared_between_threads() {
    fn shared<T: Send + Sync>(_: &T) {}
    let (folder, _) = Folder::with("a.jsonl", alpaca_lines(1));
    shared(&open(&config(&["a.jsonl"]), &folder).unwrap());
}

/// Continued pre-training: texts in blocks, as run_clm's `group_texts` makes them.
#[test]
fn joined_texts_are_blocks_of_the_maximal_length() {
    let lines = |numbers: std::ops::Range<usize>| -> String {
        numbers.map(|n| format!("{}\n", "w x y z v ".repeat(1 + n % 3) + &n.to_string())).collect()
    };
    let (folder, _) = Folder::with("a.txt", lines(0..23));
    folder.write("held.txt", lines(23..28));
    let mut settings = config(&["a.txt"]);
    settings.validation = Validation::Files(vec!["held.txt".into()]);
    (settings.join_texts, settings.max_length) = (true, 16);
    let mut dataset = open(&settings, &folder).unwrap();
    let all: Vec<(Vec<u32>, Vec<i32>)> = (0..dataset.len())
        .map(|row| {
            let example = Words::default().encode(&dataset.record(row).unwrap()).unwrap();
            (example.ids, example.labels)
        })
        .collect();
    let survey = Survey::new(&dataset, &ModelTokens::default(), 0, &Silent).unwrap();
    assert!(survey.verdict.findings.iter().all(|finding| finding.kind == FindingKind::Joined));
    dataset.number_pieces(survey.pieces.unwrap());
    let mut learned = 0;
    for (rows, examples) in [(&all[..23], &survey.split.train), (&all[23..], &survey.split.validation)] {
        let ids: Vec<u32> = rows.iter().flat_map(|(ids, _)| ids.clone()).collect();
        let labels: Vec<i32> = rows.iter().flat_map(|(_, labels)| labels.clone()).collect();
        assert_eq!(examples.len(), ids.len().div_ceil(16));
        for (at, example) in examples.iter().enumerate() {
            let block = dataset.example(*example as usize).unwrap();
            let part = at * 16..ids.len().min(at * 16 + 16);
            assert_eq!((&block.ids[..], &block.labels[..]), (&ids[part.clone()], &labels[part]));
            assert_eq!(block.offsets.len(), block.ids.len());
            assert!(block.offsets.iter().all(|(start, end)| block.rendered.get(*start..*end).is_some()));
            learned += block.learned() as u64;
        }
    }
    assert_eq!(survey.verdict.learned_tokens, learned);
    assert_eq!(survey.verdict.tokens, all.iter().map(|(ids, _)| ids.len() as u64).sum::<u64>());
    folder.write("b.jsonl", alpaca_lines(3));
    settings.train = vec!["b.jsonl".into()];
    let err = open(&settings, &folder).err().unwrap();
    assert!(err.to_string().contains("Only plain texts can be joined"), "{err}");
}
