//! What the JSON files beside a tokenizer say.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use protocol::{Result, Text, UserError, text};
use serde_json::{Map, Value};
use tokenizers::AddedToken;

/// The largest published tokenizer.json has 35 MB.
pub(super) const MAX_TOKENIZER_BYTES: u64 = 512 << 20;
const MAX_CONFIG_BYTES: u64 = 64 << 20;

const SPECIAL_KEYS: [&str; 7] =
    ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/// A chat template as found in a model folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateSource {
    /// `default`, `tool_use`, `rag`, …
    pub name: String,
    pub source: String,
    pub file: PathBuf,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Folder {
    /// Special tokens by key, those that are set.
    pub special: Map<String, Value>,
    /// None where the file says nothing and the post-processor of tokenizer.json decides.
    pub add_bos: Option<bool>,
    pub add_eos: Option<bool>,
    pub bos_id: Option<u32>,
    pub pad_id: Option<u32>,
    /// Of generation_config.json, then of config.json.
    pub eos_ids: Vec<u32>,
    pub templates: Vec<TemplateSource>,
    /// `user_token_id` and `assistant_token_id` of generation_config.json, which Baichuan has.
    pub speakers: [Option<u32>; 2],
    /// tokenizer_config.json, config.json.
    pub config: Map<String, Value>,
    pub model: Map<String, Value>,
    /// No file says anything about special tokens.
    pub bare: bool,
    /// `added_tokens_decoder` of tokenizer_config.json.
    tokens: BTreeMap<u32, AddedToken>,
    /// added_tokens.json, which is older.
    listed: BTreeMap<u32, String>,
    /// `additional_special_tokens`.
    additional: Vec<String>,
}

impl Folder {
    pub fn read(dir: &Path) -> Result<Self> {
        Self::read_beside(dir, dir)
    }

    /// As [`read`](Self::read), where what describes the model lies in another folder.
    pub fn read_beside(dir: &Path, model: &Path) -> Result<Self> {
        let file = dir.join("tokenizer_config.json");
        let tokenizer = read_object(&file)?;
        let map = read_object(&dir.join("special_tokens_map.json"))?;
        let generation = read_object(&model.join("generation_config.json"))?;
        let model = read_object(&model.join("config.json"))?;
        let text_model = model.get("text_config").and_then(Value::as_object);
        let sources = || [Some(&generation), Some(&model), text_model].into_iter().flatten();
        let id = |key: &str| sources().find_map(|source| source.get(key).and_then(first_id));
        let listed = read_object(&dir.join("added_tokens.json"))?;
        Ok(Self {
            special: special_tokens(&tokenizer, &map),
            add_bos: explicit_flag(&tokenizer, "add_bos_token", "add_eos_token"),
            add_eos: explicit_flag(&tokenizer, "add_eos_token", "add_bos_token"),
            bos_id: id("bos_token_id"),
            pad_id: id("pad_token_id"),
            eos_ids: sources().filter_map(|source| source.get("eos_token_id")).flat_map(ids).collect(),
            templates: templates(dir, &file, &tokenizer)?,
            speakers: ["user_token_id", "assistant_token_id"]
                .map(|key| generation.get(key).and_then(first_id)),
            tokens: added_tokens(&tokenizer),
            listed: listed.iter().filter_map(|(token, id)| Some((as_id(id)?, token.clone()))).collect(),
            additional: [&tokenizer, &map].into_iter().flat_map(additional).collect(),
            bare: tokenizer.is_empty() && map.is_empty() && model.is_empty(),
            config: tokenizer,
            model,
        })
    }

    /// The Python class that read the tokenizer, without the `Fast` of its fast form.
    pub fn class(&self) -> Option<&str> {
        let class = self.config.get("tokenizer_class").and_then(Value::as_str)?;
        Some(class.strip_suffix("Fast").unwrap_or(class))
    }

    /// `model_type` of config.json.
    pub fn model_type(&self) -> Option<&str> {
        self.model.get("model_type").and_then(Value::as_str)
    }

