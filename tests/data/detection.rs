//! Which format a file is in: on rows of our own, and on real files where they are at hand.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use data::Silent;
use data::formats::choose;
use data::sources::open;
use protocol::{Result, Text};

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

/// Real files, beside the checkout where they are at hand.
fn real() -> Option<PathBuf> {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folders = ["../shared/realdata", "../../shared/realdata"].map(|folder| checkout.join(folder));
    folders.into_iter().find(|folder| folder.is_dir())
}

#[test]
fn real_files_are_recognised() {
    let Some(real) = real() else { return };
    for (file, rows, format) in [
        ("data/llama-factory/alpaca_en_demo.json", 999, "alpaca"),
        ("data/llama-factory/alpaca_zh_demo.json", 1000, "alpaca"),
        ("data/llama-factory/identity.json", 91, "alpaca"),
        ("data/llama-factory/glaive_toolcall_en_demo.json", 300, "sharegpt"),
        ("data/llama-factory/v1_sft_demo.jsonl", 500, "messages"),
        ("data/llama-factory/reason_tool_use_demo_50.jsonl", 50, "messages"),
        ("data/llama-factory/wiki_demo.txt", 30, "text"),
        ("data/tiny_shakespeare.txt", 7222, "text"),
        ("data/dolly_hhrlhf_train_small.jsonl", 1000, "completion"),
        ("data/belle/eval_set.json", 1000, "columns"),
        ("data/ccpm_example/raw_data/train.jsonl", 21778, "columns"),
        ("eval/advertisegen/train.json", 30, "columns"),
        ("eval/advertisegen/data_sample.jsonl", 100, "columns"),
        ("eval/gsm8k/test.jsonl", 1319, "columns"),
        ("eval/text_to_sql/train.jsonl", 1000, "text"),
        ("eval/TruthfulQA.csv", 817, "columns"),
    ] {
        let path = real.join(file);
        let source = open(&path, &Silent).unwrap_or_else(|err| panic!("{err}"));
        assert_eq!(source.len(), rows, "{file}");
        let choice = choose("auto", &BTreeMap::new(), source.as_ref()).unwrap_or_else(|err| panic!("{err}"));
        assert_eq!(choice.format.id, format, "{file}: {}", choice.reason);
        let context = data::formats::FormatContext::new(&BTreeMap::new(), choice.format).unwrap();
        for index in 0..source.len() {
            let row = source.get(index).unwrap_or_else(|err| panic!("{err}"));
            (choice.format.read)(&row, &context).unwrap_or_else(|err| panic!("{err}"));
        }
    }
}

#[test]
fn real_files_of_other_kinds_are_refused_by_name() {
    let Some(real) = real() else { return };
    for (file, looks_like) in [
        ("data/llama-factory/dpo_en_demo.json", "preference pairs"),
        ("data/llama-factory/v1_dpo_demo.jsonl", "preference pairs"),
        ("data/llama-factory/kto_en_demo.json", "KTO"),
        ("data/llama-factory/dataset_info.json", "a registry of datasets"),
        ("data/train_logs/llama3_2_1b_squad_h100.jsonl", "the log of a training run"),
        ("data/train_logs/qwen3_moe_30b_te_deepep_h100.jsonl", "the log of a training run"),
        ("data/xfg-paper/testB.csv", "`uuid`, `title`, `author`, `abstract`"),
        ("eval/noncommercial/ceval/val/logic_val.csv", "multiple-choice"),
    ] {
        let err = detect(&real.join(file)).err().unwrap_or_else(|| panic!("{file} was accepted"));
        assert!(err.what.en.contains(looks_like), "{file}: {err}");
    }
}
