//! Which format a file is in: on rows of our own, and on real files where they are at hand.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use data::Silent;
use data::formats::choose;
use data::sources::open;
use protocol::{Result, Text};

use crate::common::{shared, skipped};
use crate::support::Folder;

fn detect(path: &Path) -> Result<(&'static str, Text)> {
    let source = open(path, &Silent)?;
    let choice = choose("auto", &BTreeMap::new(), source.as_ref())?;
    Ok((choice.format.id, choice.reason))
}

fn detect_rows(name: &str, rows: &str) -> Result<(&'static str, Text)> {
    let (_folder, path) = Folder::with(name, rows);
    detect(&path)
}

#[test]
fn rows_tell_their_format() {
    for (rows, format) in [
        ("{\"instruction\":\"a\",\"input\":\"\",\"output\":\"b\",\"text\":\"c\"}", "alpaca"),
        ("{\"conversations\":[{\"from\":\"human\",\"value\":\"a\"}]}", "sharegpt"),
        ("{\"conversations\":[{\"role\":\"user\",\"content\":\"a\"}]}", "messages"),
        (
            "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"prompt\":\"x\",\"response\":\"y\"}",
            "messages",
        ),
        ("{\"prompt\":\"a\",\"completion\":\"b\"}", "completion"),
        ("{\"prompt\":\"a\",\"response\":\"b\"}", "columns"),
        ("{\"prompt\":\"a\\n### Response:\\n\",\"response\":\"b\"}", "completion"),
        ("{\"content\":\"a\",\"summary\":\"b\"}", "columns"),
        ("{\"text\":\"a\"}", "text"),
        ("{\"content\":\"a\"}", "text"),
        ("{\"prompt\":\"a\",\"chosen\":\"b\",\"rejected\":\"c\"}", "preference"),
        ("{\"conversations\":[],\"chosen\":{},\"rejected\":{}}", "preference"),
        ("{\"prompt\":\"a\",\"completion\":\"b\",\"label\":true}", "feedback"),
        ("{\"input\":\"a\",\"options\":{},\"<ans>\":\"b\"}", "cpm-bee"),
        ("{\"input_ids\":[1],\"labels\":[1]}", "tokens"),
    ] {
        let (found, reason) = detect_rows("a.jsonl", rows).unwrap();
        assert_eq!(found, format, "{rows}");
        assert!(reason.en.starts_with("1 of 1 sampled rows have"), "{reason}");
        assert!(reason.zh.starts_with("抽样 1 行中有 1 行"), "{}", reason.zh);
    }
    assert_eq!(detect_rows("a.txt", "one\ntwo\n").unwrap().0, "text");
    assert_eq!(detect_rows("a.csv", "question,answer\n1,2\n").unwrap().0, "columns");
    assert!(detect_rows("a.jsonl", "").unwrap().1.en.contains("no rows"));
}

#[test]
fn the_reason_counts_rows_and_broken_ones_do_not_matter() {
    let rows = format!("{{broken\n{}", "{\"text\":\"a\"}\n".repeat(9));
    let (format, reason) = detect_rows("a.jsonl", &rows).unwrap();
    assert_eq!(format, "text");
    assert_eq!(reason.en, "9 of 9 sampled rows have a `text` or `content` field");
    assert!(detect_rows("a.jsonl", "{broken\n").unwrap_err().to_string().contains("Not valid JSON"));
}

#[test]
fn what_fits_nothing_is_refused_with_its_keys_and_what_would_be_read() {
    let err = detect_rows("a.jsonl", "{\"foo\":1,\"bar\":2}\n").unwrap_err();
    let said = err.to_string();
    for part in
        ["`foo`, `bar`", "alpaca: instruction, input and output", "tokens:", "data.columns", "a.jsonl"]
    {
        assert!(said.contains(part), "{said}");
    }
}

#[test]
fn a_column_map_chooses_the_format_that_reads_it() {
    let (_folder, path) = Folder::with("a.jsonl", "{\"body\":\"x\"}\n");
    let source = open(&path, &Silent).unwrap();
    let choose = |key: &str| {
        let map = BTreeMap::from([(key.to_owned(), "body".to_owned())]);
        choose("auto", &map, source.as_ref()).unwrap().format.id
    };
    assert_eq!(choose("prompt"), "columns");
    assert_eq!(choose("text"), "text");
    assert_eq!(choose("messages"), "messages");
}

#[test]
fn an_unknown_format_names_the_nearest() {
    let (_folder, path) = Folder::with("a.jsonl", "{}\n");
    let source = open(&path, &Silent).unwrap();
    let err = choose("alpacca", &BTreeMap::new(), source.as_ref()).err().unwrap();
    assert!(err.to_string().contains("did you mean `alpaca`?"), "{err}");
}

