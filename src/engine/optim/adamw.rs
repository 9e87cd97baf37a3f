//! AdamW (Loshchilov and Hutter 2017, arXiv:1711.05101), as `torch.optim.AdamW` computes it: state in
//! f32, decay decoupled, epsilon added after the bias correction.

use burn::tensor::Tensor;
use protocol::config::TrainConfig;
use protocol::{Result, Text};

use super::{OptimizerEntry, Rule, Settings, Slots, Subject, Update};
use crate::nn::ops::{self, AdamWArgs};

pub const OPTIMIZER: OptimizerEntry = OptimizerEntry {
    id: "adamw",
    name: Text::fixed("AdamW", "AdamW"),
    help: Text::fixed(
        "The usual choice; two f32 moments for each trained number",
        "通常的选择；每个训练参数保存两个 f32 动量",
    ),
    params: Vec::new,
    ignores: &[],
    whole_models_only: false,
    on_host: false,
    state_bytes,
    rule,
};

/// The two moments.
pub(super) fn state_bytes(_: &Settings, subject: &Subject<'_>) -> u64 {
    8 * subject.elements() as u64
}

pub(super) fn rule(config: &TrainConfig, _: &Settings) -> Box<dyn Rule> {
    Box::new(AdamW::of(config))
}

/// Decay of the moments, and what is added to the root of the second.
#[derive(Clone, Copy, Debug)]
pub(super) struct AdamW {
    betas: [f64; 2],
    eps: f64,
}

impl AdamW {
    pub fn of(config: &TrainConfig) -> Self {
        Self { betas: config.betas, eps: config.eps }
    }

    /// The numbers of one update.
    pub fn args(&self, update: &Update) -> AdamWArgs {
        AdamWArgs {
            lr: update.lr,
            beta1: self.betas[0],
            beta2: self.betas[1],
            eps: self.eps,
            weight_decay: update.weight_decay,
            step: update.step,
            grad_scale: update.grad_scale.clone(),
        }
    }
}

impl Rule for AdamW {
    fn update(
        &self,
        slots: &mut Slots,
        subject: &Subject<'_>,
        value: Tensor<1>,
        gradient: Tensor<1>,
        update: &Update,
    ) -> Result<Tensor<1>> {
        let device = value.device();
        let mut moment = |kind| slots.take(subject.name, kind, subject.elements(), &device);
        let (first, second) = (moment("m"), moment("v"));
        let (value, first, second) = ops::adamw(value, gradient, first, second, self.args(update));
        slots.put(subject.name, "m", first)?;
        slots.put(subject.name, "v", second)?;
        Ok(value)
    }
}
