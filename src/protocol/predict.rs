//! Batch prediction: one answer for each row of a file.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{ModelRef, Sampling, Text};

/// What is asked of every row of a file, and where the answers go.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PredictRequest {
    /// The first adapter answers, or all of them where they have weights.
    pub model: ModelRef,
    /// csv, json, jsonl, parquet or txt, also compressed.
    pub input: PathBuf,
    /// As `data.format` of a run file; empty: as the run that made the adapter read its rows.
    pub format: String,
    /// As `data.columns`: field → column or minijinja expression. Empty: as that run had them.
    pub columns: BTreeMap<String, String>,
    /// As `data.template`; empty: that run's, else `auto`.
    pub template: String,
    /// csv, json or jsonl, by its name.
    pub output: PathBuf,
    /// In this order; empty: the input's columns and `answer`.
    pub output_columns: Vec<OutputColumn>,
    /// The answer is the one of these with the highest log-likelihood; empty: it is generated.
    pub choices: Vec<String>,
    /// Column of the right answer; empty: none.
    pub label: String,
    pub sampling: Sampling,
    /// Tokens, padding included, that go through the model at once; 0: as many as serve.
    pub batch_tokens: u64,
    /// Goes on behind the rows that the output has already; otherwise an existing output is refused.
    pub resume: bool,
}

/// A column of the output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputColumn {
    pub name: String,
    /// A column of the input, `answer`, or a minijinja expression over both.
    pub value: String,
}

/// What a prediction would do, before it does it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PredictPlan {
    /// Rows of the input; None until they are counted.
    pub total: Option<u64>,
    /// Rows that the output has already.
    pub done: u64,
    /// Columns of the input.
    pub columns: Vec<String>,
    pub output_columns: Vec<OutputColumn>,
    /// The first rows as the model would see them.
    pub prompts: Vec<PredictPrompt>,
    /// Format and template that were chosen.
    pub format: String,
    pub template: Option<String>,
    /// What the user should look at: above all, a prompt that differs from the one in training.
    pub warnings: Vec<Text>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PredictPrompt {
    /// 1-based.
    pub row: u64,
    pub text: String,
    pub tokens: u64,
    /// Why this row cannot be asked.
    pub error: Option<Text>,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PredictedRow {
    /// 1-based.
    pub row: u64,
    /// The output's columns, in order.
    pub values: Vec<String>,
    pub answer: String,
    /// The right answer, where a label column was named.
    pub label: Option<String>,
    /// Log-likelihood of each choice, in nats.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "crate::number::each_or_nan")]
    pub choices: Vec<f64>,
    /// As in [`crate::GenerateStats`]; `choice` where one was chosen.
    pub finish: String,
    /// Why there is no answer; its place in the output stays empty.
    pub error: Option<Text>,
}

/// How often which label was answered how.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confusion {
    /// In the order of rows and columns.
    pub labels: Vec<String>,
    /// `counts[label][answer]`; answers that are no label are in the last column, one more than there are labels.
    pub counts: Vec<Vec<u64>>,
}

/// A figure with its name: `accuracy`, `macro-f1`, …
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    pub name: String,
    #[serde(deserialize_with = "crate::number::or_nan")]
    pub value: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PredictReport {
    pub output: PathBuf,
    pub rows: u64,
    /// Of these, rows that were there from before.
    pub resumed: u64,
    /// Rows without an answer, those from before among them; `OUTPUT.failed.jsonl` says why.
    pub failed: u64,
    pub seconds: f64,
    /// Tokens that were generated, or scored as choices.
    pub tokens: u64,
    /// Over the rows that have a label.
    pub scores: Vec<Score>,
    pub confusion: Option<Confusion>,
    pub notes: Vec<Text>,
    /// False where it was stopped before the last row.
    pub complete: bool,
}
