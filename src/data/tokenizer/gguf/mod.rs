//! Tokenizers in GGUF metadata (`tokenizer.ggml.*`): read as the tokenizer.json they stand for, and written as llama.cpp's
//! converter does.
//!
//! Two kinds: `gpt2`, byte-level BPE with its merges and the name of the rule that cuts text ([`pre`]); and `llama`, the
//! pieces of a sentencepiece BPE model with their scores.

mod pieces;
mod pre;
mod write;

use std::path::{Path, PathBuf};

use protocol::{Result, Text, UserError, text};
use serde_json::{Map, Value as Json, json};

use super::TemplateSource;
use super::folder::Folder;
use super::source::{Opened, Source};
use crate::gguf::{List, Metadata, Value};
use pre::Rule;

/// More tokens than any vocabulary has.
const MAX_TOKENS: usize = 1 << 22;
/// Tokens that end an answer in some model, whatever the file says is its end; as llama.cpp takes them.
const ENDS: [&str; 8] = [
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "<|eom_id|>",
    "<EOT>",
];

/// `tokenizer.ggml.token_type`.
pub(super) mod kind {
    pub const NORMAL: i32 = 1;
    pub const UNKNOWN: i32 = 2;
    pub const CONTROL: i32 = 3;
    pub const USER_DEFINED: i32 = 4;
    pub const UNUSED: i32 = 5;
    pub const BYTE: i32 = 6;
}

pub(super) const SOURCE: Source = Source { files: "*.gguf", open };

fn open(dir: &Path, folder: &Folder) -> Result<Option<Opened>> {
    let Some((file, metadata)) = metadata(dir)? else { return Ok(None) };
    let Read { json, known } = read(&metadata).map_err(|err| err.in_file(&file))?;
    let template = |(name, source)| TemplateSource { name, source, file: file.clone() };
    Ok(Some(Opened {
        special: known.special,
        stops: known.eos_ids,
        templates: known.templates.into_iter().map(template).collect(),
        ..super::json::read(&json, &file, folder)?
    }))
}

/// The first file of a GGUF model that has a tokenizer, and its metadata.
///
/// # Errors
/// When the file cannot be read.
pub(super) fn metadata(dir: &Path) -> Result<Option<(PathBuf, Metadata)>> {
    let Some(file) = crate::gguf::find(dir)?.and_then(|files| files.into_iter().next()) else {
        return Ok(None);
    };
    let metadata = crate::gguf::open(&file)?.metadata;
    Ok(metadata.get("tokenizer.ggml.tokens").is_some().then_some((file, metadata)))
}

/// What stands in the files beside a tokenizer.json.
#[derive(Debug, Default)]
pub struct Known {
    /// `bos_token`, …
    pub special: Map<String, Json>,
    pub eos_ids: Vec<u32>,
    /// Name and source, the default first.
    pub templates: Vec<(String, String)>,
}

/// A tokenizer as the files of a Hugging Face folder would have it.
pub struct Read {
    /// `tokenizer.json`.
    pub json: Vec<u8>,
    pub known: Known,
}

impl Read {
    /// Name and content of each file.
    pub fn files(self) -> Result<Vec<(String, Vec<u8>)>> {
        let Known { special, eos_ids, templates } = self.known;
        let mut config = special;
        config.insert("tokenizer_class".into(), "PreTrainedTokenizerFast".into());
        let template = |(name, source): &(String, String)| json!({"name": name, "template": source});
        match templates.as_slice() {
            [] => None,
            [(_, only)] => config.insert("chat_template".into(), only.clone().into()),
            several => config.insert("chat_template".into(), several.iter().map(template).collect()),
        };
        let text = |json: &Json| serde_json::to_vec_pretty(json).map_err(|err| broken(&err.to_string()));
        let mut files = vec![
            ("tokenizer.json".to_owned(), self.json),
            ("tokenizer_config.json".to_owned(), text(&Json::Object(config))?),
        ];
        if !eos_ids.is_empty() {
            files.push(("generation_config.json".to_owned(), text(&json!({"eos_token_id": eos_ids}))?));
        }
        Ok(files)
    }
}

