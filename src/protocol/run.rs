//! What the Runs panel shows.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::RunConfig;

/// A run folder, without its history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunReport {
    pub dir: PathBuf,
    pub name: String,
    pub state: RunState,
    /// RFC 3339; when the run was first started.
    pub started: Option<String>,
    /// Wall time over all resumptions, pauses left out.
    pub seconds: f64,
    pub step: u64,
    pub total_steps: u64,
    pub last_loss: Option<f64>,
    pub last_eval_loss: Option<f64>,
    pub best_eval_loss: Option<f64>,
    /// The settings as given, and what their relative paths are relative to.
    pub config: Box<RunConfig>,
    pub base: PathBuf,
    /// Step and loss, at most 64 points: the sparkline.
    pub curve: Vec<(u64, f64)>,
    pub checkpoints: Vec<CheckpointReport>,
    /// The final adapter or model, when the run has ended.
    pub result: Option<PathBuf>,
    pub bytes: u64,
    /// None where no session has ended well.
    #[serde(default)]
    pub memory: Option<RunMemory>,
}

/// Bytes that a run was forecast to take at its height, and those that it took.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunMemory {
    pub forecast: u64,
    pub peak: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    /// Somebody works in it now.
    Running,
    Finished,
    /// It has checkpoints and no result: it can be resumed.
    Unfinished,
    /// Neither: it ended before its first checkpoint.
    Empty,
    /// It was handed to other machines, and its folder tells how far it is there.
    Elsewhere,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CheckpointReport {
    pub step: u64,
    pub dir: PathBuf,
    pub bytes: u64,
    pub eval_loss: Option<f64>,
    pub best: bool,
}