/// Rows and format of a file, or what it is refused as.
type Told = Result<(usize, &'static str), &'static str>;

/// What every real file is.
const REAL: &[(&str, Told)] = &[
    ("data/llama-factory/alpaca_en_demo.json", Ok((999, "alpaca"))),
    ("data/llama-factory/alpaca_zh_demo.json", Ok((1000, "alpaca"))),
    ("data/llama-factory/identity.json", Ok((91, "alpaca"))),
    ("data/llama-factory/glaive_toolcall_en_demo.json", Ok((300, "sharegpt"))),
    ("data/llama-factory/v1_sft_demo.jsonl", Ok((500, "messages"))),
    ("data/llama-factory/reason_tool_use_demo_50.jsonl", Ok((50, "messages"))),
    ("data/llama-factory/dpo_en_demo.json", Ok((300, "preference"))),
    ("data/llama-factory/v1_dpo_demo.jsonl", Ok((10, "preference"))),
    ("data/llama-factory/kto_en_demo.json", Ok((300, "feedback"))),
    ("data/llama-factory/wiki_demo.txt", Ok((30, "text"))),
    ("data/llama-factory/dataset_info.json", Err("a registry of datasets")),
    ("data/tiny_shakespeare.txt", Ok((7222, "text"))),
    ("data/dolly_hhrlhf_train_small.jsonl", Ok((1000, "completion"))),
    ("data/belle/eval_set.json", Ok((1000, "columns"))),
    ("data/ccpm_example/raw_data/train.jsonl", Ok((21778, "columns"))),
    ("data/xfg-paper/testB.csv", Err("`uuid`, `title`, `author`, `abstract`")),
    ("data/train_logs/llama3_2_1b_squad_h100.jsonl", Err("the log of a training run")),
    ("data/train_logs/qwen3_moe_30b_te_deepep_h100.jsonl", Err("the log of a training run")),
    ("eval/advertisegen/train.json", Ok((30, "columns"))),
    ("eval/advertisegen/dev.json", Ok((20, "columns"))),
    ("eval/advertisegen/data_sample.jsonl", Ok((100, "columns"))),
    ("eval/gsm8k/test.jsonl", Ok((1319, "columns"))),
    ("eval/text_to_sql/train.jsonl", Ok((1000, "text"))),
    ("eval/text_to_sql/valid.jsonl", Ok((100, "text"))),
    ("eval/text_to_sql/test.jsonl", Ok((100, "text"))),
    ("eval/TruthfulQA.csv", Ok((817, "columns"))),
    ("eval/blimp/causative.jsonl", Err("BLiMP")),
    ("eval/mt-bench/question.jsonl", Err("MT-Bench")),
    ("eval/mmlu/mapping.json", Err("subjects")),
    ("eval/mmlu/dev/astronomy_dev.csv", Err("multiple-choice")),
    ("eval/mmlu/test/world_religions_test.csv", Err("multiple-choice")),
    ("eval/noncommercial/ceval/val/logic_val.csv", Err("multiple-choice")),
    ("eval/noncommercial/cmmlu/dev/computer_science.csv", Err("multiple-choice")),
];

/// Every file of `folder` and below it.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

#[test]
fn every_real_file_is_told_for_what_it_is() {
    let Some(real) = shared("realdata") else { return skipped(REAL.len(), "real files") };
    for file in files_below(&real.join("data")) {
        let listed = |(name, _): &(&str, _)| file == real.join(name);
        assert!(REAL.iter().any(listed), "{} is not listed", file.display());
    }
    for (file, expected) in REAL {
        let path = real.join(file);
        match expected {
            Ok((rows, format)) => {
                let source = open(&path, &Silent).unwrap_or_else(|err| panic!("{err}"));
                assert_eq!(source.len(), *rows, "{file}");
                let found = choose("auto", &BTreeMap::new(), source.as_ref());
                let choice = found.unwrap_or_else(|err| panic!("{err}"));
                assert_eq!(choice.format.id, *format, "{file}: {}", choice.reason);
                assert!(!choice.reason.zh.is_empty());
                let context = data::formats::FormatContext::new(&BTreeMap::new(), choice.format).unwrap();
                for index in 0..source.len() {
                    let row = source.get(index).unwrap_or_else(|err| panic!("{err}"));
                    (choice.format.read)(&row, &context).unwrap_or_else(|err| panic!("{err}"));
                }
            }
            Err(looks_like) => {
                let err = detect(&path).err().unwrap_or_else(|| panic!("{file} was accepted"));
                assert!(err.what.en.contains(looks_like), "{file}: {err}");
            }
        }
    }
}
