//! tiktoken's rank files, under their three names.

use super::sentencepiece::own;
use super::tokenizer_json;
use crate::harness::{Input, Target};

pub fn target() -> Target {
    Target::new(seeds, tokenizer_json::start)
}

fn seeds() -> Vec<Input> {
    let ranks = Input::copied(&own("ranks"), &["tokenizer.model"]);
    let text = String::from_utf8(ranks.files[0].1.clone()).unwrap();
    // Every byte and a few merges: changes hit what matters more often.
    let few = text.lines().take(280).collect::<Vec<_>>().join("\n");
    let config = |class: &str| format!(r#"{{"tokenizer_class":"{class}","eos_token":"<|endoftext|>"}}"#);
    vec![
        ranks,
        Input::of("tokenizer.model", few.clone()).and("tokenizer_config.json", config("ChatGLM4Tokenizer")),
        Input::of("qwen.tiktoken", few.clone()).and("tokenizer_config.json", config("QWenTokenizer")),
        Input::of("tokenizer.model", few)
            .and("config.json", r#"{"model_type":"llama","eos_token_id":[1,2]}"#),
    ]
}