    pub fn flag(&self, key: &str) -> Option<bool> {
        self.config.get(key).and_then(Value::as_bool)
    }

    /// Tokens that the folder declares with their ids.
    pub fn declared_tokens(&self) -> BTreeMap<u32, AddedToken> {
        let names = self.special_names();
        let listed = self.listed.iter().map(|(id, token)| {
            (*id, AddedToken::from(token.clone(), names.contains(token.as_str())).normalized(false))
        });
        listed.chain(self.tokens.iter().map(|(id, token)| (*id, token.clone()))).collect()
    }

    /// Adds tokens as if the folder declared them.
    pub fn declare(&mut self, tokens: impl IntoIterator<Item = (u32, AddedToken)>) {
        self.tokens.extend(tokens);
    }

    /// Tokens that the folder calls special, wherever they are.
    pub fn special_names(&self) -> BTreeSet<&str> {
        let named = self.special.values().filter_map(Value::as_str);
        named.chain(self.additional.iter().map(String::as_str)).filter(|name| !name.is_empty()).collect()
    }

    /// Tokens that tokenizer_config.json declares and tokenizer.json lacks, added in the order of
    /// their ids as transformers does.
    pub fn add_missing_tokens(&self, inner: &mut tokenizers::Tokenizer) -> Result<()> {
        for (id, token) in &self.tokens {
            if inner.token_to_id(&token.content).is_none() {
                let added = super::engine::guarded(|| inner.add_tokens([token.clone()]));
                if added.is_err() || inner.token_to_id(&token.content) != Some(*id) {
                    let token = &token.content;
                    return Err(UserError::bad_input(text!(
                        "tokenizer_config.json gives the token {token} the id {id}, which tokenizer.json does not have",
                        "tokenizer_config.json 为词元 {token} 指定了编号 {id}，而 tokenizer.json 中没有该编号"
                    )));
                }
            }
        }
        Ok(())
    }
}

/// One of the two flags being there makes both explicit: the other is then false.
fn explicit_flag(config: &Map<String, Value>, key: &str, other: &str) -> Option<bool> {
    let flag = |key: &str| config.get(key).and_then(Value::as_bool);
    flag(key).or_else(|| flag(other).map(|_| false))
}

/// A token is written as a string or as an object with `content`.
fn token_text(value: &Value) -> Option<&str> {
    value.as_str().or_else(|| value.get("content").and_then(Value::as_str))
}

fn special_tokens(config: &Map<String, Value>, map: &Map<String, Value>) -> Map<String, Value> {
    let text_of = |key: &str| config.get(key).or_else(|| map.get(key)).and_then(token_text);
    SPECIAL_KEYS
        .into_iter()
        .filter_map(|key| text_of(key).map(|token| (key.to_owned(), Value::String(token.to_owned()))))
        .collect()
}

/// `additional_special_tokens`, a list, or `extra_special_tokens`, a list or an object.
fn additional(config: &Map<String, Value>) -> Vec<String> {
    let texts = |value: &Value| -> Vec<String> {
        let all: Vec<&Value> = match value {
            Value::Array(list) => list.iter().collect(),
            Value::Object(object) => object.values().collect(),
            _ => Vec::new(),
        };
        all.into_iter().filter_map(token_text).map(str::to_owned).collect()
    };
    let keys = ["additional_special_tokens", "extra_special_tokens"];
    keys.iter().filter_map(|key| config.get(*key)).flat_map(texts).collect()
}

fn added_tokens(config: &Map<String, Value>) -> BTreeMap<u32, AddedToken> {
    let Some(decoder) = config.get("added_tokens_decoder").and_then(Value::as_object) else {
        return BTreeMap::new();
    };
    let entry = |(id, token): (&String, &Value)| {
        let flag = |key: &str| token.get(key).and_then(Value::as_bool);
        let special = flag("special").unwrap_or(false);
        let added = AddedToken::from(token_text(token)?.to_owned(), special)
            .lstrip(flag("lstrip").unwrap_or(false))
            .rstrip(flag("rstrip").unwrap_or(false))
            .single_word(flag("single_word").unwrap_or(false))
            .normalized(flag("normalized").unwrap_or(!special));
        Some((id.parse().ok()?, added))
    };
    decoder.iter().filter_map(entry).collect()
}

