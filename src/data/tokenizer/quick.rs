//! `tokenizer.json` with a BPE vocabulary, read in one go. The tokenizers crate reads a model of unknown kind as a tree of
//! values, and that again as another one, four times over in all: most of a second for 150,000 tokens. Only the model is read
//! here; everything around it, and the building of the model from vocabulary and merges, is the crate's own. What is not as
//! expected is left to the crate, and so is what it says about it.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use tokenizers::models::bpe::{BPE, BpeTrainer, Vocab};
use tokenizers::{
    DecoderWrapper, Model, ModelWrapper, NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper, Token,
    Tokenizer, TokenizerImpl,
};

type Around<M> =
    TokenizerImpl<M, NormalizerWrapper, PreTokenizerWrapper, PostProcessorWrapper, DecoderWrapper>;

/// A tokenizer and the largest id of its vocabulary, added tokens not counted; None where it must be read by the crate.
pub(super) fn read(bytes: &[u8]) -> Option<(Tokenizer, Option<u32>)> {
    let around: Around<Quick> = serde_json::from_slice(bytes).ok()?;
    let largest = around.get_model().largest;
    Some((around.into(), largest))
}

/// A BPE model of which it is known how to read it.
struct Quick {
    model: BPE,
    largest: Option<u32>,
}

impl From<Quick> for ModelWrapper {
    fn from(quick: Quick) -> Self {
        Self::BPE(quick.model)
    }
}

impl Model for Quick {
    type Trainer = BpeTrainer;

    fn tokenize(&self, text: &str) -> tokenizers::Result<Vec<Token>> {
        self.model.tokenize(text)
    }

    fn token_to_id(&self, token: &str) -> Option<u32> {
        self.model.token_to_id(token)
    }

    fn id_to_token(&self, id: u32) -> Option<String> {
        self.model.id_to_token(id)
    }

    fn get_vocab(&self) -> HashMap<String, u32> {
        self.model.get_vocab()
    }

    fn get_vocab_size(&self) -> usize {
        self.model.get_vocab_size()
    }

    fn save(&self, folder: &Path, name: Option<&str>) -> tokenizers::Result<Vec<PathBuf>> {
        self.model.save(folder, name)
    }

    fn get_trainer(&self) -> BpeTrainer {
        self.model.get_trainer()
    }
}

impl<'de> Deserialize<'de> for Quick {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Fields)
    }
}

/// The model's fields, each at most once.
struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Quick;

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("a BPE model")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Quick, A::Error> {
        let mut read = Read::default();
        while let Some(key) = map.next_key::<String>()? {
            read.field(&key, &mut map)?;
        }
        read.build()
    }
}

#[derive(Default)]
struct Read {
    kind: Option<String>,
    // As a number of JSON, before it is made one of 32 bits.
    dropout: Option<Option<f64>>,
    unknown: Option<Option<String>>,
    prefix: Option<Option<String>>,
    suffix: Option<Option<String>>,
    fuse_unknown: Option<Option<bool>>,
    byte_fallback: Option<Option<bool>>,
    ignore_merges: Option<Option<bool>>,
    vocabulary: Option<Vocab>,
    merges: Option<Merges>,
}

impl Read {
    fn field<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        match key {
            "type" => once(&mut self.kind, map),
            "dropout" => once(&mut self.dropout, map),
            "unk_token" => once(&mut self.unknown, map),
            "continuing_subword_prefix" => once(&mut self.prefix, map),
            "end_of_word_suffix" => once(&mut self.suffix, map),
            "fuse_unk" => once(&mut self.fuse_unknown, map),
            "byte_fallback" => once(&mut self.byte_fallback, map),
            "ignore_merges" => once(&mut self.ignore_merges, map),
            "vocab" => once(&mut self.vocabulary, map),
            "merges" => once(&mut self.merges, map),
            _ => map.next_value::<IgnoredAny>().map(drop),
        }
    }

    fn build<E: Error>(self) -> Result<Quick, E> {
        let missing = || E::custom("another kind of model");
        if self.kind.as_deref() != Some("BPE") {
            return Err(missing());
        }
        let vocabulary = self.vocabulary.ok_or_else(missing)?;
        let Merges(merges) = self.merges.ok_or_else(missing)?;
        let largest = vocabulary.values().copied().max();
        let mut builder = BPE::builder().vocab_and_merges(vocabulary, merges);
        if let Some(dropout) = self.dropout.flatten() {
            builder = builder.dropout(dropout as f32);
        }
        if let Some(token) = self.unknown.flatten() {
            builder = builder.unk_token(token);
        }
        if let Some(prefix) = self.prefix.flatten() {
            builder = builder.continuing_subword_prefix(prefix);
        }
        if let Some(suffix) = self.suffix.flatten() {
            builder = builder.end_of_word_suffix(suffix);
        }
        let flag = |flag: Option<Option<bool>>| flag.flatten().unwrap_or(false);
        let builder = builder
            .fuse_unk(flag(self.fuse_unknown))
            .byte_fallback(flag(self.byte_fallback))
            .ignore_merges(flag(self.ignore_merges));
        let model = builder.build().map_err(E::custom)?;
        Ok(Quick { model, largest })
    }
}

