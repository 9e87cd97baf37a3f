//! Reading a model's config.json, in all its spellings. Numbers from files are checked before
//! anything is sized by them.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use protocol::{Result, Text, UserError, text};
use serde_json::{Map, Value};

use crate::nn::{LongRopeParts, Rope, RopeScaling, YarnParts};

/// No published model has a dimension beyond this; a file that does is damaged or hostile.
const LARGEST_SIZE: u64 = 1 << 24;

/// A config.json with the user's overrides applied.
#[derive(Debug)]
pub struct ConfigJson {
    map: Map<String, Value>,
    file: PathBuf,
    problems: RefCell<Vec<String>>,
}

impl ConfigJson {
    pub fn open(dir: &Path, overrides: &Map<String, Value>) -> Result<Self> {
        let file = dir.join("config.json");
        let bytes = std::fs::read(&file).map_err(|err| {
            UserError::io(Text::fixed("read the model's config.json", "读取模型的 config.json"), &file, &err)
                .mend(Text::fixed(
                    "choose a Hugging Face model folder: one with config.json, weights and tokenizer files",
                    "请选择 Hugging Face 模型文件夹：其中应有 config.json、权重和分词器文件",
                ))
        })?;
        let mut map: Map<String, Value> = serde_json::from_slice(&bytes).map_err(|err| {
            UserError::bad_input(text!(
                "config.json is not a JSON object: {err}",
                "config.json 不是 JSON 对象：{err}"
            ))
            .in_file(&file)
        })?;
        for (key, value) in overrides {
            map.insert(key.clone(), value.clone());
        }
        Ok(Self { map, file, problems: RefCell::default() })
    }

    /// From values alone: made-up models of the benchmark.
    pub fn from_map(map: Map<String, Value>) -> Self {
        Self { map, file: PathBuf::from("config.json"), problems: RefCell::default() }
    }

    pub fn raw(&self) -> &Map<String, Value> {
        &self.map
    }

    pub fn file(&self) -> &Path {
        &self.file
    }

    pub fn model_type(&self) -> &str {
        self.map.get("model_type").and_then(Value::as_str).unwrap_or("")
    }

    pub fn class(&self) -> &str {
        self.map.get("architectures").and_then(|list| list.get(0)).and_then(Value::as_str).unwrap_or("")
    }

    /// A size that must be there and lie in `1..=2^24`. Problems are gathered; see [`finish`](Self::finish).
    pub fn size(&self, key: &str) -> usize {
        match self.map.get(key) {
            Some(value) => self.check_size(key, value),
            None => {
                self.problem(format!("`{key}` is missing"));
                1
            }
        }
    }

    /// Like [`size`](Self::size), with a default where the key is absent or null.
    pub fn size_or(&self, key: &str, default: usize) -> usize {
        match self.map.get(key) {
            None | Some(Value::Null) => default,
            Some(value) => self.check_size(key, value),
        }
    }

    pub fn number_or(&self, key: &str, default: f64) -> f64 {
        self.number_in(&self.map, key).unwrap_or(default)
    }

    pub fn flag(&self, key: &str, default: bool) -> bool {
        self.map.get(key).and_then(Value::as_bool).unwrap_or(default)
    }

    pub fn text_or<'a>(&'a self, key: &str, default: &'a str) -> &'a str {
        self.map.get(key).and_then(Value::as_str).unwrap_or(default)
    }

    /// Records a problem to be reported with all others.
    pub fn problem(&self, line: String) {
        self.problems.borrow_mut().push(line);
    }

    /// All problems at once.
    pub fn finish(&self) -> Result<()> {
        let problems = self.problems.borrow();
        if problems.is_empty() {
            return Ok(());
        }
        Err(UserError::bad_input(Text::fixed(
            "config.json does not describe a model that can be built",
            "config.json 描述的模型无法构建",
        ))
        .details(problems.iter().cloned())
        .in_file(&self.file))
    }

    fn check_size(&self, key: &str, value: &Value) -> usize {
        match value.as_u64() {
            Some(size) if (1..=LARGEST_SIZE).contains(&size) => size as usize,
            _ => {
                self.problem(format!("`{key}` is {value}, wanted a whole number from 1 to {LARGEST_SIZE}"));
                1
            }
        }
    }

    fn number_in(&self, map: &Map<String, Value>, key: &str) -> Option<f64> {
        let value = map.get(key).filter(|value| !value.is_null())?;
        let number = value.as_f64().filter(|number| number.is_finite());
        if number.is_none() {
            self.problem(format!("`{key}` is {value}, wanted a number"));
        }
        number
    }

