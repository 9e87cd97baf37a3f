//! From metadata to config.json.

use std::cell::RefCell;
use std::collections::HashMap;

use data::gguf::{List, Metadata, Value};
use serde_json::{Value as Json, json};

use super::{Config, Heads};

/// The head of a file, while a config.json is made of it.
pub struct Reading<'a> {
    /// `general.architecture`.
    pub arch: &'a str,
    pub metadata: &'a Metadata,
    /// Dimensions of each tensor, fastest first.
    pub tensors: &'a HashMap<&'a str, &'a [u64]>,
    /// A small tensor's numbers.
    pub numbers: &'a dyn Fn(&str) -> Option<Vec<f32>>,
    pub problems: RefCell<Vec<String>>,
}

impl Reading<'_> {
    fn key(&self, key: &str) -> String {
        format!("{}.{key}", self.arch)
    }

    pub fn has(&self, tensor: &str) -> bool {
        self.tensors.contains_key(tensor)
    }

    pub fn problem(&self, line: String) {
        self.problems.borrow_mut().push(line);
    }

    /// A whole number, if the file says it. Some writers give one for each block: they must agree.
    pub fn whole(&self, key: &str) -> Option<u64> {
        let key = self.key(key);
        match self.metadata.get(&key)? {
            Value::List(list) => {
                let numbers = Value::List(list.clone()).as_numbers().unwrap_or_default();
                let first = numbers.first().copied();
                if numbers.iter().any(|number| Some(*number) != first) {
                    self.problem(format!("`{key}` differs from block to block"));
                }
                first.filter(|number| *number >= 0.0).map(|number| number as u64)
            }
            value => {
                if value.as_u64().is_none() {
                    self.problem(format!("`{key}` is no whole number"));
                }
                value.as_u64()
            }
        }
    }

    /// A whole number that must be there.
    pub fn size(&self, key: &str) -> u64 {
        self.whole(key).unwrap_or_else(|| {
            self.problem(format!("`{}` is missing", self.key(key)));
            1
        })
    }

    pub fn number(&self, key: &str) -> Option<f64> {
        self.metadata.f64(&self.key(key)).filter(|number| number.is_finite())
    }

    pub fn text(&self, key: &str) -> Option<&str> {
        self.metadata.str(&self.key(key))
    }

    pub fn flag(&self, key: &str) -> Option<bool> {
        self.metadata.bool(&self.key(key))
    }

    /// Truth values, one a block.
    pub fn flags(&self, key: &str) -> Option<&[bool]> {
        match self.metadata.get(&self.key(key))? {
            Value::List(List::Bool(flags)) => Some(flags),
            _ => None,
        }
    }

    pub fn heads(&self) -> Heads {
        let queries = self.size("attention.head_count");
        let keys = self.whole("attention.head_count_kv").unwrap_or(queries);
        let checked = |heads: u64| usize::try_from(heads).unwrap_or(usize::MAX);
        if keys == 0 || !queries.is_multiple_of(keys) {
            self.problem(format!("{queries} query heads cannot share {keys} key heads evenly"));
        }
        Heads { queries: checked(queries), keys: checked(keys.max(1)) }
    }

    /// Rows of the embedding.
    pub fn vocabulary(&self) -> u64 {
        match self.tensors.get("token_embd.weight") {
            Some([_, rows]) => *rows,
            _ => {
                self.problem("the tensor `token_embd.weight` is missing or no matrix".into());
                1
            }
        }
    }

    /// Elements of a head: said, or what the hidden size leaves for each.
    pub fn head_dim(&self) -> u64 {
        let heads = self.size("attention.head_count").max(1);
        self.whole("attention.key_length").unwrap_or_else(|| self.size("embedding_length") / heads)
    }

    /// What nearly every config.json has, in the spelling of Llama. `class` is the model's in transformers.
    pub fn base(&self, config: &mut Config, model_type: &str, class: &str) {
        self.identity(config, model_type, class);
        let heads = self.heads();
        let mut put = |key: &str, value: Json| config.insert(key.into(), value);
        put("hidden_size", self.size("embedding_length").into());
        put("num_hidden_layers", self.size("block_count").into());
        put("num_attention_heads", heads.queries.into());
        put("num_key_value_heads", heads.keys.into());
        put("intermediate_size", self.size("feed_forward_length").into());
        put("max_position_embeddings", self.size("context_length").into());
        if let Some(length) = self.whole("attention.key_length") {
            put("head_dim", length.into());
        }
        if let Some(eps) = self.number("attention.layer_norm_rms_epsilon") {
            put("rms_norm_eps", eps.into());
        }
        self.rope(config);
    }

    /// Class, vocabulary, tied head and special ids.
    pub fn identity(&self, config: &mut Config, model_type: &str, class: &str) {
        let mut put = |key: &str, value: Json| config.insert(key.into(), value);
        put("architectures", json!([class]));
        put("model_type", model_type.into());
        put("vocab_size", self.vocabulary().into());
        put("tie_word_embeddings", (!self.has("output.weight")).into());
        for (key, name) in [("bos_token_id", "bos"), ("eos_token_id", "eos"), ("pad_token_id", "padding")] {
            if let Some(id) = self.metadata.u64(&format!("tokenizer.ggml.{name}_token_id")) {
                put(key, id.into());
            }
        }
    }
}
