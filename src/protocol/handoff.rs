//! A run that goes on elsewhere: what is handed to a cluster, and what comes back.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{RunConfig, Text};

/// A folder with everything a run needs on other machines.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HandoffRequest {
    pub config: Box<RunConfig>,
    /// What relative paths in `config` are relative to.
    pub base: PathBuf,
    /// What the run is called there.
    pub name: String,
    /// Id of one of the catalog's [`engines`](crate::Catalog::engines).
    pub engine: String,
    pub out: PathBuf,
    /// For the lines that start it.
    pub nodes: u64,
    /// Cards of a node.
    pub cards: u64,
    /// Where the base model is there: a folder, or its name on the hub; empty: a folder of the model's own name, beside the
    /// script.
    pub model: String,
    /// Whether the model's files are copied into the folder.
    pub copy_model: bool,
}

/// What was written.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HandoffReport {
    pub dir: PathBuf,
    /// Relative to `dir`, sorted.
    pub files: Vec<String>,
    pub bytes: u64,
    /// Rows of training and validation, as tokens.
    pub train_rows: u64,
    pub validation_rows: u64,
    pub tokens: u64,
    pub steps: u64,
    /// Lines that start it: on how many machines, and what to type.
    pub launches: Vec<Launch>,
    /// What the user should know.
    pub notes: Vec<Text>,
}

/// A way to start the handed-off run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Launch {
    pub name: Text,
    /// To be typed in the folder.
    pub line: String,
}

/// The run file that was handed over, as it lies on the machine that a run comes back to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunOrigin {
    pub config: Box<RunConfig>,
    /// What relative paths in `config` are relative to.
    pub base: PathBuf,
    /// Nobody said that it is this one. If its settings differ the run comes back without it, instead of not at all.
    #[serde(default)]
    pub guessed: bool,
}

/// What came back from elsewhere, as a run folder.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ImportReport {
    pub dir: PathBuf,
    pub step: u64,
    pub total_steps: u64,
    /// The adapter; None where only a checkpoint came.
    pub result: Option<PathBuf>,
    /// Step of the newest checkpoint.
    pub checkpoint: Option<u64>,
    pub evaluations: u64,
    pub notes: Vec<Text>,
}
