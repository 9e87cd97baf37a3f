//! `vocab.json` and `merges.txt`.

use serde_json::Value;

use super::tokenizer_json;
use crate::common::root;
use crate::harness::{Input, Target};

pub fn target() -> Target {
    Target::new(seeds, tokenizer_json::start)
}

fn seeds() -> Vec<Input> {
    let file = root().join("tests/fixtures/golden/tokenizer/bytelevel-gpt2/tokenizer.json");
    let whole: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let merge = |pair: &Value| match pair {
        Value::String(pair) => pair.clone(),
        pair => format!("{} {}", pair[0].as_str().unwrap(), pair[1].as_str().unwrap()),
    };
    let merges: Vec<String> = whole["model"]["merges"].as_array().unwrap().iter().map(merge).collect();
    let golden = Input::of("vocab.json", whole["model"]["vocab"].to_string())
        .and("merges.txt", format!("#version: 0.2\n{}\n", merges.join("\n")));
    let small = Input::of("vocab.json", r#"{"a":0,"b":1,"ab":2,"Ġ":3,"<|endoftext|>":4}"#)
        .and("merges.txt", "#version: 0.2\na b\n");
    let settings = r#"{"tokenizer_class":"GPT2Tokenizer","add_prefix_space":true,"unk_token":"<|endoftext|>",
        "added_tokens_decoder":{"5":{"content":"<x>","special":true}},"errors":"replace"}"#;
    let named = small
        .clone()
        .and("tokenizer_config.json", settings)
        .and("added_tokens.json", r#"{"<y>":6}"#)
        .and("special_tokens_map.json", r#"{"bos_token":"<|endoftext|>"}"#);
    vec![golden, small, named]
}
