//! Rows in other formats, there and back.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use data::formats::{Format, FormatContext, written};
use data::sources::{Row, RowValue};
use data::{Conversion, Dataset, Message, Record, Role, Silent, Unencoded};
use protocol::config::{DataConfig, Validation};
use serde_json::{Map, Value, json};

use crate::common::{shared, skipped};
use crate::support::Folder;

fn config(files: &[&str]) -> DataConfig {
    crate::support::config(files)
}

fn open(folder: &Path, config: &DataConfig) -> Dataset {
    Dataset::open(config, folder, Arc::new(Unencoded), &Silent).unwrap()
}

fn records(folder: &Path, file: &str, format: &str) -> Vec<Record> {
    let config = DataConfig { format: format.into(), ..config(&[file]) };
    let dataset = open(folder, &config);
    (0..dataset.len()).map(|row| dataset.record(row).unwrap()).collect()
}

/// Converts a file beside it; gives the report.
fn convert(folder: &Path, (from, format): (&str, &str), to: &str, out: &str) -> protocol::ConvertReport {
    let config = DataConfig { format: format.into(), ..config(&[from]) };
    let dataset = open(folder, &config);
    let mut bytes = Vec::new();
    let mut put = |line: &[u8]| {
        bytes.extend_from_slice(line);
        Ok(())
    };
    let report = Conversion::new(&dataset, to).unwrap().run(&mut put, &Silent).unwrap();
    assert_eq!(report.bytes, bytes.len() as u64);
    std::fs::write(folder.join(out), bytes).unwrap();
    report
}

fn says(role: Role, content: &str) -> Message {
    Message { role, content: content.to_owned(), extra: Map::new() }
}

fn chat(messages: &[(Role, &str)]) -> Record {
    let messages = messages.iter().map(|(role, content)| says(*role, content)).collect();
    Record::Conversation { messages, tools: None }
}

use Role::{Assistant, System, Tool, User};

/// What a format writes of a record is what it reads of it.
fn comes_back(id: &str, record: &Record) -> Option<Record> {
    let format = Format::find(id).unwrap();
    let written = format.write.unwrap()(record).ok()?;
    let value = RowValue::Object(written.fields);
    let row = Row { value, file: Path::new("a.jsonl").into(), row: 1, offset: 0 };
    Some((format.read)(&row, &FormatContext::new(&BTreeMap::new(), format).unwrap()).unwrap())
}

#[test]
fn every_record_comes_back_from_every_format_that_has_a_place_for_it() {
    let several = chat(&[(System, "S"), (User, "a\nb"), (Assistant, "c"), (User, "d"), (Assistant, "")]);
    let one = chat(&[(User, "<问题> \"q\""), (Assistant, "a<b")]);
    let mut called = says(Assistant, "");
    called.extra.insert(
        "tool_calls".into(),
        json!([{"type": "function", "function": {"name": "f", "arguments": {"x": 1}}}]),
    );
    let mut numbered = called.clone();
    numbered.extra["tool_calls"][0]["id"] = "c1".into();
    let tools = Some(json!([{"type": "function", "function": {"name": "f"}}]));
    let with_tools = |call: Message| Record::Conversation {
        messages: vec![says(User, "q"), call, says(Tool, "4"), says(Assistant, "It is 4")],
        tools: tools.clone(),
    };
    let named = Record::Conversation {
        messages: vec![
            Message { extra: [("name".into(), "Ann".into())].into_iter().collect(), ..says(User, "q") },
            says(Assistant, "a"),
        ],
        tools: None,
    };
    let completion = Record::Completion { prompt: "1+1=".into(), completion: "2".into() };
    let text = Record::Text("Once".into());
    let tokens = Record::Tokens { input_ids: vec![1, 2], labels: vec![-100, 2] };
    let Value::Object(dict) =
        json!({"input": "a<sep>b", "options": {"<option_0>": "c"}, "<ans>": {"k": "<option_0>"}})
    else {
        panic!()
    };
    let dict = Record::Dict(dict);
    for (record, formats) in [
        (&several, &["alpaca", "sharegpt", "messages", "columns"][..]),
        (&one, &["alpaca", "sharegpt", "messages", "columns"]),
        (&with_tools(called), &["sharegpt", "messages"]),
        (&with_tools(numbered), &["sharegpt", "messages"]),
        (&named, &["sharegpt", "messages"]),
        (&completion, &["completion"]),
        (&text, &["text"]),
        (&tokens, &["tokens"]),
        (&dict, &["cpm-bee"]),
    ] {
        for format in formats {
            assert_eq!(comes_back(format, record).as_ref(), Some(record), "{format}");
        }
    }
    assert_eq!(
        written(),
        ["alpaca", "sharegpt", "messages", "columns", "completion", "text", "tokens", "cpm-bee"]
    );
}