/// A field that is there twice is for the crate to judge.
fn once<'de, A: MapAccess<'de>, T: Deserialize<'de>>(
    slot: &mut Option<T>,
    map: &mut A,
) -> Result<(), A::Error> {
    match slot.replace(map.next_value()?) {
        None => Ok(()),
        Some(_) => Err(A::Error::custom("a field twice")),
    }
}

/// Pairs, the first of which is applied first; all of them written `["a", "b"]`, or, as was done earlier, `"a b"`.
struct Merges(Vec<(String, String)>);

impl<'de> Deserialize<'de> for Merges {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(List)
    }
}

struct List;

impl<'de> Visitor<'de> for List {
    type Value = Merges;

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("a list of merges")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Merges, A::Error> {
        let (mut merges, mut as_line) = (Vec::new(), None);
        while let Some(merge) = list.next_element::<Merge>()? {
            if as_line.replace(merge.as_line).is_some_and(|before| before != merge.as_line) {
                return Err(A::Error::custom("merges of two kinds"));
            }
            merges.extend(merge.pair);
        }
        Ok(Merges(merges))
    }
}

/// None where the line is a comment.
struct Merge {
    as_line: bool,
    pair: Option<(String, String)>,
}

impl<'de> Deserialize<'de> for Merge {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(One)
    }
}

struct One;

impl<'de> Visitor<'de> for One {
    type Value = Merge;

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("a merge")
    }

    fn visit_str<E: Error>(self, line: &str) -> Result<Merge, E> {
        if line.starts_with("#version") {
            return Ok(Merge { as_line: true, pair: None });
        }
        let pair = line.split_once(' ').filter(|(_, second)| !second.contains(' '));
        let (first, second) = pair.ok_or_else(|| E::custom("not two tokens"))?;
        Ok(Merge { as_line: true, pair: Some((first.to_owned(), second.to_owned())) })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Merge, A::Error> {
        let (first, second) = (list.next_element()?, list.next_element()?);
        let none = list.next_element::<IgnoredAny>()?.is_none();
        let pair = first.zip(second).filter(|_| none).ok_or_else(|| A::Error::custom("not two tokens"))?;
        Ok(Merge { as_line: false, pair: Some(pair) })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn model() -> Value {
        json!({
            "type": "BPE", "dropout": null, "unk_token": "<unk>", "continuing_subword_prefix": null,
            "end_of_word_suffix": "</w>", "fuse_unk": true, "byte_fallback": false, "ignore_merges": true,
            "vocab": {"<unk>": 0, "a": 1, "b": 2, "ab": 9, "c": 3, "abc": 4}, "merges": [["a", "b"], ["ab", "c"]],
        })
    }

    fn file(model: &Value) -> Vec<u8> {
        let added = json!([{
            "id": 10, "content": "<x>", "single_word": false, "lstrip": true, "rstrip": false,
            "normalized": false, "special": true,
        }]);
        let file = json!({
            "version": "1.0", "truncation": null, "padding": null, "added_tokens": added,
            "normalizer": {"type": "Lowercase"}, "pre_tokenizer": {"type": "Whitespace"}, "post_processor": null,
            "decoder": {"type": "BPEDecoder", "suffix": "</w>"}, "model": model,
        });
        serde_json::to_vec(&file).unwrap()
    }

    #[test]
    fn the_same_tokenizer_comes_of_both_ways() {
        let mut legacy = model();
        legacy["merges"] = json!(["#version: 0.2", "a b", "ab c"]);
        let mut drops = model();
        drops["dropout"] = json!(0.1);
        let mut bare = model();
        bare.as_object_mut().unwrap().retain(|key, _| matches!(key.as_str(), "type" | "vocab" | "merges"));
        for model in [model(), legacy, drops, bare] {
            let bytes = file(&model);
            let (quick, largest) = read(&bytes).unwrap();
            let crates = Tokenizer::from_bytes(&bytes).unwrap();
            assert_eq!(largest, Some(9));
            assert_eq!(quick.to_string(true).unwrap(), crates.to_string(true).unwrap());
            assert_eq!(quick.get_vocab(true), crates.get_vocab(true));
            let ids =
                |tokenizer: &Tokenizer| tokenizer.encode("abc <x> cab", true).unwrap().get_ids().to_vec();
            if model["dropout"].is_null() {
                assert_eq!(ids(&quick), ids(&crates));
            }
        }
    }

    #[test]
    fn what_is_not_as_expected_is_left_to_the_crate() {
        let changed = |key: &str, value: Value| {
            let mut model = model();
            model[key] = value;
            read(&file(&model)).is_none()
        };
        assert!(changed("type", json!("WordLevel")));
        assert!(changed("merges", json!([["a", "b"], "ab c"])));
        assert!(changed("merges", json!([["a", "b", "c"]])));
        assert!(changed("merges", json!(["a  b"])));
        assert!(changed("merges", json!([["a", "zz"]])));
        assert!(changed("vocab", json!({"a": 1.5})));
        let twice = String::from_utf8(file(&model()))
            .unwrap()
            .replace("\"type\":\"BPE\",", "\"type\":\"BPE\",\"type\":\"BPE\",");
        assert!(read(twice.as_bytes()).is_none());
    }
}
