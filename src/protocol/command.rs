//! What a client asks of the worker.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::config::VocabularyConfig;
use crate::{
    AnalysisRequest, ConvertRequest, HandoffRequest, HubCommand, HubSettings, PredictRequest, RequestId,
    RunConfig, RunOrigin, SuiteRequest,
};

/// A model folder and, optionally, adapters on it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ModelRef {
    pub path: PathBuf,
    /// Adapter folders; the first one is active where a command takes only one and there are no weights.
    pub adapters: Vec<PathBuf>,
    /// A factor for each adapter, when all of them act together; empty where they take turns.
    #[serde(default)]
    pub weights: Vec<f64>,
    /// Works the adapters into the loaded matrices, so that answers come faster; asked otherwise, these are put back
    /// as they were.
    #[serde(default)]
    pub merged: bool,
    /// `auto`, `f32`, `bf16` or `f16`.
    pub dtype: String,
    /// As `model.quantization` of a run file; empty: `none`.
    #[serde(default)]
    pub quantization: String,
    /// Keys of config.json to replace.
    pub overrides: serde_json::Map<String, serde_json::Value>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Command {
    Inspect {
        request: RequestId,
        model: ModelRef,
    },
    /// Rows as the model will see them; runs on the data thread.
    Preview {
        request: RequestId,
        config: Box<RunConfig>,
        base: PathBuf,
        first: u64,
        count: u64,
    },
    /// The next rows after `after` (1-based; 0: from the start) whose fields or rendering hold `text`; case is
    /// ignored. Runs on the data thread.
    Find {
        request: RequestId,
        config: Box<RunConfig>,
        base: PathBuf,
        text: String,
        after: u64,
        limit: u64,
    },
    /// What the settings cost and which matrices they train, from the model's headers alone: no row is read, so
    /// that a form can ask at every change. What a check has found helps if it is known: `steps` is the length of
    /// the learning-rate curve, `longest` the longest row in tokens (else rows of `max_length` are reckoned with).
    /// Runs on the data thread.
    Estimate {
        request: RequestId,
        config: Box<RunConfig>,
        base: PathBuf,
        steps: Option<u64>,
        #[serde(default)]
        longest: Option<u64>,
    },
    /// The verdict on the whole dataset and the memory forecast; runs on the data thread.
    Check {
        request: RequestId,
        config: Box<RunConfig>,
        base: PathBuf,
    },
    Run(RunCommand),
    Score {
        request: RequestId,
        score: ScoreRequest,
    },
    Generate {
        request: RequestId,
        generate: GenerateRequest,
    },
    /// A prompt as a model would get it, without asking the model; runs on the data thread.
    RenderPrompt {
        request: RequestId,
        model: ModelRef,
        prompt: Prompt,
    },
    Export {
        request: RequestId,
        export: ExportRequest,
    },
    /// What an export would write, and whether the disk has room for it; runs on the data thread.
    ForecastExport {
        request: RequestId,
        export: ExportRequest,
    },
    /// Makes an extended tokenizer in a folder of its own, and measures it on the texts of `sample`; runs on the
    /// thread of passes. Paths are absolute.
    ExtendVocabulary {
        request: RequestId,
        model: PathBuf,
        vocabulary: Box<VocabularyConfig>,
        sample: Vec<PathBuf>,
        out: PathBuf,
    },
    Bench {
        request: RequestId,
        bench: BenchRequest,
    },
    /// What [`Command::Predict`] would do, and the first prompts; runs on the data thread.
    PlanPredict {
        request: RequestId,
        predict: Box<PredictRequest>,
    },
    /// An answer for each row of a file.
    Predict {
        request: RequestId,
        predict: Box<PredictRequest>,
    },
    /// A model against a set of questions.
    Evaluate {
        request: RequestId,
        evaluate: Box<SuiteRequest>,
    },
    /// Reports of earlier evaluations below a folder (None: where they go by default), newest first; runs on the
    /// files thread.
    ListEvaluations {
        request: RequestId,
        dir: Option<PathBuf>,
    },
    /// Writes reports side by side as a table, CSV or Markdown by the name of `out`; runs on the files thread.
    WriteEvaluations {
        request: RequestId,
        dirs: Vec<PathBuf>,
        out: PathBuf,
    },
    /// What is in a dataset; runs on the thread of passes unless a model must be asked.
    Analyze {
        request: RequestId,
        analysis: Box<AnalysisRequest>,
    },
    /// How hard each token of a row is for a model. `config` says how rows become tokens.
    ScoreRow {
        request: RequestId,
        config: Box<RunConfig>,
        base: PathBuf,
        /// 1-based.
        row: u64,
        model: ModelRef,
        /// The model of the run under way is asked, between two of its steps.
        live: bool,
    },
    /// The first rows in another format; runs on the data thread.
    PreviewConversion {
        request: RequestId,
        convert: Box<ConvertRequest>,
        first: u64,
        count: u64,
    },
    /// Writes the dataset in another format; runs on the thread of passes.
    Convert {
        request: RequestId,
        convert: Box<ConvertRequest>,
        out: PathBuf,
    },
    /// The runs of a folder (None: where runs go by default), newest first; runs on the files thread.
    ListRuns {
        request: RequestId,
        dir: Option<PathBuf>,
    },
    /// Everything a run recorded; runs on the files thread.
    ReadRun {
        request: RequestId,
        dir: PathBuf,
    },
    /// Removes a run folder, which must be one, and in which nobody works; runs on the files thread.
    DeleteRun {
        request: RequestId,
        dir: PathBuf,
    },
    /// Reads a run file; runs on the files thread.
    ReadProject {
        request: RequestId,
        path: PathBuf,
    },
    /// Writes the settings as a run file; paths become relative to it where they lie below its folder. Runs on the
    /// files thread.
    WriteProject {
        request: RequestId,
        path: PathBuf,
        config: Box<RunConfig>,
        /// What relative paths in `config` are relative to.
        base: PathBuf,
    },
    /// What lies in a folder (None: the user's home) of the engine's machine; runs on the files thread.
    ListFolder {
        request: RequestId,
        dir: Option<PathBuf>,
    },
    /// Writes a folder with which the run can be trained on other machines.
    HandOff {
        request: RequestId,
        handoff: Box<HandoffRequest>,
    },
    /// Makes a run folder in `out` of what a handed-off run wrote in `dir`, which holds what [`Command::HandOff`] wrote. `model`
    /// is the base model here; None where `origin` names it or the folder has a copy. With `origin` the run can go on here.
    ImportRun {
        request: RequestId,
        dir: PathBuf,
        model: Option<PathBuf>,
        origin: Option<RunOrigin>,
        out: PathBuf,
    },
    /// Something of a hub; runs on the hub thread, looks beside a transfer, one transfer after the other.
    Hub {
        request: RequestId,
        settings: HubSettings,
        hub: HubCommand,
    },
    /// Finish what is under way and end.
    Shutdown,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum RunCommand {
    /// `base` is what relative paths of the run file are relative to; `source` its text, kept in the run
    /// folder as given.
    Start { request: RequestId, config: Box<RunConfig>, base: PathBuf, source: String, out: PathBuf },
    /// Continue in a run folder from its newest sound checkpoint.
    Resume { request: RequestId, dir: PathBuf },
}

/// Log-probability of each token given those before it, for every row of a JSONL file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScoreRequest {
    pub model: ModelRef,
    pub input: PathBuf,
    pub output: PathBuf,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatMessage {
    pub role: String,
    pub content: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Prompt {
    /// Continued as it is, with the tokenizer's own special tokens in front.
    Text(String),
    Ids(Vec<u32>),
    /// Rendered with the chat template and a generation prompt.
    Messages(Vec<ChatMessage>),
    /// The same with another template than the model's own: what `data.template` of a run file can be, a file by
    /// its absolute path. A live model answers with the template of its run in any case.
    Templated {
        messages: Vec<ChatMessage>,
        template: String,
    },
}

/// How the next token is drawn. Order of application: repetition penalty, temperature, top-k, top-p.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sampling {
    /// 0 is greedy.
    pub temperature: f64,
    pub top_p: f64,
    /// 0 is off.
    pub top_k: u64,
    /// 1 is off; the rule of CTRL (Keskar et al. 2019) over prompt and generated tokens.
    pub repetition_penalty: f64,
    pub seed: u64,
    pub max_new_tokens: u64,
    /// Extra texts that end the answer.
    pub stop: Vec<String>,
    /// Go on after an end token (for comparisons with other programs).
    pub ignore_eos: bool,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            temperature: 0.7,
            top_p: 0.9,
            top_k: 0,
            repetition_penalty: 1.0,
            seed: 42,
            max_new_tokens: 256,
            stop: Vec::new(),
            ignore_eos: false,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GenerateRequest {
    pub model: ModelRef,
    /// Which of `model.adapters` speaks; None is the base. Switching keeps the loaded base.
    pub adapter: Option<usize>,
    /// The model of the run under way answers, between two of its steps: with what it has learned so far, or
    /// (when `adapter` is None and this is `Some(false)`) without. None: `model` is loaded.
    #[serde(default)]
    pub live: Option<bool>,
    pub prompt: Prompt,
    pub sampling: Sampling,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportTarget(pub String);

/// What an adapter that was trained on a quantised model is merged into.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MergeInto {
    /// The weights as the folder holds them: more precise than what was trained.
    #[default]
    Original,
    /// What the codes stand for: what was trained.
    Dequantised,
}

impl MergeInto {
    /// The name of this choice among the parameters of an export target.
    pub const KEY: &str = "merge_into";
    pub const ALL: [Self; 2] = [Self::Original, Self::Dequantised];

    pub fn name(self) -> &'static str {
        match self {
            Self::Original => "original",
            Self::Dequantised => "dequantised",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|into| into.name() == name)
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExportRequest {
    pub model: ModelRef,
    /// Id in the `targets!` registry: `merged`, `adapter`, `gguf`.
    pub target: ExportTarget,
    /// `keep`, `f32`, `f16`, `bf16`, or for `gguf` `q8_0`.
    pub dtype: String,
    pub out: PathBuf,
    /// For adapters that were trained on a quantised model.
    #[serde(default)]
    pub merge_into: MergeInto,
    /// Reload what was written and compare it with the live model.
    pub verify: bool,
    /// Rows for `verify`, as in a score input; the run's own validation rows when empty.
    pub rows: Option<PathBuf>,
    /// The largest file written, in bytes.
    pub shard_bytes: u64,
}

/// A made-up Llama for `bench`, with random weights.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BenchShape {
    pub hidden_size: u64,
    pub intermediate_size: u64,
    pub layers: u64,
    pub heads: u64,
    pub kv_heads: u64,
    pub vocab_size: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BenchRequest {
    /// A model folder, or …
    pub model: Option<ModelRef>,
    /// … a made-up model.
    pub shape: Option<BenchShape>,
    pub dtype: String,
    /// Method id and its parameters, as in a run file.
    pub method: crate::config::MethodConfig,
    pub batch_size: u64,
    pub length: u64,
    pub steps: u64,
    pub warmup: u64,
}
