//! CPM-Bee's vocabulary, the texts it cuts, and the rows it makes of dicts.

use data::{CpmBee, Tokenizer, encode_row};
use serde_json::{Map, Value};

use super::tokenizer_json::use_tokenizer;
use crate::common::{golden, skipped};
use crate::harness::{Input, Run, Target};

const FILE: &str = "vocab.txt";
const ROW: &str = "row.json";
/// The special tokens lie where the published vocabulary has them.
const WORDS: &str = "<pad>\n<unk>\n<mask>\n<sep>\n</n>\n</_>\n<s>\n</s>\n<root>\n<ans>\n<option>\n<\n>\na\nb\nab\n bc\ninput\nhi\nyes\n你好\n";
/// Lines of the published vocabulary that a seed has.
const LINES: usize = 400;

pub fn target() -> Target {
    Target::new(seeds, start)
}

fn start() -> Run {
    Box::new(|folder| {
        let said = use_tokenizer(&Tokenizer::open(folder)?)?;
        let bytes = std::fs::read(folder.join(FILE)).or_else(|_| std::fs::read(folder.join("bee.txt")));
        let bee = CpmBee::parse(&bytes.unwrap_or_default())?;
        let row: Option<Map<String, Value>> =
            std::fs::read(folder.join(ROW)).ok().and_then(|row| serde_json::from_slice(&row).ok());
        let Some(row) = row else { return Ok(said) };
        let example = encode_row(&bee, &row)?;
        assert_eq!(example.ids.len(), example.labels.len());
        let side = example.side.as_ref().unwrap();
        assert_eq!(example.ids.len(), side.segments.len());
        Ok(format!("{said} {} tokens {} segments", example.ids.len().ilog2(), side.tree.len().min(40)))
    })
}

fn seeds() -> Vec<Input> {
    let rows = [
        r#"{"input":"a<mask_0> bc<<é<sep>","<ans>":{"<mask_0>":"hi"}}"#,
        r#"{"input":"ab 你好","prompt":"a","<ans>":"yes"}"#,
        r#"{"document":{"b":"hi","x":{"y":"yes"}},"options":{"<option_0>":"a","<option_1>":"b"},"question":"?","<ans>":"<option_1>"}"#,
    ];
    let mut seeds = rows.map(|row| Input::of(FILE, WORDS).and(ROW, row)).to_vec();
    seeds.push(Input::of("bee.txt", WORDS.replace('\n', "\r\n")).and(ROW, rows[1]));
    match golden("seed/cpmbee-data") {
        Some(folder) => {
            let words = std::fs::read_to_string(folder.join("bee.txt")).unwrap();
            let words = words.split('\n').take(LINES).collect::<Vec<_>>().join("\n");
            let records = std::fs::read_to_string(folder.join("records.jsonl")).unwrap();
            seeds.extend(records.lines().map(|row| Input::of(FILE, words.clone()).and(ROW, row)));
        }
        None => skipped(1, "CPM-Bee data"),
    }
    seeds
}