fn as_id(value: &Value) -> Option<u32> {
    value.as_u64().and_then(|id| u32::try_from(id).ok())
}

fn first_id(value: &Value) -> Option<u32> {
    ids(value).into_iter().next()
}

/// An id, or a list of ids.
fn ids(value: &Value) -> Vec<u32> {
    match value {
        Value::Array(list) => list.iter().filter_map(as_id).collect(),
        other => as_id(other).into_iter().collect(),
    }
}

/// `chat_template.jinja` wins over `chat_template` in tokenizer_config.json, which is a string or a list
/// of `{"name", "template"}`; older processors keep it in chat_template.json.
fn templates(dir: &Path, config_file: &Path, config: &Map<String, Value>) -> Result<Vec<TemplateSource>> {
    let file = dir.join("chat_template.jinja");
    if file.is_file() {
        let source = read_text(&file, MAX_CONFIG_BYTES)?;
        return Ok(vec![TemplateSource { name: "default".to_owned(), source, file }]);
    }
    let from = |value: &Value, file: &Path| match value {
        Value::String(source) => vec![template_source("default", source, file)],
        Value::Array(list) => list.iter().filter_map(|entry| named_template(entry, file)).collect(),
        _ => Vec::new(),
    };
    let mut found = config.get("chat_template").map(|value| from(value, config_file)).unwrap_or_default();
    if found.is_empty() {
        let file = dir.join("chat_template.json");
        found = read_object(&file)?.get("chat_template").map(|value| from(value, &file)).unwrap_or_default();
    }
    found.sort_by_key(|template| template.name != "default");
    Ok(found)
}

fn named_template(entry: &Value, file: &Path) -> Option<TemplateSource> {
    let field = |key: &str| entry.get(key).and_then(Value::as_str);
    Some(template_source(field("name")?, field("template")?, file))
}

fn template_source(name: &str, source: &str, file: &Path) -> TemplateSource {
    TemplateSource { name: name.to_owned(), source: source.to_owned(), file: file.to_owned() }
}

/// The object in a JSON file; an empty one if there is no such file.
pub(crate) fn read_object(file: &Path) -> Result<Map<String, Value>> {
    if !file.is_file() {
        return Ok(Map::new());
    }
    let source = read_text(file, MAX_CONFIG_BYTES)?;
    let refuse = |why: String, line: u64| {
        UserError::bad_input(text!("The file cannot be read as JSON: {why}", "无法将文件解析为 JSON：{why}"))
            .in_file(file)
            .at_row(line)
    };
    match serde_json::from_str(source.trim_start_matches('\u{feff}')) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(refuse("it holds no object".to_owned(), 1)),
        Err(err) => Err(refuse(err.to_string(), err.line() as u64)),
    }
}

pub(crate) fn read_text(file: &Path, limit: u64) -> Result<String> {
    String::from_utf8(read_limited(file, limit)?).map_err(|_| {
        UserError::bad_input(Text::fixed("The file is not UTF-8 text", "文件不是 UTF-8 文本")).in_file(file)
    })
}

/// The bytes of a file that has at most `limit` of them.
pub(crate) fn read_limited(file: &Path, limit: u64) -> Result<Vec<u8>> {
    let failed = |err: std::io::Error| UserError::io(Text::fixed("read a file", "读取文件"), file, &err);
    let mut bytes = Vec::new();
    File::open(file).map_err(failed)?.take(limit + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > limit {
        let megabytes = limit >> 20;
        return Err(UserError::bad_input(text!(
            "The file is larger than {megabytes} MiB",
            "文件大于 {megabytes} MiB"
        ))
        .in_file(file));
    }
    Ok(bytes)
}
