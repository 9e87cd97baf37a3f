//! Lion (Chen et al. 2023, arXiv:2302.06675, algorithm 2): the sign of an interpolated momentum, decay decoupled.

use burn::tensor::{DType, Tensor};
use protocol::config::TrainConfig;
use protocol::{ParamKind, ParamSpec, Result, Text};

use super::{OptimizerEntry, Rule, Settings, Slots, Subject, Update};

pub const OPTIMIZER: OptimizerEntry = OptimizerEntry {
    id: "lion",
    name: Text::fixed("Lion", "Lion"),
    help: Text::fixed(
        "Steps of equal size by the sign of one moment; wants a learning rate three to ten times lower than AdamW",
        "按单个动量的符号等幅更新；学习率应为 AdamW 的三分之一到十分之一",
    ),
    params,
    ignores: &["betas", "eps"],
    whole_models_only: false,
    on_host: false,
    state_bytes: |_, subject| 4 * subject.elements() as u64,
    rule,
};

fn params() -> Vec<ParamSpec> {
    let beta = |key: &str, name: Text, help: Text, default: f64| ParamSpec {
        key: key.into(),
        name,
        help,
        kind: ParamKind::Number { default, min: 0.0, max: 0.999_999 },
        advanced: true,
    };
    vec![
        beta(
            "beta1",
            Text::fixed("Lion beta 1", "Lion beta 1"),
            Text::fixed("Share of the moment in a step's direction", "动量在更新方向中的占比"),
            0.9,
        ),
        beta(
            "beta2",
            Text::fixed("Lion beta 2", "Lion beta 2"),
            Text::fixed("Memory of the moment", "动量的衰减系数"),
            0.99,
        ),
    ]
}

fn rule(_: &TrainConfig, settings: &Settings) -> Box<dyn Rule> {
    Box::new(Lion { betas: [settings.number("beta1"), settings.number("beta2")] })
}

struct Lion {
    betas: [f64; 2],
}

impl Rule for Lion {
    fn update(
        &self,
        slots: &mut Slots,
        subject: &Subject<'_>,
        value: Tensor<1>,
        gradient: Tensor<1>,
        update: &Update,
    ) -> Result<Tensor<1>> {
        let gradient = gradient.cast(DType::F32) * update.grad_scale.clone();
        let moment = slots.take(subject.name, "m", subject.elements(), &value.device());
        let mixed = |beta: f64| moment.clone() * beta + gradient.clone() * (1.0 - beta);
        let direction = mixed(self.betas[0]).sign();
        let value = value * (1.0 - update.lr * update.weight_decay) - direction * update.lr;
        slots.put(subject.name, "m", mixed(self.betas[1]))?;
        Ok(value)
    }
}
