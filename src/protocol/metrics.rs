//! Figures of a run: the lines of `metrics.jsonl`. A figure that is not finite is `null` in it.

use serde::{Deserialize, Serialize};

use crate::Text;

/// One optimizer step, numbered from 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepMetrics {
    pub step: u64,
    /// Fractional: 1.5 is half-way through the second pass over the data.
    #[serde(deserialize_with = "crate::number::or_nan")]
    pub epoch: f64,
    /// Labelled tokens of this step, over all its micro-batches.
    pub tokens: u64,
    /// Mean cross-entropy of the labelled tokens, before the update (nats).
    #[serde(deserialize_with = "crate::number::or_nan")]
    pub loss: f64,
    #[serde(deserialize_with = "crate::number::or_nan")]
    pub lr: f64,
    /// Global L2 norm over all trainable parameters, before clipping.
    #[serde(deserialize_with = "crate::number::or_nan")]
    pub grad_norm: f64,
    /// What the loss was multiplied by for the backward pass; absent where it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss_scale: Option<f64>,
    /// All tokens fed through the model, padding left out, per second of wall time.
    #[serde(deserialize_with = "crate::number::or_nan")]
    pub tokens_per_s: f64,
    /// Memory in use by the device, or by the process on the CPU.
    pub mem_bytes: u64,
    /// Wall time since the run began, pauses left out, over all its resumptions.
    #[serde(default)]
    pub seconds: f64,
    /// Where the step's time went; absent where it cannot be told without slowing the step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phases: Option<Phases>,
    /// Set when the step was not finite and therefore not applied.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub skipped: bool,
}

/// Seconds of a step, part by part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Phases {
    /// Waiting for rows.
    pub data: f64,
    pub forward: f64,
    /// Final norm, output matrix, cross-entropy, and their gradient.
    pub head: f64,
    pub backward: f64,
    pub optimizer: f64,
}

/// An answer to one of `train.samples`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SampleMetrics {
    /// 0: before the first update.
    pub step: u64,
    pub prompt: String,
    pub answer: String,
}

/// One pass over the validation set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EvalMetrics {
    pub step: u64,
    #[serde(deserialize_with = "crate::number::or_nan")]
    pub epoch: f64,
    /// Mean cross-entropy of the validation set's labelled tokens (nats).
    #[serde(deserialize_with = "crate::number::or_nan")]
    pub eval_loss: f64,
    pub eval_tokens: u64,
    pub best: bool,
}

/// A line of `metrics.jsonl`. Step lines carry no `kind`, as the contract has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum MetricsLine {
    Eval {
        kind: EvalKind,
        #[serde(flatten)]
        eval: EvalMetrics,
    },
    Sample {
        kind: SampleKind,
        #[serde(flatten)]
        sample: SampleMetrics,
    },
    Step(StepMetrics),
}

/// The one value of a sample line's `kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SampleKind {
    Sample,
}

impl From<SampleMetrics> for MetricsLine {
    fn from(sample: SampleMetrics) -> Self {
        Self::Sample { kind: SampleKind::Sample, sample }
    }
}

/// The one value of an evaluation line's `kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EvalKind {
    Eval,
}

impl From<EvalMetrics> for MetricsLine {
    fn from(eval: EvalMetrics) -> Self {
        Self::Eval { kind: EvalKind::Eval, eval }
    }
}

impl From<StepMetrics> for MetricsLine {
    fn from(step: StepMetrics) -> Self {
        Self::Step(step)
    }
}

/// What a run will need at its peak, part by part, in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryForecast {
    pub weights: u64,
    pub trainable: u64,
    pub gradients: u64,
    pub optimizer: u64,
    /// Saved block inputs, kept graphs and one block at work.
    pub activations: u64,
    /// Of the activations: what the blocks read, waiting for the backward pass.
    #[serde(default)]
    pub inputs: u64,
    /// Of the activations: the graphs that are kept, or that of the one block at work, with its gradients.
    #[serde(default)]
    pub graphs: u64,
    /// Logits of one chunk of rows, and their gradient. They are gone when the backward pass of the blocks begins.
    pub head: u64,
    /// Keys and values of one prompt with its answer, while the model is asked.
    #[serde(default)]
    pub kv_cache: u64,
    /// What an evaluation has beside weights and optimizer, in place of activations and gradients.
    #[serde(default)]
    pub evaluation: u64,
    /// Weights that wait in the model's files, and are in none of the other figures.
    #[serde(default)]
    pub streamed: u64,
    /// The most that is there at one time: less than the sum of parts that do not meet.
    pub total: u64,
    /// What the device has; 0 if unknown.
    pub available: u64,
    pub fits: bool,
    /// How a step goes with that memory, in sentences.
    #[serde(default)]
    pub plan: Vec<Text>,
    /// Where several devices share the run: what each of them needs. The figures above are then those of the fullest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<DeviceForecast>,
}

/// What a run needs of one of its devices.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceForecast {
    /// As `train.devices` names it.
    pub device: String,
    /// Blocks of the model that it has, where layers are spread; 0: the whole model.
    pub blocks: u64,
    pub total: u64,
    /// 0 if unknown.
    pub available: u64,
}

impl MemoryForecast {
    /// What comes and goes while one block or the head works, at the peak: all that is no other part's.
    pub fn at_work(&self) -> u64 {
        let stays = [self.weights, self.trainable, self.gradients, self.optimizer, self.inputs];
        stays.into_iter().fold(self.total, u64::saturating_sub)
    }
}
