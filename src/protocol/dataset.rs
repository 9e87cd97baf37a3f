//! What `preview`, `check` and the Data panel show.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{MemoryForecast, Remedy, Text, UserError, text};

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
    /// What else is to be said of it: what was cut or read in another way, which of several answers it shows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Text>,
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SourceReport {
    pub file: PathBuf,
    /// What holds the rows, and what lies around that: `jsonl, gzip`.
    pub container: String,
    pub format: String,
    /// Why this format was chosen.
    pub reason: Text,
    pub rows: u64,
    /// Of the file on disk.
    pub bytes: u64,
    /// How often its rows are drawn in an epoch.
    #[serde(default = "once")]
    pub weight: f64,
    /// Of its rows that can be used; 0 where they were not looked at.
    #[serde(default)]
    pub tokens: u64,
    /// The part that its tokens have in an epoch, by its weight; none for files of validation rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
}

fn once() -> f64 {
    1.0
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
    /// What of the run's batches is padding; None where nothing can be trained on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub padding: Option<Padding>,
    /// False when a finding refuses the run.
    pub ok: bool,
}

/// Shares of the positions of a run's batches that hold no token, 0 to 1: of the first epoch, which is like the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Padding {
    /// With the settings as they stand.
    pub share: f64,
    /// Each row by itself, as rows come.
    pub plain: f64,
    /// With `train.group_by_length`; None where rows are not shuffled.
    pub grouped: Option<f64>,
    /// With `data.packing`; None where model or method cannot.
    pub packed: Option<f64>,
    /// Rows of an epoch that packing leaves.
    pub packed_rows: Option<u64>,
    /// Rows that go through the model in an epoch, with the settings as they stand.
    pub rows: u64,
}

impl Padding {
    /// `37 %`
    pub fn percent(share: f64) -> String {
        format!("{:.0} %", share * 100.0)
    }

    /// `37 % · by length 4 % · packed 1 % in 1204 rows`
    pub fn words(&self) -> Text {
        let now = Self::percent(self.share);
        let grouped = self.grouped.map(Self::percent);
        let grouped = grouped.map(|share| text!(" · by length {share}", " · 按长度分组 {share}"));
        let packed = self.packed.zip(self.packed_rows).map(|(share, rows)| {
            let share = Self::percent(share);
            text!(" · packed {share} in {rows} rows", " · 打包 {share}，共 {rows} 行")
        });
        let none = || Text::fixed("", "");
        let (grouped, packed) = (grouped.unwrap_or_else(none), packed.unwrap_or_else(none));
        let ((en, zh), (more_en, more_zh)) = ((grouped.en, grouped.zh), (packed.en, packed.zh));
        text!("{now}{en}{more_en}", "{now}{zh}{more_zh}")
    }
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
    /// What precedes the answer is longer than `max_source_length`.
    LongSource,
    /// The answer is longer than `max_target_length`.
    LongTarget,
    /// A `<` that opens no special token of CPM-Bee: it is read as a character.
    Escaped,
    /// No token of the row bears loss.
    NoLabels,
    EmptyAnswer,
    Duplicate,
    /// A validation row that is trained on, too.
    Leak,
    /// The answer is not followed by a token that ends it: the model would not learn to stop.
    NoEndToken,
    /// Padding and end of sequence are the same token.
    PadIsEos,
    /// The row cannot be read.
    BadRow,
    /// A token id beyond the model's embedding.
    BadTokenId,
    Empty,
    /// How many blocks joined texts make.
    Joined,
    /// What the extended vocabulary changes.
    Vocabulary,
    /// Most of what goes through the model is padding.
    Padding,
    /// Which files a folder or a pattern gave.
    Files,
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
