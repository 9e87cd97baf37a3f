//! `job.json`: what the script reads.

use std::collections::BTreeMap;

use protocol::{HandoffRequest, Result, Text, UserError};
use serde::Serialize;
use serde_json::{Value, json};

use super::Cluster;
use super::start::Learns;
use crate::files::FileIdentity;
use crate::nn::Quantization;
use crate::plan::Plan;
use crate::train::{PlanFile, RunState};

/// Version of what lies in the folder.
pub const FORMAT: u32 = 1;

/// Settings of the script.
#[derive(Debug, Serialize)]
pub struct Job {
    pub format: u32,
    /// Of the program that wrote it.
    pub version: String,
    pub name: String,
    pub engine: String,
    base: Base,
    optimizer: Value,
    /// Of each tensor of the adapter's file.
    parameters: BTreeMap<String, Learns>,
    max_grad_norm: f64,
    seed: u64,
    steps: u64,
    /// Rows that go through the model together on a card, and those of a step over all cards.
    rows_per_card: u64,
    rows_per_step: u64,
    eval_every: u64,
    save_every: u64,
    keep_checkpoints: u64,
    keep_best: bool,
    early_stop_patience: u64,
    /// Steps in a row that may come out not finite.
    skips: u64,
    /// Fills a row's end.
    pad: u32,
    packing: bool,
    /// What the counters begin with.
    state: RunState,
}

#[derive(Debug, Serialize)]
struct Base {
    /// Folder or name on the hub.
    reference: String,
    family: String,
    dtype: &'static str,
    quantization: Option<Packed>,
    files: Vec<FileIdentity>,
}

/// The matrices that bitsandbytes keeps in NF4, by the names of their modules.
#[derive(Debug, Serialize)]
struct Packed {
    /// Whether the scales are in 8 bits.
    double: bool,
    modules: Vec<String>,
}

impl Packed {
    fn of(plan: &Plan) -> Option<Self> {
        let model = plan.folder.model();
        let double = model.quantization? == Quantization::Nf4Double;
        Some(Self { double, modules: model.block_linears().map(|site| site.path.clone()).collect() })
    }
}

impl Job {
    pub fn of(
        request: &HandoffRequest,
        plan: &Plan,
        (file, reference): (&PlanFile, &str),
        cluster: &Cluster,
        parameters: BTreeMap<String, Learns>,
    ) -> Self {
        let train = &plan.config.train;
        Self {
            format: FORMAT,
            version: file.version.clone(),
            name: cluster.name.clone(),
            engine: request.engine.clone(),
            base: Base {
                reference: reference.to_owned(),
                family: file.family.clone(),
                dtype: if cluster.bf16 { "bf16" } else { "f32" },
                quantization: Packed::of(plan),
                files: file.model_files.clone(),
            },
            optimizer: optimizer(plan),
            parameters,
            max_grad_norm: train.max_grad_norm,
            seed: train.seed,
            steps: plan.total_steps,
            rows_per_card: cluster.rows,
            rows_per_step: cluster.step_rows,
            eval_every: train.eval_every,
            save_every: train.save_every,
            keep_checkpoints: train.keep_checkpoints,
            keep_best: train.keep_best,
            early_stop_patience: train.early_stop_patience,
            skips: train.max_skipped_steps,
            pad: plan.pad,
            packing: plan.config.data.packing,
            state: RunState::default(),
        }
    }

    /// # Errors
    /// Never with finite settings, which a plan has.
    pub fn json(&self) -> Result<Vec<u8>> {
        serde_json::to_vec_pretty(self)
            .map_err(|err| UserError::failure(Text::new(err.to_string(), err.to_string())))
    }
}

/// As torch names the settings.
fn optimizer(plan: &Plan) -> Value {
    let (train, settings) = (&plan.config.train, &plan.optimizer.settings);
    let name = plan.optimizer.entry.id;
    match name {
        "sgd" => {
            json!({ "name": name, "momentum": settings.number("momentum"), "nesterov": settings.switch("nesterov") })
        }
        _ => json!({ "name": name, "betas": train.betas, "eps": train.eps }),
    }
}