/// The vocabulary as the file has it.
struct Vocabulary<'a> {
    tokens: &'a [String],
    /// One of [`kind`] a token.
    types: Vec<i32>,
    metadata: &'a Metadata,
}

/// # Errors
/// No tokenizer, one of a kind that is not read, or lists that do not fit each other.
pub fn read(metadata: &Metadata) -> Result<Read> {
    let vocabulary = Vocabulary::of(metadata)?;
    let json = match metadata.str("tokenizer.ggml.model").unwrap_or_default() {
        "gpt2" => vocabulary.byte_level()?,
        "llama" => pieces::json(&vocabulary)?,
        other => {
            return Err(UserError::bad_input(text!(
                "The GGUF file's tokenizer is of the kind `{other}`, which is not read",
                "GGUF 文件中的分词器类型为 `{other}`，无法读取"
            ))
            .mend(beside()));
        }
    };
    let json = serde_json::to_vec(&json).map_err(|err| broken(&err.to_string()))?;
    Ok(Read { json, known: vocabulary.known() })
}

impl<'a> Vocabulary<'a> {
    fn of(metadata: &'a Metadata) -> Result<Self> {
        let Some(tokens) = metadata.get("tokenizer.ggml.tokens").and_then(Value::as_texts) else {
            return Err(UserError::bad_input(Text::fixed(
                "The GGUF file holds no tokenizer",
                "GGUF 文件中没有分词器",
            ))
            .mend(beside()));
        };
        if tokens.is_empty() || tokens.len() > MAX_TOKENS {
            return Err(broken(&format!("{} tokens", tokens.len())));
        }
        let types = match metadata.get("tokenizer.ggml.token_type") {
            None => vec![kind::NORMAL; tokens.len()],
            Some(Value::List(List::I32(types))) => types.clone(),
            Some(other) => {
                let numbers = other.as_numbers().ok_or_else(|| broken("token_type is no list of numbers"))?;
                numbers.into_iter().map(|number| number as i32).collect()
            }
        };
        if types.len() != tokens.len() {
            return Err(broken(&format!("{} tokens and {} types", tokens.len(), types.len())));
        }
        Ok(Self { tokens, types, metadata })
    }

    /// Tokens that text can become or that stand for markers, by id.
    fn used(&self) -> impl Iterator<Item = (usize, &'a String, i32)> {
        let all = self.tokens.iter().zip(&self.types).enumerate();
        all.filter(|(_, (_, kind))| **kind != kind::UNUSED).map(|(id, (token, kind))| (id, token, *kind))
    }

    fn vocab(&self) -> Map<String, Json> {
        let mut vocab = Map::new();
        for (id, token, _) in self.used() {
            // Of two tokens with one text, the first is the one that text becomes.
            vocab.entry(token.clone()).or_insert_with(|| id.into());
        }
        vocab
    }

    /// Markers: found in a text before anything else is done to it.
    fn added(&self) -> Vec<Json> {
        let marker = |kind: i32| matches!(kind, kind::CONTROL | kind::USER_DEFINED | kind::UNKNOWN);
        self.used()
            .filter(|(_, token, kind)| marker(*kind) && !token.is_empty())
            .map(|(id, token, kind)| {
                json!({
                    "id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": false,
                    "normalized": false, "special": kind != kind::USER_DEFINED,
                })
            })
            .collect()
    }

    fn id(&self, name: &str) -> Option<usize> {
        let id = self.metadata.u64(&format!("tokenizer.ggml.{name}_token_id"))?;
        usize::try_from(id).ok().filter(|id| *id < self.tokens.len())
    }

