//! What `preview`, `check` and the Data panel show.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{MemoryForecast, Remedy, Text, UserError};

/// Who a token belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenRole {
    /// Written by the template, not by anyone in the conversation.
    Template,
    System,
    User,
    Assistant,
    Tool,
    /// Plain text without roles.
    Text,
}

/// One row as the model will see it. All token lists have one entry a token, after the cut.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviewRow {
    /// 1-based row in the file.
    pub row: u64,
    pub file: PathBuf,
    /// The text that the template made; empty for `format = "tokens"`.
    pub rendered: String,
    pub ids: Vec<u32>,
    pub tokens: Vec<String>,
    /// Byte range of each token in `rendered`.
    pub offsets: Vec<(u64, u64)>,
    /// Whether the token bears loss.
    pub loss_mask: Vec<bool>,
    pub roles: Vec<TokenRole>,
    /// Length before the cut, when it was cut.
    pub truncated_from: Option<u64>,
    /// Set when this row cannot be used, with the reason.
    pub error: Option<Text>,
    /// The row as it lies in the file: column and value, long values cut.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<(String, String)>,
    /// Which piece of its row this is, from 1 on, where the row was split; its pieces follow each other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub piece: Option<u64>,
    /// Into how many pieces the row was split.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pieces: Option<u64>,
}

/// How previewed rows were read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviewSource {
    /// Rows of all training files, once they are counted.
    pub total: Option<u64>,
    /// Format id of each file with the reason for it.
    pub formats: Vec<(PathBuf, String, Option<Text>)>,
    /// Names of the columns (top-level keys) in the rows looked at.
    pub columns: Vec<String>,
    /// Where the template comes from: a preset's name or a file; None for formats that use none.
    pub template: Option<String>,
    /// Why `auto` means this template, where it is not the model's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template_reason: Option<Text>,
    /// The template's text.
    pub template_source: String,
    /// What is wrong with the template, with its line; the rows then have their fields and no tokens.
    pub template_error: Option<Box<UserError>>,
    /// What the extended vocabulary changes on these rows, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vocabulary: Option<Text>,
}

/// How a file was read, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceReport {
    pub file: PathBuf,
    pub container: String,
    pub format: String,
    /// Why this format was chosen.
    pub reason: Text,
    pub rows: u64,
    pub bytes: u64,
}

/// The verdict on a whole dataset.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    pub sources: Vec<SourceReport>,
    pub template: Option<String>,
    /// Why `auto` means this template, where it is not the model's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template_reason: Option<Text>,
    pub rows: u64,
    /// Rows that will be trained on, after drops.
    pub usable_rows: u64,
    pub validation_rows: u64,
    pub tokens: u64,
    pub learned_tokens: u64,
    pub longest: u64,
    pub max_length: u64,
    pub lengths: Histogram,
    pub findings: Vec<Finding>,
    pub forecast: Option<MemoryForecast>,
    /// Optimizer steps of the run as configured.
    pub steps: u64,
    /// False when a finding refuses the run.
    pub ok: bool,
}

/// Counts of row lengths in tokens, before the cut: `counts[i]` rows lie in `edges[i]..edges[i + 1]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Histogram {
    pub edges: Vec<u64>,
    pub counts: Vec<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Info,
    Warning,
    /// The run is refused.
    Error,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FindingKind {
    /// Longer than `max_length`.
    TooLong,
    /// No token of the row bears loss.
    NoLabels,
    EmptyAnswer,
    Duplicate,
    /// The answer is not followed by a token that ends it: the model would not learn to stop.
    NoEndToken,
    /// Padding and end of sequence are the same token.
    PadIsEos,
    /// The row cannot be read.
    BadRow,
    /// A token id beyond the model's embedding.
    BadTokenId,
    Empty,
    /// What the extended vocabulary changes.
    Vocabulary,
}

/// One observation on the dataset, with the rows it concerns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    pub kind: FindingKind,
    pub severity: Severity,
    pub count: u64,
    /// 1-based rows, the first hundred at most.
    pub rows: Vec<u64>,
    pub text: Text,
    pub mend: Option<Text>,
    /// Changes of settings that mend it, for a button each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remedies: Vec<Remedy>,
}
