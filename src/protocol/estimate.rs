//! What settings cost, before anything is loaded.

use serde::{Deserialize, Serialize};

use crate::{MemoryForecast, UserError};

/// The answer to [`crate::Command::Estimate`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// Of the model, adapters left out.
    pub parameters: u64,
    pub trainable: u64,
    /// The adapter's files on disk; for a full fine-tune, the model's.
    pub adapter_bytes: u64,
    pub forecast: MemoryForecast,
    /// Every matrix the method adapts, in the model's order.
    pub targets: Vec<TargetReport>,
    /// Optimizer steps the curve below spans; 0 when unknown.
    pub steps: u64,
    /// Learning rate at evenly spaced updates, the first and the last included; at most 256.
    pub learning_rates: Vec<f64>,
    /// Everything that speaks against these settings.
    pub problems: Vec<UserError>,
}

/// One matrix under a method.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TargetReport {
    /// Module path as in [`crate::LinearReport`].
    pub path: String,
    /// 0 for methods without a rank.
    pub rank: u64,
    pub alpha: f64,
    /// Trainable parameters here.
    pub parameters: u64,
}
