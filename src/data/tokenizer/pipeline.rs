//! The tokenizers crate as an engine.

use std::collections::BTreeSet;

use super::Encoding;
use super::engine::{Described, Engine, Refusal, guarded};
use super::words::Words;

/// A pipeline of the tokenizers crate and the short way past it, where there is one.
#[derive(Debug)]
pub(super) struct Pipeline {
    inner: tokenizers::Tokenizer,
    words: Option<Words>,
    /// The largest id of the model, where it is known.
    largest: Option<u32>,
}

impl Pipeline {
    /// `largest` is the largest id of the model's vocabulary where that is known; else all tokens are asked.
    pub fn knowing(inner: tokenizers::Tokenizer, largest: Option<u32>) -> Self {
        let words = guarded(|| Ok(Words::new(&inner))).ok().flatten();
        Self { inner, words, largest }
    }
}

impl Engine for Pipeline {
    fn encode(&self, text: &str, add_special: bool) -> Result<Encoding, Refusal> {
        guarded(|| {
            let short = self.words.as_ref().and_then(|words| words.encode(&self.inner, text, add_special));
            short.unwrap_or_else(|| {
                self.inner.encode(text, add_special).map(|encoded| Encoding::from(&encoded))
            })
        })
    }

    fn decode(&self, ids: &[u32], skip_special: bool) -> Result<String, Refusal> {
        guarded(|| self.inner.decode(ids, skip_special))
    }

    fn token(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }

    fn id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    fn vocab_size(&self) -> usize {
        self.inner.get_vocab_size(true)
    }

    fn largest_id(&self) -> Option<u32> {
        let added = self.inner.get_added_tokens_decoder();
        let largest = match self.largest {
            Some(largest) => added.into_keys().fold(largest, u32::max),
            None => self.inner.get_vocab(true).into_values().max()?,
        };
        // A post-processor names ids of its own, whether or not the vocabulary has them.
        let around = self.encode("", true).map(|encoding| encoding.ids).unwrap_or_default();
        Some(around.into_iter().fold(largest, u32::max))
    }

    fn described(&self) -> Option<Described> {
        self.inner.to_string(false).ok().map(Described::Json)
    }

    fn markers(&self) -> BTreeSet<u32> {
        self.inner.get_added_tokens_decoder().into_keys().collect()
    }
}
