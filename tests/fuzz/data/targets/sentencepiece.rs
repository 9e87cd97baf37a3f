//! `tokenizer.model` of SentencePiece, and ChatGLM-6B's `ice_text.model`.

use std::path::PathBuf;

use super::tokenizer_json;
use crate::common::root;
use crate::harness::{Input, Target};

const MODEL: &str = "tokenizer.model";

pub fn target() -> Target {
    Target::new(seeds, tokenizer_json::start)
}

/// Our own small models.
pub fn own(path: &str) -> PathBuf {
    root().join("tests/fixtures/reference/tokenizers/own").join(path)
}

fn seeds() -> Vec<Input> {
    let models = [
        "bpe",
        "bpe-defined",
        "bpe-equal",
        "bpe-rules",
        "bpe-suffix",
        "bpe-tidy",
        "bpe-unused",
        "unigram",
        "unigram-tidy",
        "unigram-unused",
    ];
    let alone = models.map(|name| Input::copied(&own(name), &[MODEL]));
    let configs = [
        r#"{"tokenizer_class":"LlamaTokenizer","add_bos_token":true,"legacy":false,"bos_token":"<s>","eos_token":{"content":"</s>"}}"#,
        r#"{"tokenizer_class":"BaichuanTokenizer","added_tokens_decoder":{"9":{"content":"<x>","special":true,"lstrip":true}}}"#,
        r#"{"tokenizer_class":"ChatGLMTokenizer","add_prefix_space":false}"#,
    ];
    let named =
        configs.map(|config| Input::copied(&own("bpe"), &[MODEL]).and("tokenizer_config.json", config));
    let ice = Input::copied(&own("glm1"), &["ice_text.model", "tokenizer_config.json"]);
    alone.into_iter().chain(named).chain([ice, small()]).collect()
}

/// A model of a few pieces: changes hit what matters more often.
fn small() -> Input {
    let piece = |text: &str, score: f32, kind: u8| {
        let mut message = vec![0x0a, text.len() as u8];
        message.extend(text.as_bytes());
        message.push(0x15);
        message.extend(score.to_le_bytes());
        message.extend([0x18, kind]);
        [&[0x0a, message.len() as u8][..], &message].concat()
    };
    let pieces = [
        piece("<unk>", 0.0, 2),
        piece("<s>", 0.0, 3),
        piece("</s>", 0.0, 3),
        piece("\u{2581}", -1.0, 1),
        piece("a", -2.0, 1),
        piece("\u{2581}a", -1.5, 1),
        piece("user", 0.0, 4),
    ];
    let trainer = [0x12, 2, 0x18, 1];
    let normalizer = [0x1a, 4, 0x18, 1, 0x20, 0];
    Input::of(MODEL, [&pieces.concat()[..], &trainer, &normalizer].concat())
}
