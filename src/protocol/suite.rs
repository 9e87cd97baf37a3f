//! Evaluation suites: a model, perhaps with and without its adapters, against a set of questions.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{ModelRef, Text};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SuiteRequest {
    /// Id in the `suites!` registry: `mmlu`, `perplexity`, …
    pub suite: String,
    /// A folder or file in the suite's published layout.
    pub data: PathBuf,
    pub model: ModelRef,
    /// Asks the model without its adapters, too, and tells the difference.
    pub compare: bool,
    /// The suite's own settings, by the keys of its descriptor (`shots`, …).
    pub settings: Map<String, Value>,
    /// Items of each subject at most; 0: all.
    pub limit: u64,
    /// Tokens, padding included, that go through the model at once; 0: as many as serve.
    pub batch_tokens: u64,
    /// Folder for `report.json` and `items.jsonl`; an unfinished evaluation in it goes on. None: `evals/` of the run
    /// that made the adapter, else of the place where runs go by default.
    pub out: Option<PathBuf>,
}

/// A suite's outcome.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SuiteReport {
    pub suite: String,
    pub data: PathBuf,
    /// SHA-256 over the files that were read.
    pub data_hash: String,
    pub model: PathBuf,
    pub adapters: Vec<PathBuf>,
    pub settings: Map<String, Value>,
    pub limit: u64,
    /// When it ended: RFC 3339, local time.
    pub when: String,
    /// Where it is kept.
    pub dir: PathBuf,
    /// The whole first, then groups, then subjects.
    pub rows: Vec<SuiteRow>,
    pub seconds: f64,
    pub notes: Vec<Text>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SuiteLevel {
    Total,
    Group,
    Subject,
}

/// A line of the table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SuiteRow {
    pub level: SuiteLevel,
    pub name: String,
    /// Of a subject, the groups that it is in; the first is what it is listed under.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    pub items: u64,
    pub metrics: Vec<SuiteMetric>,
}

/// One figure of a line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SuiteMetric {
    /// `acc`, `acc_norm`, `perplexity`, `rouge-l`, …
    pub name: String,
    pub higher_is_better: bool,
    /// Of the model without adapters; None where it was not asked.
    pub base: Option<Measured>,
    /// Of the model with them; None where there are none.
    pub tuned: Option<Measured>,
    /// tuned − base over the same items.
    pub difference: Option<Measured>,
}

/// A figure with its 95 % confidence interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    #[serde(deserialize_with = "crate::number::or_nan")]
    pub value: f64,
    #[serde(deserialize_with = "crate::number::or_nan")]
    pub low: f64,
    #[serde(deserialize_with = "crate::number::or_nan")]
    pub high: f64,
}
