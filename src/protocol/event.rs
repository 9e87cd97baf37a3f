//! What the worker tells.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{
    Analysis, Catalog, ConvertReport, ConvertedRow, DeviceStats, Estimate, EvalMetrics, FolderReport,
    HandoffReport, HubEvent, ImportReport, MemoryForecast, MergeInto, ModelReport, Padding, PredictPlan,
    PredictReport, PredictedRow, PreviewRow, PreviewSource, RequestId, RunConfig, RunId, RunReport,
    SampleMetrics, StepMetrics, SuiteReport, SuiteRow, Text, TokenLosses, UserError, Verdict,
};

/// What is counted of long work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Rows, tensors, steps: whatever the stage speaks of.
    #[default]
    Count,
    Bytes,
}

impl Unit {
    /// For serde: what an older reader takes it for anyway.
    fn is_count(&self) -> bool {
        *self == Self::Count
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The first event: what this engine offers and where it computes.
    Ready {
        catalog: Box<Catalog>,
        device: DeviceReport,
        /// Every device that a run may be given, by the names that `train.devices` has for them.
        #[serde(default)]
        devices: Vec<DeviceReport>,
    },
    /// Long work moves. `total` 0 means unknown.
    Progress {
        request: RequestId,
        stage: Text,
        done: u64,
        total: u64,
        #[serde(default, skip_serializing_if = "Unit::is_count")]
        unit: Unit,
        seconds_left: Option<f64>,
    },
    Inspected {
        request: RequestId,
        report: Box<ModelReport>,
    },
    /// Comes a second time, with the total, when the rows of a large file were shown before they were counted.
    Preview {
        request: RequestId,
        rows: Vec<PreviewRow>,
        /// How the rows were read; None where a client has no use for it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        source: Option<Box<PreviewSource>>,
    },
    /// Rows that hold what was looked for (1-based). `scanned` is the last row looked at.
    Found {
        request: RequestId,
        rows: Vec<u64>,
        scanned: u64,
        /// Whether the end of the data was reached.
        complete: bool,
    },
    Estimated {
        request: RequestId,
        estimate: Box<Estimate>,
    },
    /// The verdict so far, while a check goes on.
    Checking {
        request: RequestId,
        verdict: Box<Verdict>,
        rows_done: u64,
    },
    Checked {
        request: RequestId,
        verdict: Box<Verdict>,
    },
    Run {
        request: RequestId,
        run: RunId,
        update: RunEvent,
    },
    Scored {
        request: RequestId,
        rows: u64,
        tokens: u64,
        #[serde(deserialize_with = "crate::number::or_nan")]
        mean_logprob: f64,
        #[serde(deserialize_with = "crate::number::or_nan")]
        perplexity: f64,
    },
    /// A piece of generated text, as soon as it is whole characters.
    Delta {
        request: RequestId,
        text: String,
        ids: Vec<u32>,
    },
    Generated {
        request: RequestId,
        text: String,
        ids: Vec<u32>,
        stats: GenerateStats,
    },
    /// The answer to [`crate::Command::RenderPrompt`]. `text` is what was encoded; empty for a prompt of ids.
    Rendered {
        request: RequestId,
        text: String,
        ids: Vec<u32>,
        /// The piece of each id, as the vocabulary writes it.
        tokens: Vec<String>,
    },
    VocabularyExtended {
        request: RequestId,
        dir: PathBuf,
        /// The first new id, and how many there are.
        first: u64,
        tokens: u64,
        /// What they change on the sample.
        gain: Text,
        notes: Vec<Text>,
    },
    Exported {
        request: RequestId,
        report: ExportReport,
    },
    ExportForecast {
        request: RequestId,
        /// What would be written.
        bytes: u64,
        /// What the disk has; 0 if unknown.
        free_bytes: u64,
    },
    Benched {
        request: RequestId,
        report: BenchReport,
    },
    PredictPlanned {
        request: RequestId,
        plan: Box<PredictPlan>,
    },
    /// Answers, in the input's order.
    Predicted {
        request: RequestId,
        rows: Vec<PredictedRow>,
    },
    PredictionEnded {
        request: RequestId,
        report: Box<PredictReport>,
    },
    /// The table so far, while an evaluation goes on.
    Evaluating {
        request: RequestId,
        rows: Vec<SuiteRow>,
        done: u64,
        total: u64,
    },
    Evaluated {
        request: RequestId,
        report: Box<SuiteReport>,
    },
    Evaluations {
        request: RequestId,
        dir: PathBuf,
        reports: Vec<SuiteReport>,
    },
    EvaluationsWritten {
        request: RequestId,
        path: PathBuf,
    },
    Analyzed {
        request: RequestId,
        analysis: Box<Analysis>,
    },
    RowScored {
        request: RequestId,
        losses: Box<TokenLosses>,
    },
    Conversion {
        request: RequestId,
        rows: Vec<ConvertedRow>,
    },
    Converted {
        request: RequestId,
        report: Box<ConvertReport>,
    },
    Runs {
        request: RequestId,
        dir: PathBuf,
        runs: Vec<RunReport>,
    },
    /// A run's history, in parts: `report` comes with the last one.
    RunRead {
        request: RequestId,
        dir: PathBuf,
        steps: Vec<StepMetrics>,
        evals: Vec<EvalMetrics>,
        samples: Vec<SampleMetrics>,
        report: Option<Box<RunReport>>,
    },
    Deleted {
        request: RequestId,
        dir: PathBuf,
    },
    ProjectRead {
        request: RequestId,
        path: PathBuf,
        config: Box<RunConfig>,
    },
    ProjectWritten {
        request: RequestId,
        path: PathBuf,
    },
    Folder {
        request: RequestId,
        report: Box<FolderReport>,
    },
    HandedOff {
        request: RequestId,
        report: Box<HandoffReport>,
    },
    RunImported {
        request: RequestId,
        report: Box<ImportReport>,
    },
    Hub {
        request: RequestId,
        update: HubEvent,
    },
    /// How busy the device is: once a second while it works, and once when it rests again.
    Device {
        stats: DeviceStats,
    },
    /// A newer request made this one void ([`crate::Wish::Supersede`]).
    Superseded {
        request: RequestId,
    },
    /// The request failed. Said once.
    Failed {
        request: Option<RequestId>,
        error: Box<UserError>,
    },
    /// The worker has ended; nothing follows.
    Stopped,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceKind {
    Cpu,
    Cuda,
    /// Any GPU, in builds with the feature `wgpu`.
    Wgpu,
}

impl DeviceKind {
    /// Whether it computes beside the CPU, with memory and a queue of its own.
    pub const fn is_gpu(self) -> bool {
        !matches!(self, Self::Cpu)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceReport {
    pub kind: DeviceKind,
    pub index: u32,
    pub name: String,
    pub memory_bytes: u64,
    /// One line: why this device, or what to install for a better one.
    pub note: Option<Text>,
}

impl DeviceReport {
    /// As `train.devices` and `--device` name it.
    pub fn word(&self) -> String {
        match self.kind {
            DeviceKind::Cpu => format!("cpu:{}", self.index),
            DeviceKind::Cuda => format!("cuda:{}", self.index),
            DeviceKind::Wgpu => format!("wgpu:{}", self.index),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "update", rename_all = "snake_case")]
pub enum RunEvent {
    /// The run was checked and will begin (or go on) at `first_step`.
    Planned {
        dir: PathBuf,
        summary: Box<RunSummary>,
    },
    Stepped {
        steps: Vec<StepMetrics>,
        seconds_left: Option<f64>,
    },
    Evaluated {
        eval: EvalMetrics,
    },
    /// What the model answers to one of `train.samples` at an evaluation.
    Sampled {
        sample: SampleMetrics,
    },
    /// From this step on the schedule's rate is multiplied by `factor`.
    RateChanged {
        step: u64,
        factor: f64,
    },
    Saved {
        step: u64,
        dir: PathBuf,
    },
    /// The device's memory is free; `Control::resume` goes on.
    Paused {
        step: u64,
    },
    Resumed {
        step: u64,
    },
    /// Something the user should know that does not end the run.
    Notice {
        text: Text,
    },
    Ended {
        outcome: Outcome,
    },
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunSummary {
    pub first_step: u64,
    pub total_steps: u64,
    pub train_rows: u64,
    pub validation_rows: u64,
    pub trainable_parameters: u64,
    pub parameters: u64,
    pub forecast: MemoryForecast,
    pub device: String,
    pub dtype: String,
    /// What of the batches is padding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub padding: Option<Padding>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    Finished {
        reason: StopReason,
        step: u64,
        result: PathBuf,
        eval_loss: Option<f64>,
        seconds: f64,
        /// The most memory that this session of the run took, beyond what the program had before, as the forecast counts
        /// it; 0 if unknown.
        #[serde(default)]
        peak_bytes: u64,
    },
    Failed {
        error: Box<UserError>,
    },
    /// A panic in the worker: the window lives on, the newest checkpoint can be resumed.
    Crashed {
        message: String,
        log: Option<PathBuf>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    Completed,
    /// `Control::stop`.
    Stopped,
    EarlyStopped,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GenerateStats {
    pub prompt_tokens: u64,
    pub new_tokens: u64,
    pub prefill_seconds: f64,
    pub decode_seconds: f64,
    /// `end-token`, `stop-text`, `length` or `stopped`.
    pub finish: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExportReport {
    pub dir: PathBuf,
    pub files: Vec<String>,
    pub bytes: u64,
    pub seconds: f64,
    pub verify: Option<VerifyReport>,
    /// Of an adapter that was trained on a quantised model, where the result was verified.
    #[serde(default)]
    pub merge: Option<MergeReport>,
    /// What the user should know about the result; not fatal.
    #[serde(default)]
    pub notes: Vec<Text>,
}

/// The exported model against the live one, on the same rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VerifyReport {
    pub rows: u64,
    pub tokens: u64,
    #[serde(deserialize_with = "crate::number::or_nan")]
    pub max_abs_logit_difference: f64,
    #[serde(deserialize_with = "crate::number::or_nan")]
    pub mean_abs_logit_difference: f64,
    #[serde(deserialize_with = "crate::number::or_nan")]
    pub allowed_difference: f64,
    /// Greedy continuations that came out the same, of `greedy_total`.
    pub greedy_equal: u64,
    pub greedy_total: u64,
    pub passed: bool,
}

/// Both ways to merge an adapter of a quantised model, against that model with the adapter, on the same rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MergeReport {
    /// How the model's matrices were kept in training.
    pub quantization: String,
    /// What was written.
    pub into: MergeInto,
    pub rows: u64,
    pub tokens: u64,
    pub original: LogitDifference,
    pub dequantised: LogitDifference,
}

/// How far two models are apart.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogitDifference {
    #[serde(deserialize_with = "crate::number::or_nan")]
    pub max: f64,
    #[serde(deserialize_with = "crate::number::or_nan")]
    pub mean: f64,
}

impl MergeReport {
    /// Which of the two is nearer to what was trained, on average.
    pub fn nearer(&self) -> MergeInto {
        if self.original.mean < self.dequantised.mean { MergeInto::Original } else { MergeInto::Dequantised }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BenchReport {
    pub device: String,
    pub dtype: String,
    pub parameters: u64,
    pub trainable_parameters: u64,
    pub tokens_per_s: f64,
    pub seconds_per_step: Vec<f64>,
    #[serde(deserialize_with = "crate::number::each_or_nan")]
    pub losses: Vec<f64>,
    pub seconds_to_first_step: f64,
    pub peak_memory_bytes: u64,
    pub model_flops_per_token: f64,
    /// Parts of a step in seconds: data, forward, head, backward, optimizer.
    pub phases: Vec<(String, f64)>,
}