/// Nothing is dropped in silence: what has no place refuses the row, or is said.
#[test]
fn what_has_no_place_is_said() {
    let write = |id: &str, record: &Record| Format::find(id).unwrap().write.unwrap()(record);
    let refused = |id: &str, record: &Record, part: &str| {
        let why = write(id, record).unwrap_err();
        assert!(why.en.contains(part), "{id}: {why}");
        assert!(!why.zh.is_empty());
    };
    let several = chat(&[(User, "a"), (Assistant, "b"), (User, "c"), (Assistant, "d")]);
    refused("completion", &several, "chat template");
    refused("text", &several, "plain text");
    refused("tokens", &several, "only tokens");
    refused("alpaca", &chat(&[(User, "a")]), "no answer");
    refused("alpaca", &chat(&[(Assistant, "a"), (User, "b")]), "message 1 is out of turn");
    refused("cpm-bee", &chat(&[(User, "a")]), "no answer");
    refused("messages", &Record::Text("a".into()), "no question");
    refused("alpaca", &Record::Tokens { input_ids: vec![1], labels: vec![1] }, "no words");
    let mut both = says(Assistant, "Let me see");
    both.extra.insert("tool_calls".into(), json!([{"function": {"name": "f"}}]));
    let calls = Record::Conversation { messages: vec![says(User, "q"), both], tools: None };
    refused("sharegpt", &calls, "both speaks and calls");
    refused("alpaca", &calls, "message 2 is out of turn");
    refused("cpm-bee", &calls, "tools");
    let mut weighed = says(User, "q");
    weighed.extra.insert("loss_weight".into(), 0.0.into());
    let weighed = Record::Conversation { messages: vec![weighed, says(Assistant, "a")], tools: None };
    assert!(write("alpaca", &weighed).unwrap().notes[0].en.contains("`loss_weight`"));
    let completion = Record::Completion { prompt: "p".into(), completion: "c".into() };
    assert!(write("alpaca", &completion).unwrap().notes[0].en.contains("chat template"));
    assert_eq!(write("text", &completion).unwrap().fields["text"], "pc");
    let bee = write("cpm-bee", &several).unwrap().fields;
    assert_eq!(Value::Object(bee), json!({"input": "a<sep>b<sep>c", "<ans>": "d"}));
}

const ROWS: &str = r#"{"instruction":"Add","input":"1 2","output":"3","history":[["Hi","Hello"]],"system":"Be brief"}
{"instruction":"再见","input":"","output":"再见！"}
{"instruction":"cut","input":""}
"#;

#[test]
fn a_file_goes_round_and_rows_that_cannot_are_counted_and_named() {
    let folder = Folder::with("a.jsonl", ROWS).0;
    let path = folder.path();
    let report = convert(path, ("a.jsonl", "auto"), "sharegpt", "b.jsonl");
    assert_eq!((report.rows, report.left_out, report.left_out_rows), (2, 1, vec![3]));
    assert!(report.notes[0].en.starts_with("Left out: The row has no `output`"), "{:?}", report.notes);
    for (from, to, out) in [
        ("b.jsonl", "messages", "c.jsonl"),
        ("c.jsonl", "columns", "d.jsonl"),
        ("d.jsonl", "alpaca", "e.jsonl"),
    ] {
        let report = convert(path, (from, "auto"), to, out);
        assert_eq!((report.rows, report.left_out, report.notes.len()), (2, 0, 0));
        assert_eq!(open(path, &config(&[out])).sources()[0].format, to);
    }
    let config = DataConfig { skip_bad_rows: true, ..config(&["a.jsonl"]) };
    let first: Vec<_> = (0..2).map(|row| open(path, &config).record(row).unwrap()).collect();
    assert_eq!(records(path, "e.jsonl", "alpaca"), first);
    let line = std::fs::read_to_string(folder.path().join("e.jsonl")).unwrap();
    let first = line.lines().next().unwrap();
    assert_eq!(
        first,
        r#"{"instruction":"Add\n1 2","input":"","output":"3","history":[["Hi","Hello"]],"system":"Be brief"}"#
    );
}

