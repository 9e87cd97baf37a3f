//! Flags that several sub-commands share.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use protocol::{Language, ModelRef, RepoRef, Result, Sampling, Text, UserError};
use serde_json::{Map, Value};

use super::values;

/// Flags of every sub-command.
#[derive(Clone, Debug, Args)]
pub struct Common {
    /// Print the engine's events as JSON lines on stdout; logs go to stderr
    #[arg(long, global = true)]
    pub json: bool,
    /// Where to compute: auto, cpu, cuda:N; cuda:0,cuda:1 share a run
    #[arg(long, global = true, default_value = "auto", value_parser = values::device)]
    pub device: String,
    /// Language of messages (default: from LANG)
    #[arg(long, global = true, value_enum)]
    pub lang: Option<Lang>,
}

/// As typed after `--lang`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Lang {
    En,
    Zh,
}

impl From<Lang> for Language {
    fn from(lang: Lang) -> Self {
        match lang {
            Lang::En => Self::English,
            Lang::Zh => Self::Chinese,
        }
    }
}

/// A model to run, with adapters on it.
#[derive(Clone, Debug, Args)]
pub struct ModelFlags {
    /// Model folder in Hugging Face's layout, or hf:org/name@revision
    #[arg(long, value_name = "DIR")]
    pub model: PathBuf,
    /// Adapter folder in PEFT's layout; may be given again where several adapters are of use
    #[arg(long, value_name = "DIR")]
    pub adapter: Vec<PathBuf>,
    /// Factors of the adapters, when all of them act together; a negative one takes a task away
    #[arg(long, value_name = "W,…", value_delimiter = ',', allow_negative_numbers = true)]
    pub weights: Vec<f64>,
    /// Work the adapters into the loaded matrices: faster answers, nothing is written
    #[arg(long)]
    pub merged: bool,
    /// Compute in this type (auto: bf16 on CUDA, f32 on the CPU)
    #[arg(long, default_value = "auto", value_parser = ["auto", "f32", "bf16", "f16"])]
    pub dtype: String,
    #[command(flatten)]
    pub quantization: QuantizationFlag,
    #[command(flatten)]
    pub overrides: OverrideFlags,
}

impl ModelFlags {
    pub fn resolve(self) -> Result<ModelRef> {
        let model = model_ref(&self.model, &self.adapter, self.dtype, self.overrides)?;
        let quantization = self.quantization.quantization;
        Ok(ModelRef { quantization, weights: self.weights, merged: self.merged, ..model })
    }
}

/// How the matrices of the blocks are kept.
#[derive(Clone, Debug, Args)]
pub struct QuantizationFlag {
    /// Keep the matrices of the blocks in few bits, as a QLoRA run does
    #[arg(long, default_value = "none", value_parser = ["none", "nf4", "nf4-double", "int8"])]
    pub quantization: String,
}

/// Keys of config.json to replace.
#[derive(Clone, Debug, Default, Args)]
pub struct OverrideFlags {
    /// Replace a key of config.json; the value is JSON, or else text
    #[arg(long = "override", value_name = "KEY=VALUE", value_parser = values::override_pair)]
    pub overrides: Vec<(String, Value)>,
}

/// Puts a model reference together, with absolute paths.
pub fn model_ref(
    path: &Path,
    adapters: &[PathBuf],
    dtype: String,
    overrides: OverrideFlags,
) -> Result<ModelRef> {
    let overrides: Map<String, Value> = overrides.overrides.into_iter().collect();
    let adapters = adapters.iter().map(|dir| absolute(dir)).collect::<Result<_>>()?;
    Ok(ModelRef { path: absolute(path)?, adapters, dtype, overrides, ..ModelRef::default() })
}

/// The same path from the root, so that it means the same to the worker. Nothing is looked up, and a word for a
/// repository of a hub stays one.
pub fn absolute(path: &Path) -> Result<PathBuf> {
    if RepoRef::word(path).is_some() {
        return Ok(path.to_owned());
    }
    std::path::absolute(path).map_err(|err| {
        UserError::bad_input(Text::new(
            format!("A path cannot be used: {err}"),
            format!("路径无法使用：{err}"),
        ))
        .in_file(path)
    })
}

/// How the next token is drawn.
#[derive(Clone, Debug, Args)]
pub struct SamplingFlags {
    /// Longest answer, in tokens
    #[arg(long, value_name = "N", default_value_t = 256)]
    pub max_new_tokens: u64,
    /// 0 always takes the likeliest token, as `predict` does by default; higher is bolder, elsewhere 0.7 by default
    #[arg(long, value_name = "T", value_parser = values::not_negative)]
    pub temperature: Option<f64>,
    /// Draw from the smallest set of tokens whose probabilities sum to P
    #[arg(long, value_name = "P", default_value_t = 0.9, value_parser = values::probability)]
    pub top_p: f64,
    /// Draw from the K likeliest tokens; 0 is off
    #[arg(long, value_name = "K", default_value_t = 0)]
    pub top_k: u64,
    /// Make tokens that were already there less likely; 1 is off
    #[arg(long, value_name = "R", default_value_t = 1.0, value_parser = values::positive)]
    pub repetition_penalty: f64,
    /// The same seed draws the same answer
    #[arg(long, value_name = "S", default_value_t = 42)]
    pub seed: u64,
    /// Text that ends the answer; may be given again
    #[arg(long, value_name = "TEXT")]
    pub stop: Vec<String>,
    /// Go on after an end token
    #[arg(long)]
    pub ignore_eos: bool,
}

impl From<SamplingFlags> for Sampling {
    fn from(flags: SamplingFlags) -> Self {
        Self {
            temperature: flags.temperature.unwrap_or(Self::default().temperature),
            top_p: flags.top_p,
            top_k: flags.top_k,
            repetition_penalty: flags.repetition_penalty,
            seed: flags.seed,
            max_new_tokens: flags.max_new_tokens,
            stop: flags.stop,
            ignore_eos: flags.ignore_eos,
        }
    }
}
