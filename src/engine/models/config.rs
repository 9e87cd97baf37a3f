//! Reading a model's config.json, in all its spellings. Numbers from files are checked before
//! anything is sized by them.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use protocol::{Result, Text, UserError, text};
use serde_json::{Map, Value};

use crate::nn::Activation;

/// No published model has a dimension beyond this; a file that does is damaged or hostile.
const LARGEST_SIZE: u64 = 1 << 24;
/// Nor has one more layers, or more heads or experts in a layer, than this.
const LARGEST_COUNT: usize = 4096;

/// Keys of configs that name no `model_type` (the original files of CPM), the first one there decides.
const IMPLIED: [(&str, &str); 2] =
    [("position_bias_num_segment_buckets", "cpmbee"), ("prompt_types", "cpmant")];

/// A config.json with the user's overrides applied.
#[derive(Debug)]
pub struct ConfigJson {
    map: Map<String, Value>,
    overrides: Map<String, Value>,
    file: PathBuf,
    tensors: Option<BTreeSet<String>>,
    problems: RefCell<Vec<String>>,
}

impl ConfigJson {
    /// The config.json of a folder; of a GGUF model without one, what its metadata say.
    pub fn open(dir: &Path, overrides: &Map<String, Value>) -> Result<Self> {
        let file = dir.join("config.json");
        let gguf = if file.is_file() { None } else { data::gguf::find(dir)? };
        let (mut map, file) = match gguf {
            Some(files) => crate::weights::gguf::config(&files)?,
            None => (read(&file)?, file),
        };
        map.extend(overrides.clone());
        Ok(Self { map, overrides: overrides.clone(), file, tensors: None, problems: RefCell::default() })
    }

    /// From values alone: made-up models of the benchmark.
    pub fn from_map(map: Map<String, Value>) -> Self {
        let (overrides, problems) = (Map::new(), RefCell::default());
        Self { map, overrides, file: PathBuf::from("config.json"), tensors: None, problems }
    }

    /// Tells what tensors lie beside the config, where it leaves things to be found out from them.
    pub fn with_tensors(self, names: impl Iterator<Item = String>) -> Self {
        Self { tensors: Some(names.collect()), ..self }
    }

    /// Names of the tensors beside the config; none where only the config is read.
    pub fn tensors(&self) -> Option<&BTreeSet<String>> {
        self.tensors.as_ref()
    }

    /// With values for keys that are absent (not those that are null): what the reference's class has by itself, and
    /// files therefore leave out. `defaults` is a JSON object.
    pub fn with_defaults(&self, defaults: &Value) -> Self {
        let mut map = defaults.as_object().cloned().unwrap_or_default();
        map.extend(self.map.clone());
        self.with_map(map)
    }

    /// The config of a part of the model, under `key`, with the user's overrides applied.
    pub fn section(&self, key: &str) -> Option<Self> {
        let mut map = self.map.get(key)?.as_object()?.clone();
        map.extend(self.overrides.clone());
        Some(self.with_map(map))
    }

    fn with_map(&self, map: Map<String, Value>) -> Self {
        let Self { overrides, file, tensors, problems, .. } = self;
        Self {
            map,
            overrides: overrides.clone(),
            file: file.clone(),
            tensors: tensors.clone(),
            problems: problems.clone(),
        }
    }

    pub fn raw(&self) -> &Map<String, Value> {
        &self.map
    }

    pub fn file(&self) -> &Path {
        &self.file
    }

    /// `model_type`; where the file has none, what a key that only one kind of config has implies.
    pub fn model_type(&self) -> &str {
        let given = self.map.get("model_type").and_then(Value::as_str);
        let implied = || IMPLIED.iter().find(|(key, _)| self.map.contains_key(*key)).map(|(_, kind)| *kind);
        given.or_else(implied).unwrap_or("")
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

    /// How many layers, heads or experts: a [`size`](Self::size) that so many tensors or slopes are made for, before any
    /// file is looked at.
    pub fn count(&self, key: &str) -> usize {
        let count = self.size(key);
        if count > LARGEST_COUNT {
            self.problem(format!("`{key}` is {count}, wanted at most {LARGEST_COUNT}"));
            return 1;
        }
        count
    }

    /// A number above 0; None where the key is absent or null.
    pub fn positive(&self, key: &str) -> Option<f64> {
        let number = self.number_in(&self.map, key)?;
        if number > 0.0 {
            return Some(number);
        }
        self.problem(format!("`{key}` is {number}, wanted more than 0"));
        None
    }

    /// Like [`size`](Self::size), where 0 and an absent key mean 0.
    pub fn size_or_zero(&self, key: &str) -> usize {
        match self.map.get(key) {
            None | Some(Value::Null) => 0,
            Some(zero) if zero.as_u64() == Some(0) => 0,
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

    /// The activation under the first of `keys` that is there.
    pub fn activation(&self, keys: &[&str], default: Activation) -> Activation {
        let name = keys.iter().find_map(|key| self.map.get(*key).and_then(Value::as_str));
        name.map_or(default, |name| {
            Activation::from_name(name).unwrap_or_else(|| {
                self.problem(format!("activation `{name}` is not known"));
                default
            })
        })
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

    pub(super) fn number_in(&self, map: &Map<String, Value>, key: &str) -> Option<f64> {
        let value = map.get(key).filter(|value| !value.is_null())?;
        let number = value.as_f64().filter(|number| number.is_finite());
        if number.is_none() {
            self.problem(format!("`{key}` is {value}, wanted a number"));
        }
        number
    }
}

fn read(file: &Path) -> Result<Map<String, Value>> {
    let bytes = std::fs::read(file).map_err(|err| {
        UserError::io(Text::fixed("read the model's config.json", "读取模型的 config.json"), file, &err)
            .mend(Text::fixed(
                "choose a Hugging Face model folder: one with config.json, weights and tokenizer files; or a .gguf file",
                "请选择 Hugging Face 模型文件夹：其中应有 config.json、权重和分词器文件；或选择 .gguf 文件",
            ))
    })?;
    serde_json::from_slice(&bytes).map_err(|err| {
        UserError::bad_input(text!(
            "config.json is not a JSON object: {err}",
            "config.json 不是 JSON 对象：{err}"
        ))
        .in_file(file)
    })
}