#[test]
fn rows_are_shown_before_and_after() {
    let folder = Folder::with("a.jsonl", ROWS).0;
    let dataset = open(folder.path(), &config(&["a.jsonl"]));
    let rows = Conversion::new(&dataset, "messages").unwrap().rows(1, 9);
    assert_eq!(rows.iter().map(|row| row.row).collect::<Vec<_>>(), [2, 3]);
    assert!(rows[0].before.contains("\"instruction\": \"再见\""));
    assert!(rows[0].after.contains("\"role\": \"assistant\"") && rows[0].error.is_none());
    assert!(rows[1].after.is_empty() && rows[1].error.as_ref().unwrap().en.contains("no `output`"));
    let err = Conversion::new(&dataset, "preference").err().unwrap();
    assert!(err.to_string().contains("alpaca, sharegpt"), "{err}");
}

/// Real files keep every conversation.
#[test]
fn real_files_go_round() {
    let Some(real) = shared("realdata/data") else { return skipped(4, "real files") };
    let folder = Folder::new();
    let path = folder.path();
    for (file, format, way) in [
        ("llama-factory/alpaca_zh_demo.json", "alpaca", &["sharegpt", "messages", "columns"][..]),
        ("llama-factory/glaive_toolcall_en_demo.json", "sharegpt", &["messages"]),
        ("llama-factory/reason_tool_use_demo_50.jsonl", "messages", &["messages"]),
        ("llama-factory/v1_sft_demo.jsonl", "messages", &["sharegpt"]),
        ("dolly_hhrlhf_train_small.jsonl", "completion", &["completion"]),
    ] {
        let source = real.join(file);
        let mut from = (source.to_str().unwrap().to_owned(), "auto");
        let before = records(path, &from.0, format);
        for (turn, to) in way.iter().chain([&format]).enumerate() {
            let out = format!("{turn}.jsonl");
            let report = convert(path, (&from.0, from.1), to, &out);
            assert_eq!(
                (report.rows, report.left_out),
                (before.len() as u64, 0),
                "{file} to {to}: {:?}",
                report.notes
            );
            from = (path.join(out).to_str().unwrap().to_owned(), to);
        }
        let after = records(path, &from.0, format);
        for (row, (before, after)) in before.iter().zip(&after).enumerate() {
            assert_eq!(before, after, "{file} row {}", row + 1);
        }
    }
}

/// The rows of the tutorial's choice task, as its script makes them.
#[test]
fn real_choices_become_dicts() {
    let Some(file) = shared("realdata/data/ccpm_example/raw_data/train.jsonl") else {
        return skipped(1, "real file");
    };
    let preset = data::presets::column_maps().into_iter().find(|preset| preset.id == "choice").unwrap();
    let map = protocol::config::parse_run_file(&preset.source, Path::new("choice.toml")).unwrap().data;
    let validation = Validation::Fraction(0.0);
    let dataset = open(Path::new(""), &DataConfig { train: vec![file.clone()], validation, ..map });
    let lines = std::fs::read_to_string(&file).unwrap();
    for (row, line) in lines.lines().enumerate() {
        let raw: Value = serde_json::from_str(line).unwrap();
        let text = raw["input"].as_str().unwrap().replace("[翻译]", "").replace("[答案]", "");
        let parts: Vec<&str> = text.split(['[', ']']).collect();
        let wanted = json!({
            "input": parts[0],
            "options": {"<option_0>": parts[2], "<option_1>": parts[4], "<option_2>": parts[6], "<option_3>": parts[8]},
            "question": "这段话形容了哪句诗的意境？",
            "<ans>": format!("<option_{}>", raw["target"].as_str().unwrap()),
        });
        let Record::Dict(data) = dataset.record(row).unwrap() else { panic!() };
        assert_eq!(serde_json::to_string(&data).unwrap(), wanted.to_string(), "row {}", row + 1);
    }
    assert_eq!(dataset.len(), 21778);
}
