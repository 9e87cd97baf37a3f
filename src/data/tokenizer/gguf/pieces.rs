//! The pieces of a sentencepiece BPE model as a tokenizer.json, as transformers converts Llama's.
//!
//! sentencepiece merges whichever neighbours make the best-scored piece. So every way to split a piece in two pieces is a
//! merge, and merges are tried by the score of what they make.

use std::collections::HashMap;

use protocol::Result;
use serde_json::{Value as Json, json};

use super::{Vocabulary, broken, kind};
use crate::gguf::Value;

/// Pieces longer than this, in bytes, are not taken apart: no text is merged into them.
const LONGEST_PIECE: usize = 256;
/// The space of sentencepiece.
pub const SPACE: &str = "▁";

pub fn json(vocabulary: &Vocabulary<'_>) -> Result<Json> {
    let scores = vocabulary.metadata.get("tokenizer.ggml.scores").and_then(Value::as_numbers);
    let scores = scores.filter(|scores| scores.len() == vocabulary.tokens.len());
    let scores = scores.ok_or_else(|| broken("its pieces have no scores"))?;
    let unknown = vocabulary.used().find(|(_, _, kind)| *kind == kind::UNKNOWN).map(|(_, token, _)| token);
    let unknown = unknown.or_else(|| vocabulary.tokens.get(vocabulary.id("unknown")?));
    let bytes = vocabulary.types.contains(&kind::BYTE);
    let space_in_front = vocabulary.metadata.bool("tokenizer.ggml.add_space_prefix").unwrap_or(true);
    let mut normalizers = vec![json!({"type": "Replace", "pattern": {"String": " "}, "content": SPACE})];
    let mut decoders = vec![
        json!({"type": "Replace", "pattern": {"String": SPACE}, "content": " "}),
        json!({"type": "ByteFallback"}),
        json!({"type": "Fuse"}),
    ];
    if space_in_front {
        normalizers.insert(0, json!({"type": "Prepend", "prepend": SPACE}));
        decoders.push(json!({"type": "Strip", "content": " ", "start": 1, "stop": 0}));
    }
    Ok(json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": vocabulary.added(),
        "normalizer": {"type": "Sequence", "normalizers": normalizers},
        "pre_tokenizer": null,
        "post_processor": vocabulary.post_processor(true),
        "decoder": {"type": "Sequence", "decoders": decoders},
        "model": {
            "type": "BPE", "dropout": null, "unk_token": unknown, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": true, "byte_fallback": bytes, "ignore_merges": false,
            "vocab": vocabulary.vocab(), "merges": merges(vocabulary, &scores),
        },
    }))
}

/// Every split of every piece into two, best first.
fn merges(vocabulary: &Vocabulary<'_>, scores: &[f64]) -> Vec<[String; 2]> {
    let normal: HashMap<&str, usize> = vocabulary
        .used()
        .filter(|(_, _, kind)| *kind == kind::NORMAL)
        .map(|(id, token, _)| (token.as_str(), id))
        .collect();
    let mut found = Vec::new();
    for (id, piece, _) in vocabulary.used().filter(|(_, piece, _)| piece.len() <= LONGEST_PIECE) {
        if normal.get(piece.as_str()) != Some(&id) {
            continue;
        }
        let mut splits: Vec<(usize, usize)> = piece
            .char_indices()
            .skip(1)
            .filter_map(|(at, _)| Some((*normal.get(&piece[..at])?, *normal.get(&piece[at..])?)))
            .collect();
        splits.sort_unstable();
        found.extend(splits.into_iter().map(|(left, right)| (scores[id], left, right)));
    }
    let length = |id: usize| vocabulary.tokens[id].chars().count();
    // Stable, as transformers sorts: the highest score, then the longest left half, then the longest right one.
    found.sort_by(|a, b| {
        b.0.total_cmp(&a.0)
            .then_with(|| length(b.1).cmp(&length(a.1)))
            .then_with(|| length(b.2).cmp(&length(a.2)))
    });
    found
        .into_iter()
        .map(|(_, left, right)| [vocabulary.tokens[left].clone(), vocabulary.tokens[right].clone()])
        .collect()
}
