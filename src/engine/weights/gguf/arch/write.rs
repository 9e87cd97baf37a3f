//! From config.json to metadata.

use data::gguf::{List, Metadata, Value};
use protocol::{Text, text};
use serde_json::Value as Json;

use super::Config;
use crate::models::ModelInfo;

/// The metadata of a file, while they are made of a config.json.
pub struct Writing<'a> {
    pub arch: &'static str,
    pub config: &'a Config,
    pub info: &'a ModelInfo,
    pub metadata: Metadata,
    /// Tensors that follow from the config: name and numbers.
    pub extra: Vec<(String, Vec<f32>)>,
    /// Rows of a head that the model scales to length 1 are written so ([`Form::UnitRows`](super::Form::UnitRows)).
    pub unit_rows: bool,
    /// What llama.cpp does otherwise, but not so much otherwise that it must be refused.
    pub notes: Vec<Text>,
    /// What llama.cpp cannot do.
    pub refused: Vec<String>,
}

impl<'a> Writing<'a> {
    pub fn new(arch: &'static str, config: &'a Config, info: &'a ModelInfo) -> Self {
        let (extra, notes, refused) = (Vec::new(), Vec::new(), Vec::new());
        Self { arch, config, info, metadata: Metadata::default(), extra, unit_rows: false, notes, refused }
    }

    fn put(&mut self, key: &str, value: Value) {
        self.metadata.insert(format!("{}.{key}", self.arch), value);
    }

    /// Whole numbers are u32 there.
    pub fn whole(&mut self, key: &str, number: u64) {
        self.put(key, Value::U32(u32::try_from(number).unwrap_or(u32::MAX)));
    }

    pub fn number(&mut self, key: &str, number: f64) {
        self.put(key, Value::F32(number as f32));
    }

    pub fn text(&mut self, key: &str, text: &str) {
        self.put(key, Value::Text(text.into()));
    }

    pub fn flag(&mut self, key: &str, flag: bool) {
        self.put(key, Value::Bool(flag));
    }

    /// One truth value a block.
    pub fn flags(&mut self, key: &str, flags: Vec<bool>) {
        self.put(key, Value::List(List::Bool(flags)));
    }

    pub fn refuse(&mut self, what: String) {
        self.refused.push(what);
    }

    pub fn config_number(&self, key: &str, default: f64) -> f64 {
        self.config.get(key).and_then(Json::as_f64).unwrap_or(default)
    }

    pub fn config_whole(&self, key: &str) -> Option<u64> {
        self.config.get(key).and_then(Json::as_u64)
    }

    pub fn config_flag(&self, key: &str, default: bool) -> bool {
        self.config.get(key).and_then(Json::as_bool).unwrap_or(default)
    }

    /// llama.cpp has one activation an architecture.
    pub fn activation(&mut self, keys: &[&str], allowed: &[&str]) {
        let name = keys.iter().find_map(|key| self.config.get(*key)?.as_str());
        if let Some(name) = name.filter(|name| !allowed.contains(name)) {
            self.refuse(format!("activation `{name}`"));
        }
    }

    /// Sizes that every architecture has, in the converter's order.
    pub fn sizes(&mut self) {
        let info = self.info;
        self.whole("block_count", info.num_layers as u64);
        self.whole("context_length", info.context as u64);
        self.whole("embedding_length", info.hidden as u64);
        self.whole("feed_forward_length", info.inner as u64);
        self.whole("attention.head_count", info.heads as u64);
    }

    pub fn key_heads(&mut self) {
        self.whole("attention.head_count_kv", self.info.kv_heads as u64);
    }

    /// Lengths of keys and values, where they do not follow from the hidden size.
    pub fn head_lengths(&mut self) {
        self.whole("attention.key_length", self.info.head_dim as u64);
        self.whole("attention.value_length", self.info.head_dim as u64);
    }

    pub fn rms_eps(&mut self, key: &str, default: f64) {
        self.number("attention.layer_norm_rms_epsilon", self.config_number(key, default));
    }

    pub fn layer_norm_eps(&mut self, key: &str, default: f64) {
        self.number("attention.layer_norm_epsilon", self.config_number(key, default));
    }

    /// What the converter's `TextModel` writes for models in the spelling of Llama, but for the norms' epsilon.
    pub fn base(&mut self) {
        self.sizes();
        self.key_heads();
        self.rope();
        let said = self.config.get("head_dim").is_some_and(Json::is_u64);
        if said || self.info.head_dim * self.info.heads != self.info.hidden {
            self.head_lengths();
        }
    }

    /// For architectures in which llama.cpp attends to everything, and models that do not.
    pub fn no_window(&mut self) {
        let windows = self.info.views.iter().filter_map(|view| view.window);
        let Some(window) = windows.min().filter(|window| *window < self.info.context) else { return };
        self.notes.push(text!(
            "llama.cpp attends to everything here, some layers of this model only to the last {window} tokens: answers to longer texts differ",
            "llama.cpp 在此架构中关注全部词元，而该模型部分层只关注最近 {window} 个：更长文本的回答会有差异"
        ));
    }
}
