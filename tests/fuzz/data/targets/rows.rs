//! Data files of every container and format: read, understood, encoded.

use std::path::Path;
use std::sync::Arc;

use data::{Dataset, Encoder, Silent, Tokenizer, preview};
use protocol::config::{DataConfig, OnTooLong, Validation};
use protocol::{Result, UserError};

use crate::common::root;
use crate::harness::{Input, Run, Target};

/// Rows of a file that are looked at.
const MOST: usize = 24;

pub fn target() -> Target {
    Target::new(seeds, start)
}

fn start() -> Run {
    let tokenizer = root().join("tests/fixtures/golden/tokenizer/bytelevel-gpt2");
    let tokenizer = Arc::new(Tokenizer::open(&tokenizer).unwrap());
    let encoder = |policy: OnTooLong| {
        let config = DataConfig {
            template: "chatml".into(),
            max_length: 16,
            on_too_long: policy,
            ..DataConfig::default()
        };
        Arc::new(Encoder::with_tokenizer(Arc::clone(&tokenizer), &config, Path::new("."), None).unwrap())
    };
    let encoders = [OnTooLong::Truncate, OnTooLong::Split].map(|policy| (policy, encoder(policy)));
    Box::new(move |folder| {
        let mut said = String::new();
        for (policy, encoder) in &encoders {
            said = look(folder, *policy, encoder)?;
        }
        Ok(said)
    })
}

fn look(folder: &Path, policy: OnTooLong, encoder: &Arc<Encoder>) -> Result<String> {
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let config = DataConfig {
        train: files,
        validation: Validation::Fraction(0.0),
        max_length: 16,
        on_too_long: policy,
        ..DataConfig::default()
    };
    let dataset = Dataset::open(&config, folder, encoder.clone(), &Silent)?;
    let source = &dataset.sources()[0];
    let mut said = format!("{} {} ", source.container, source.format);
    for index in 0..dataset.len().min(MOST) {
        match dataset.example(index) {
            Ok(example) => {
                assert_eq!(example.ids.len(), example.labels.len());
                assert!(example.ids.len() <= 16);
                said += "y";
            }
            Err(error) => {
                named(&error);
                said += &error.what.en.chars().take(12).collect::<String>();
            }
        }
    }
    let shown = preview(&dataset, 0, MOST as u64, &|ids| ids.iter().map(u32::to_string).collect());
    assert!(shown.rows.len() >= dataset.len().min(MOST));
    Ok(said)
}

/// A row that cannot be used is named with its file.
fn named(error: &UserError) {
    assert_eq!(error.exit_code(), 2, "{error}");
    assert!(error.place.row.is_some() && error.place.file.is_some(), "{error}");
}

fn seeds() -> Vec<Input> {
    let messages = r#"{"messages":[{"role":"system","content":"s"},{"role":"user","content":"hi 你好"},{"role":"assistant","content":"yes, a longer answer than sixteen tokens would ever hold"}],"tools":[{"name":"f"}]}"#;
    let alpaca = r#"{"instruction":"add","input":"1 2","output":"3","system":"s","history":[["a","b"]]}"#;
    let share = r#"{"conversations":[{"from":"human","value":"q"},{"from":"gpt","value":"a"}],"system":"s"}"#;
    let completion = r#"{"prompt":"once","completion":" upon a time"}"#;
    let text = r#"{"text":"a text\nof lines"}"#;
    let tokens = r#"{"input_ids":[1,2,3],"labels":[-100,2,3]}"#;
    let rows = [messages, alpaca, share, completion, text, tokens];
    let lines = rows.map(|row| Input::of("data.jsonl", format!("{row}\n{row}\n\n{row}")));
    let list = rows.map(|row| Input::of("data.json", format!("[{row},\n{row}]")));
    let csv = [
        "prompt,response\n\"a \"\"b\"\"\",\"x\ny\"\nc,d\n",
        "instruction;input;output\r\na;b;c\r\n\"d\";;e\r\n",
        "text\nhello\n\"multi\nline\"\n",
    ];
    let csv = csv.map(|content| Input::of("data.csv", content));
    let plain =
        ["one\n\ntwo\nlines\n\n\nthree", "a single text"].map(|content| Input::of("data.txt", content));
    lines.into_iter().chain(list).chain(csv).chain(plain).collect()
}