    /// What is put around a text.
    fn post_processor(&self, bos_by_default: bool) -> Json {
        let flag = |name: &str| self.metadata.bool(&format!("tokenizer.ggml.add_{name}_token"));
        let bos = self.id("bos").filter(|_| flag("bos").unwrap_or(bos_by_default));
        let eos = self.id("eos").filter(|_| flag("eos").unwrap_or(false));
        let token = |id: usize| json!({"SpecialToken": {"id": self.tokens[id], "type_id": 0}});
        let text = |id: &str| json!({"Sequence": {"id": id, "type_id": 0}});
        let around = |inner: Vec<Json>| -> Vec<Json> {
            bos.map(token).into_iter().chain(inner).chain(eos.map(token)).collect()
        };
        let special: Map<String, Json> = bos
            .into_iter()
            .chain(eos)
            .map(|id| {
                (
                    self.tokens[id].clone(),
                    json!({"id": self.tokens[id], "ids": [id], "tokens": [self.tokens[id]]}),
                )
            })
            .collect();
        if special.is_empty() {
            return Json::Null;
        }
        json!({
            "type": "TemplateProcessing",
            "single": around(vec![text("A")]),
            "pair": around(vec![text("A"), text("B")]),
            "special_tokens": special,
        })
    }

    fn byte_level(&self) -> Result<Json> {
        let name = self.metadata.str("tokenizer.ggml.pre").unwrap_or("gpt-2");
        let rule = Rule::named(name).ok_or_else(|| {
            UserError::bad_input(text!(
                "The GGUF file's tokenizer cuts text by the rule `{name}`, which is not known",
                "GGUF 文件中的分词器使用规则 `{name}` 切分文本，无法识别"
            ))
            .mend(beside())
        })?;
        let merges = self.metadata.get("tokenizer.ggml.merges").and_then(Value::as_texts);
        let merges = merges.ok_or_else(|| broken("it has no merges"))?;
        let byte_level =
            json!({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true});
        Ok(json!({
            "version": "1.0", "truncation": null, "padding": null,
            "added_tokens": self.added(),
            "normalizer": rule.normalizer(),
            "pre_tokenizer": rule.pre_tokenizer(),
            "post_processor": self.post_processor(rule.add_bos),
            "decoder": byte_level,
            "model": {
                "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
                "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false,
                "ignore_merges": rule.ignore_merges, "vocab": self.vocab(), "merges": merges,
            },
        }))
    }

    fn known(&self) -> Known {
        let mut special = Map::new();
        for (key, name) in [
            ("bos_token", "bos"),
            ("eos_token", "eos"),
            ("unk_token", "unknown"),
            ("sep_token", "seperator"),
            ("pad_token", "padding"),
            ("cls_token", "cls"),
            ("mask_token", "mask"),
        ] {
            if let Some(id) = self.id(name) {
                special.insert(key.into(), self.tokens[id].clone().into());
            }
        }
        let ends = ["eos", "eot", "eom"].into_iter().filter_map(|name| self.id(name));
        let known = self.used().filter(|(_, token, kind)| {
            matches!(*kind, kind::CONTROL | kind::USER_DEFINED) && ENDS.contains(&token.as_str())
        });
        let mut eos_ids: Vec<u32> = ends.chain(known.map(|(id, ..)| id)).map(|id| id as u32).collect();
        let mut seen = std::collections::HashSet::new();
        eos_ids.retain(|id| seen.insert(*id));
        Known { special, eos_ids, templates: self.templates() }
    }

    /// Name and source of each chat template, the default first.
    fn templates(&self) -> Vec<(String, String)> {
        let named =
            self.metadata.get("tokenizer.chat_templates").and_then(Value::as_texts).unwrap_or_default();
        let of = |name: &str, key: &str| Some((name.to_owned(), self.metadata.str(key)?.to_owned()));
        of("default", "tokenizer.chat_template")
            .into_iter()
            .chain(named.iter().filter_map(|name| of(name, &format!("tokenizer.chat_template.{name}"))))
            .collect()
    }
}

fn beside() -> Text {
    Text::fixed(
        "put the model's tokenizer.json beside the file, or use its Hugging Face folder",
        "请将该模型的 tokenizer.json 放在该文件旁，或使用其 Hugging Face 文件夹",
    )
}

fn broken(why: &str) -> UserError {
    UserError::bad_input(text!(
        "The tokenizer in the GGUF file cannot be used: {why}",
        "GGUF 文件中的分词器不可用：{why}"
    ))
    .mend(beside())
}
