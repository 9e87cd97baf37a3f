//! The run file, as the user wrote it (`run.toml`). What it resolves to is the engine's `RunPlan`.

mod loss_scale;
mod parse;
mod vocabulary;
mod write;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use loss_scale::LossScale;
pub use parse::{about, nearest, parse_run_file};
pub use vocabulary::{InitialRows, RowsTrained, VocabularyConfig};
pub use write::run_file_text;

use crate::RepoKind;

/// A complete run. Every key has a default, except the model's path and the training files.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunConfig {
    pub model: ModelConfig,
    pub vocabulary: VocabularyConfig,
    pub data: DataConfig,
    pub method: MethodConfig,
    pub train: TrainConfig,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ModelConfig {
    /// A folder in Hugging Face's layout, or a repository of a hub: `hf:org/name`, `ms:org/name@revision`.
    pub path: PathBuf,
    /// `auto` (bf16 on CUDA, f32 on the CPU), `f32`, `bf16` or `f16`.
    pub dtype: String,
    /// How the frozen matrices of the blocks are kept: `none`, `nf4`, `nf4-double` or `int8`.
    pub quantization: String,
    /// Keys of config.json to replace.
    pub overrides: serde_json::Map<String, Value>,
    /// Start from random weights drawn by `train.seed`; the folder then needs no weight files.
    pub from_scratch: bool,
}

impl RunConfig {
    /// Changes every path that may name a repository of a hub instead: a client puts the folder there.
    pub fn change_places(&mut self, change: &impl Fn(RepoKind, &mut PathBuf)) {
        change(RepoKind::Model, &mut self.model.path);
        change(RepoKind::Model, &mut self.method.init_from);
        self.data.change_paths(|path| change(RepoKind::Dataset, path));
    }
}

