//! AdamW (Loshchilov and Hutter 2017, arXiv:1711.05101), as `torch.optim.AdamW` computes it: state in
//! f32, decay decoupled, epsilon added after the bias correction.

use burn::tensor::Tensor;
use protocol::config::TrainConfig;
use protocol::{Result, Text};

use super::{OptimizerEntry, Rule, Settings, Slots, Subject, Trained, Update, one_by_one};
use crate::nn::ops::{self, AdamWArgs, Moments};

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
        let moments = taken(slots, subject, value, gradient);
        let mut updated = ops::adamw(vec![moments], &self.args(update));
        let [value, m, v] = updated.pop().expect("as many as there were");
        put(slots, subject, m, v)?;
        Ok(value)
    }

    fn update_all(
        &self,
        slots: &mut Slots,
        params: Vec<Trained<'_>>,
        update: &Update,
    ) -> Result<Vec<Tensor<1>>> {
        // States come from the host for one parameter at a time.
        if slots.on_host() {
            return one_by_one(self, slots, params, update);
        }
        let (subjects, moments): (Vec<_>, Vec<_>) = params
            .into_iter()
            .map(|Trained { subject, value, gradient }| (subject, taken(slots, &subject, value, gradient)))
            .unzip();
        let updated = ops::adamw(moments, &self.args(update));
        let kept = |(subject, [value, m, v]): (Subject<'_>, [Tensor<1>; 3])| {
            put(slots, &subject, m, v)?;
            Ok(value)
        };
        subjects.into_iter().zip(updated).map(kept).collect()
    }
}

/// The parameter with its moments, which are taken out of the slots.
fn taken(slots: &mut Slots, subject: &Subject<'_>, param: Tensor<1>, gradient: Tensor<1>) -> Moments {
    let device = param.device();
    let mut moment = |kind| slots.take(subject.name, kind, subject.elements(), &device);
    let (m, v) = (moment("m"), moment("v"));
    Moments { param, gradient, m, v }
}

fn put(slots: &mut Slots, subject: &Subject<'_>, m: Tensor<1>, v: Tensor<1>) -> Result<()> {
    slots.put(subject.name, "m", m)?;
    slots.put(subject.name, "v", v)
}
