//! `[vocabulary]`: tokens that the model's tokenizer lacks.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// New tokens, where they come from and how their rows are learned. Nothing is extended by the defaults.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct VocabularyConfig {
    /// A folder that holds an extended tokenizer already: of `emberwright vocabulary`, a run's `tokenizer`, an
    /// adapter. The keys that make tokens must then be empty.
    pub extended: PathBuf,
    pub tokens: Vec<String>,
    /// A text file, one token a line.
    pub file: PathBuf,
    /// csv, json, jsonl or txt files whose texts new tokens are learned from (BPE).
    pub train_on: Vec<PathBuf>,
    /// How many tokens are learned from `train_on`, at most.
    pub size: u64,
    /// Share of the texts' characters that learned tokens are made of: the rarest are left out.
    #[serde(deserialize_with = "crate::number::or_nan")]
    pub coverage: f64,
    /// What the rows of new tokens begin with.
    pub initialise: InitialRows,
    /// Which rows learn, besides what the method trains. Full fine-tuning trains all.
    pub train: RowsTrained,
    /// The embedding's rows are filled up to a multiple of this; 0: not at all.
    pub pad_to_multiple_of: u64,
}

impl Default for VocabularyConfig {
    fn default() -> Self {
        Self {
            extended: PathBuf::new(),
            tokens: Vec::new(),
            file: PathBuf::new(),
            train_on: Vec::new(),
            size: 1000,
            coverage: 0.9995,
            initialise: InitialRows::Pieces,
            train: RowsTrained::New,
            pad_to_multiple_of: 0,
        }
    }
}

impl VocabularyConfig {
    /// Whether tokens are to be made here.
    pub fn makes_tokens(&self) -> bool {
        !self.tokens.is_empty() || !self.file.as_os_str().is_empty() || !self.train_on.is_empty()
    }

    /// Whether the tokenizer stays as it is.
    pub fn is_off(&self) -> bool {
        !self.makes_tokens() && self.extended.as_os_str().is_empty()
    }

    /// Every path in it.
    pub fn paths_mut(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        [&mut self.extended, &mut self.file].into_iter().chain(&mut self.train_on)
    }
}

/// What the row of a new token begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InitialRows {
    /// The mean of the rows of the tokens that its text was split into before: the model then reads it nearly as
    /// it read those.
    Pieces,
    /// The mean of all rows.
    Mean,
}

/// Which rows of embedding and head an adapter trains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RowsTrained {
    New,
    All,
    None,
}
