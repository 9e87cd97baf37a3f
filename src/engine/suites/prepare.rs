//! A suite's questions, before anybody is asked.

use data::suites::{Ask, Load, Loaded, Suite};
use data::{Encoder, Progress};
use protocol::config::{DataConfig, OnTooLong, TrainOn, nearest};
use protocol::{Result, SuiteRequest, Text, UserError, text};
use serde_json::{Map, Value};

use super::folder;
use super::journal::Subject;
use crate::predict::Training;
use crate::session::Loaded as LoadedModel;
use crate::settings;

/// A suite's questions as a request wants them.
pub struct Prepared {
    pub suite: &'static Suite,
    pub settings: Map<String, Value>,
    pub loaded: Loaded,
    pub data_hash: String,
    training: Option<Training>,
}

impl Prepared {
    /// Reads the questions.
    ///
    /// # Errors
    /// When there is no such suite, a setting is unknown, or the data is not laid out as the suite's is.
    pub fn new(wanted: &SuiteRequest, progress: &dyn Progress) -> Result<Self> {
        let suite = Suite::find(&wanted.suite).ok_or_else(|| unknown(&wanted.suite))?;
        let training = Training::of(&wanted.model)?;
        let params = (suite.params)();
        let mut given = wanted.settings.clone();
        if let Some(training) = &training {
            let knows = |key: &str| params.iter().any(|param| param.key == key);
            as_in_training(&mut given, &training.data, knows);
        }
        let settings = settings::resolve("settings", &params, &given)?;
        let load = Load { path: &wanted.data, settings: &settings, limit: wanted.limit, progress };
        let loaded = (suite.load)(&load)?;
        if loaded.items.is_empty() {
            return Err(UserError::bad_input(Text::fixed("There are no questions here", "此处没有题目"))
                .in_file(&wanted.data));
        }
        let data_hash = folder::hash_of(&loaded.files)?;
        Ok(Self { suite, settings, loaded, data_hash, training })
    }

    /// What is asked of whom.
    ///
    /// # Errors
    /// When a file of the model or of an adapter cannot be read.
    pub fn subject(&self, wanted: &SuiteRequest, device: &str) -> Result<Subject> {
        let (model, adapters) = folder::identities(&wanted.model)?;
        Ok(Subject {
            suite: wanted.suite.clone(),
            data_hash: self.data_hash.clone(),
            settings: self.settings.clone(),
            limit: wanted.limit,
            model,
            adapters,
            weights: wanted.model.weights.clone(),
            merged: wanted.model.merged,
            compare: wanted.compare,
            dtype: wanted.model.dtype.clone(),
            quantization: wanted.model.quantization.clone(),
            overrides: wanted.model.overrides.clone(),
            device: device.to_owned(),
        })
    }

    /// How rows and prompts become tokens: nothing of a prompt is cut here.
    ///
    /// # Errors
    /// When the model has no tokenizer, or the template cannot be used.
    pub fn encoder(&self, loaded: &LoadedModel, longest: usize) -> Result<Encoder> {
        let learned = self.loaded.items.iter().any(|item| matches!(item.ask, Ask::Learned { .. }));
        let trained = self.training.as_ref();
        let data = DataConfig {
            template: self.settings.get("template").and_then(Value::as_str).unwrap_or("auto").to_owned(),
            max_length: if learned { longest as u64 } else { u64::MAX },
            on_too_long: OnTooLong::Truncate,
            max_source_length: 0,
            max_target_length: 0,
            join_texts: false,
            train_on: if learned { TrainOn::Responses } else { TrainOn::LastResponse },
            ..trained.map(|training| training.data.clone()).unwrap_or_default()
        };
        let tokenizer = loaded.encoder()?.tokenizer().clone();
        let base = trained.map(|training| training.base.clone()).unwrap_or_default();
        Encoder::with_tokenizer(tokenizer, &data, &base, trained.map(|training| training.now))
    }
}

/// Rows are read as the run read its rows, where the request says nothing else.
fn as_in_training(given: &mut Map<String, Value>, data: &DataConfig, knows: impl Fn(&str) -> bool) {
    let own = ["format", "columns", "template"].iter().any(|key| given.contains_key(*key));
    if own || !knows("template") {
        return;
    }
    given.insert("format".into(), data.format.clone().into());
    given.insert("template".into(), data.template.clone().into());
    if !data.columns.is_empty() {
        given.insert("columns".into(), serde_json::json!(data.columns).to_string().into());
    }
}

fn unknown(id: &str) -> UserError {
    let ids: Vec<&str> = data::suites::SUITES.iter().map(|suite| suite.id).collect();
    let list = ids.join(", ");
    let error = UserError::bad_input(text!(
        "There is no suite `{id}`; known are {list}",
        "没有名为 `{id}` 的评测；可用：{list}"
    ))
    .at_item("--suite");
    match nearest(id, ids) {
        Some(near) => error.mend(text!("did you mean `{near}`?", "是否想写 `{near}`？")),
        None => error,
    }
}