impl Default for ModelConfig {
    fn default() -> Self {
        Self {
            path: PathBuf::new(),
            dtype: "auto".into(),
            quantization: "none".into(),
            overrides: serde_json::Map::new(),
            from_scratch: false,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DataConfig {
    /// csv, tsv, json, jsonl, txt or parquet files, packed (gzip, zstd) or not; folders of such files; patterns such as
    /// `shards/*.jsonl`; datasets of a hub (`hf:org/name`).
    pub train: Vec<PathBuf>,
    /// How often the rows of an entry of `train` (written as there), or of one file of it, are drawn in an epoch: 0.5 is
    /// half of them, 2 is each twice; 1 where nothing is said.
    #[serde(deserialize_with = "crate::number::by_name_or_nan")]
    pub weights: BTreeMap<String, f64>,
    /// `auto`, or the id of a dataset format.
    pub format: String,
    /// `auto` (the model's chat template, else its family's known one), the name of a preset, a file, or the template itself (a text with `{{` or
    /// `{%` in it).
    pub template: String,
    /// Field of the format → column name or minijinja expression.
    pub columns: BTreeMap<String, String>,
    pub validation: Validation,
    /// Stands in front of the first question of every row.
    pub source_prefix: String,
    /// In tokens.
    pub max_length: u64,
    /// Tokens of what precedes the last answer, as ChatGLM's scripts cut it; 0: no limit of its own.
    pub max_source_length: u64,
    /// Tokens of the last answer, as ChatGLM's scripts cut it; 0: no limit of its own.
    pub max_target_length: u64,
    pub on_too_long: OnTooLong,
    /// Plain texts, each with its end token, are joined one behind the other and cut into blocks of `max_length`, as for
    /// continued pre-training: a block sees all its texts, and no row is too long. With `packing` texts stay apart.
    pub join_texts: bool,
    /// Several examples share a row of `max_length` tokens, and do not see each other.
    pub packing: bool,
    pub train_on: TrainOn,
    /// Rows whose tokens are all masked are left out instead of refusing the run.
    pub allow_unlabelled: bool,
    /// Rows that cannot be read are left out and counted instead of refusing the run.
    pub skip_bad_rows: bool,
}

impl Default for DataConfig {
    fn default() -> Self {
        Self {
            train: Vec::new(),
            weights: BTreeMap::new(),
            format: "auto".into(),
            template: "auto".into(),
            columns: BTreeMap::new(),
            validation: Validation::Fraction(0.05),
            source_prefix: String::new(),
            max_length: 1024,
            max_source_length: 0,
            max_target_length: 0,
            on_too_long: OnTooLong::Truncate,
            join_texts: false,
            packing: false,
            train_on: TrainOn::Responses,
            allow_unlabelled: false,
            skip_bad_rows: false,
        }
    }
}

impl DataConfig {
    /// Changes the paths of all data, wherever they stand.
    pub fn change_paths(&mut self, change: impl Fn(&mut PathBuf)) {
        self.train.iter_mut().for_each(&change);
        if let Validation::Files(files) = &mut self.validation {
            files.iter_mut().for_each(&change);
        }
        let weights = std::mem::take(&mut self.weights).into_iter();
        let changed = |(key, weight): (String, f64)| {
            let mut path = PathBuf::from(&key);
            change(&mut path);
            // A key is a text, whatever a path may be.
            (path.into_os_string().into_string().unwrap_or(key), weight)
        };
        self.weights = weights.map(changed).collect();
    }
}

/// A fraction of the training rows, or files (folders, patterns) of their own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Validation {
    Fraction(#[serde(deserialize_with = "crate::number::or_nan")] f64),
    Files(Vec<PathBuf>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnTooLong {
    Truncate,
    Drop,
    /// Cut into examples of the maximal length, one behind the other.
    Split,
    Error,
}

/// Which tokens bear loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TrainOn {
    Responses,
    LastResponse,
    Everything,
}

/// A method's id and its own settings, which only the method's descriptor knows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MethodConfig {
    pub kind: String,
    /// Continue from an adapter folder.
    pub init_from: PathBuf,
    #[serde(flatten)]
    pub params: serde_json::Map<String, Value>,
}

impl Default for MethodConfig {
    fn default() -> Self {
        Self { kind: "lora".into(), init_from: PathBuf::new(), params: serde_json::Map::new() }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TrainConfig {
    #[serde(deserialize_with = "crate::number::or_nan")]
    pub epochs: f64,
    /// 0: by epochs.
    pub max_steps: u64,
    /// Rows a micro-batch; packed ones count as one.
    pub batch_size: u64,
    pub gradient_accumulation: u64,
    #[serde(deserialize_with = "crate::number::or_nan")]
    pub learning_rate: f64,
    pub scheduler: String,
    /// What the schedule has of its own; its descriptor knows the keys.
    pub scheduler_settings: serde_json::Map<String, Value>,
    /// Wins over `warmup_ratio` when not 0.
    pub warmup_steps: u64,
    #[serde(deserialize_with = "crate::number::or_nan")]
    pub warmup_ratio: f64,
    pub optimizer: String,
    /// What the optimizer has of its own; its descriptor knows the keys.
    pub optimizer_settings: serde_json::Map<String, Value>,
    #[serde(deserialize_with = "crate::number::both_or_nan")]
    pub betas: [f64; 2],
    #[serde(deserialize_with = "crate::number::or_nan")]
    pub eps: f64,
    #[serde(deserialize_with = "crate::number::or_nan")]
    pub weight_decay: f64,
    /// 0: no clipping.
    #[serde(deserialize_with = "crate::number::or_nan")]
    pub max_grad_norm: f64,
    pub loss_scale: LossScale,
    pub shuffle: bool,
    /// Batches of rows of near length: less padding, in an order that is a little less random.
    pub group_by_length: bool,
    pub seed: u64,
    /// In optimizer steps; 0: only at the end.
    pub eval_every: u64,
    /// Prompts the model answers at each evaluation, greedily, to be read beside the figures.
    pub samples: Vec<String>,
    /// The longest such answer, in tokens.
    pub sample_tokens: u64,
    /// In optimizer steps; 0: only at the end.
    pub save_every: u64,
    pub keep_checkpoints: u64,
    /// Evaluations without improvement before the run ends; 0: never.
    pub early_stop_patience: u64,
    /// Keep the checkpoint with the lowest validation loss and end with it.
    pub keep_best: bool,
    /// Steps in a row that may come out not finite before the run ends.
    pub max_skipped_steps: u64,
    /// `auto` (what the device has), or a size such as `"8GB"`: of each device.
    pub memory_budget: String,
    /// The devices that share the run, such as `["cuda:0", "cuda:1"]`; empty: the engine's own.
    pub devices: Vec<String>,
    pub parallel: Parallel,
}

/// How several devices share a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Parallel {
    /// By rows where the model fits each device, else by layers.
    #[default]
    Auto,
    /// Each device has the whole model and trains its share of every batch.
    Data,
    /// Each device has some of the blocks, and the batch goes through all of them.
    Layers,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            epochs: 3.0,
            max_steps: 0,
            batch_size: 4,
            gradient_accumulation: 1,
            learning_rate: 2e-4,
            scheduler: "cosine".into(),
            scheduler_settings: serde_json::Map::new(),
            warmup_steps: 0,
            warmup_ratio: 0.03,
            optimizer: "adamw".into(),
            optimizer_settings: serde_json::Map::new(),
            betas: [0.9, 0.999],
            eps: 1e-8,
            weight_decay: 0.0,
            max_grad_norm: 1.0,
            loss_scale: LossScale::Dynamic,
            shuffle: true,
            group_by_length: false,
            seed: 42,
            eval_every: 50,
            samples: Vec::new(),
            sample_tokens: 64,
            save_every: 100,
            keep_checkpoints: 2,
            early_stop_patience: 0,
            keep_best: false,
            max_skipped_steps: 3,
            memory_budget: "auto".into(),
            devices: Vec::new(),
            parallel: Parallel::Auto,
        }
    }
}
