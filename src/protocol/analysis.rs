//! Knowing a dataset: what is in it beyond what a verdict must know.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{Histogram, RunConfig, Text, TokenRole};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AnalysisRequest {
    pub config: Box<RunConfig>,
    /// What relative paths in `config` are relative to.
    pub base: PathBuf,
    pub checks: AnalysisChecks,
    /// Writes the rows that are kept.
    pub filter: Option<FilterRequest>,
}

/// What is looked for. Lengths, languages, openings and endings are always told.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AnalysisChecks {
    /// Jaccard similarity of shingles from which rows are near-duplicates, above 0 to 1.
    pub near_duplicates: Option<f64>,
    /// Rows of the training files in the validation files.
    pub leaks: bool,
    /// Evaluation sets (files or folders) that the training rows are compared with.
    pub contamination: Vec<PathBuf>,
    /// Instruction-following difficulty by the run file's model (Li et al. 2024, "From Quantity to Quality").
    pub ifd: bool,
    /// Which text the instruction is put in.
    pub ifd_prompt: IfdPrompt,
    /// How many rows a diverse subset has: k-center greedy over the model's embeddings (Sener & Savarese 2018).
    pub diverse: Option<u64>,
}

/// The text in which an answer is scored. The first two are those of Cherry LLM's code (`cherry_seletion/data_analysis.py`),
/// which holds both against the answer behind `### Response:` alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IfdPrompt {
    /// Alpaca's prompt, with or without input; it ends with `### Response:`, and the answer follows at once.
    #[default]
    Alpaca,
    /// The instruction, `\nInput:` and the input if there is one, then `\n\n### Response:`.
    Wiz,
    /// The prompt that the run file trains with: its chat template, its answer's end. Held against the same answer behind
    /// an empty question.
    Template,
}

impl IfdPrompt {
    pub const ALL: [Self; 3] = [Self::Alpaca, Self::Wiz, Self::Template];

    /// As a command line and JSON have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Alpaca => "alpaca",
            Self::Wiz => "wiz",
            Self::Template => "template",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|prompt| prompt.name() == name)
    }
}

impl AnalysisChecks {
    /// Whether a model must be loaded.
    pub fn ask_the_model(&self) -> bool {
        self.ifd || self.diverse.is_some()
    }
}

/// Which rows are left out of the filtered file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FilterRequest {
    /// A jsonl file; `OUT.reasons.jsonl` beside it says of every row that was left out why.
    pub out: PathBuf,
    /// Of near-duplicates, all but the first.
    pub near_duplicates: bool,
    pub leaks: bool,
    pub contaminated: bool,
    /// Codes of the languages that are kept, as in [`LanguageShare`]; `cmn` is all of Chinese. Empty: all.
    pub languages: Vec<String>,
    /// Rows with an IFD above 1 are left out, and of the others this share with the highest is kept.
    pub ifd_share: Option<f64>,
    /// Only the diverse subset is kept.
    pub diverse: bool,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Analysis {
    pub rows: u64,
    /// Rows that cannot be read or encoded.
    pub unusable: u64,
    /// Tokens by who wrote them, as rows are trained on: behind the cut at `max_length`.
    pub lengths: Vec<RoleLengths>,
    /// Most frequent first.
    pub languages: Vec<LanguageShare>,
    /// How answers begin and end, most frequent first.
    pub openings: Vec<Frequent>,
    pub endings: Vec<Frequent>,
    /// The largest groups, a thousand at most.
    pub near_duplicates: Option<Vec<NearDuplicates>>,
    /// Rows that are nearly the same as an earlier one, in all groups.
    pub near_duplicate_rows: u64,
    /// A thousand at most.
    pub leaks: Option<Vec<Overlap>>,
    /// Training rows that stand in the validation rows.
    pub leaked_rows: u64,
    /// A thousand at most; the similarity is the share of the question that the row has.
    pub contamination: Option<Vec<Overlap>>,
    /// Training rows that stand in an evaluation set.
    pub contaminated_rows: u64,
    pub ifd: Option<IfdReport>,
    /// Rows (1-based, over all files) of the diverse subset, in the order of choice.
    pub diverse: Option<Vec<u64>>,
    pub filtered: Option<FilterReport>,
    pub notes: Vec<Text>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RoleLengths {
    pub role: TokenRole,
    /// Turns (or texts) of this role.
    pub turns: u64,
    pub tokens: u64,
    pub longest: u64,
    pub lengths: Histogram,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LanguageShare {
    /// ISO 639-3, such as `eng`; for Chinese with the script behind it where that can be told, `cmn-Hans` or `cmn-Hant`.
    /// Empty where it cannot be told.
    pub code: String,
    pub name: Text,
    pub rows: u64,
    /// 1-based rows, the first hundred at most.
    pub examples: Vec<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frequent {
    pub text: String,
    pub count: u64,
    /// 1-based rows, the first hundred at most.
    pub rows: Vec<u64>,
}

/// Rows that say nearly the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NearDuplicates {
    /// 1-based, over all files, ascending; a hundred at most.
    pub rows: Vec<u64>,
    /// How many rows there are.
    #[serde(default)]
    pub count: u64,
    /// The least similarity with the first of them.
    pub similarity: f64,
    /// How the first begins.
    pub text: String,
}

/// A training row that stands, nearly, elsewhere.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Overlap {
    /// 1-based.
    pub row: u64,
    pub file: PathBuf,
    /// 1-based row in `file`.
    pub file_row: u64,
    pub similarity: f64,
    pub text: String,
}

/// IFD = mean loss of the answer behind its instruction ÷ mean loss of the answer alone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct IfdReport {
    pub scores: Vec<IfdScore>,
    /// Rows without a score: too long, no answer, several turns.
    pub unscored: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct IfdScore {
    /// 1-based.
    pub row: u64,
    /// Mean cross-entropy in nats.
    #[serde(deserialize_with = "crate::number::or_nan")]
    pub conditioned: f64,
    #[serde(deserialize_with = "crate::number::or_nan")]
    pub direct: f64,
    #[serde(deserialize_with = "crate::number::or_nan")]
    pub ifd: f64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FilterReport {
    pub out: PathBuf,
    /// The file that says why.
    pub reasons: PathBuf,
    pub kept: u64,
    /// Rows left out for each reason; a row counts once, for the first.
    pub dropped: Vec<(Text, u64)>,
}

/// What a model makes of the tokens of one row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TokenLosses {
    /// 1-based.
    pub row: u64,
    pub ids: Vec<u32>,
    pub tokens: Vec<String>,
    /// Cross-entropy in nats of each token given those before it; None for the first.
    pub losses: Vec<Option<f32>>,
    /// What the model would have said in its place.
    pub best: Vec<Option<String>>,
    /// Whether the token bears loss in training.
    pub loss_mask: Vec<bool>,
}