    /// Rotary embedding in the spelling of transformers 4 (`rope_theta`, `rope_scaling`) or 5
    /// (`rope_parameters`).
    pub fn rope(&self, head_dim: usize, default_theta: f64) -> Rope {
        let empty = Map::new();
        let section = ["rope_parameters", "rope_scaling"]
            .iter()
            .find_map(|key| self.map.get(*key).and_then(Value::as_object))
            .unwrap_or(&empty);
        let theta = self
            .number_in(section, "rope_theta")
            .unwrap_or_else(|| self.number_or("rope_theta", default_theta));
        let partial = self
            .number_in(section, "partial_rotary_factor")
            .unwrap_or_else(|| self.number_or("partial_rotary_factor", 1.0));
        let dim = (head_dim as f64 * partial) as usize;
        if dim == 0 || dim % 2 == 1 || dim > head_dim {
            self.problem(format!("{dim} rotary dimensions of a head of {head_dim}: wanted an even number"));
        }
        let max_position = self.size_or("max_position_embeddings", 2048);
        Rope { theta, dim, max_position, scaling: self.rope_scaling(section, theta, dim, max_position) }
    }

    fn rope_scaling(&self, section: &Map<String, Value>, theta: f64, dim: usize, max: usize) -> RopeScaling {
        let kind = ["rope_type", "type"].iter().find_map(|key| section.get(*key).and_then(Value::as_str));
        let number = |key: &str, default: f64| self.number_in(section, key).unwrap_or(default);
        let factor = number("factor", 1.0);
        let original = number(
            "original_max_position_embeddings",
            self.number_or("original_max_position_embeddings", max as f64),
        );
        if !(theta > 1.0 && factor > 0.0 && original >= 1.0) {
            self.problem(format!("rotary embedding with base {theta}, factor {factor}, length {original}"));
        }
        match kind.unwrap_or("default") {
            "default" => RopeScaling::None,
            "linear" => RopeScaling::Linear { factor },
            "dynamic" => RopeScaling::Dynamic { factor },
            "llama3" => RopeScaling::Llama3 {
                factor,
                low: number("low_freq_factor", 1.0),
                high: number("high_freq_factor", 4.0),
                original,
            },
            "yarn" => RopeScaling::Yarn(YarnParts {
                factor,
                beta_fast: number("beta_fast", 32.0),
                beta_slow: number("beta_slow", 1.0),
                original,
                truncate: section.get("truncate").and_then(Value::as_bool).unwrap_or(true),
                attention_factor: self.yarn_attention_factor(section, factor),
            }),
            "longrope" | "su" => self.long_rope(section, factor, original, max, dim),
            other => {
                self.problem(format!("rotary scaling `{other}` is not known"));
                RopeScaling::None
            }
        }
    }

    fn yarn_attention_factor(&self, section: &Map<String, Value>, factor: f64) -> f64 {
        let scale = |factor: f64, m: f64| if factor <= 1.0 { 1.0 } else { 0.1 * m * factor.ln() + 1.0 };
        let number = |key: &str| self.number_in(section, key).filter(|number| *number != 0.0);
        match (number("attention_factor"), number("mscale"), number("mscale_all_dim")) {
            (Some(given), ..) => given,
            (None, Some(m), Some(all)) => scale(factor, m) / scale(factor, all),
            _ => scale(factor, 1.0),
        }
    }

    fn long_rope(
        &self,
        section: &Map<String, Value>,
        factor: f64,
        original: f64,
        max: usize,
        dim: usize,
    ) -> RopeScaling {
        let list = |key: &str| -> Vec<f64> {
            let values = section.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            let numbers: Vec<f64> = values.iter().filter_map(Value::as_f64).filter(|n| *n > 0.0).collect();
            if numbers.len() != dim / 2 {
                self.problem(format!("`{key}` has {} positive numbers, wanted {}", numbers.len(), dim / 2));
            }
            numbers
        };
        // Phi-3 writes the original length at the top level; the factor then follows from it.
        let factor = if self.map.contains_key("original_max_position_embeddings") {
            max as f64 / original
        } else {
            factor
        };
        let attention_factor = self.number_in(section, "attention_factor").unwrap_or(if factor <= 1.0 {
            1.0
        } else {
            (1.0 + factor.ln() / original.ln()).sqrt()
        });
        RopeScaling::LongRope(LongRopeParts {
            short: list("short_factor"),
            long: list("long_factor"),
            original: original as usize,
            attention_factor,
        })
    }
}
