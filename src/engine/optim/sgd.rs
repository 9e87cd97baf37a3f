//! Stochastic gradient descent with momentum, as `torch.optim.SGD` computes it: no dampening, and the weight decay is
//! part of the gradient.

use burn::tensor::{DType, Tensor};
use protocol::config::TrainConfig;
use protocol::{ParamKind, ParamSpec, Result, Text};

use super::{OptimizerEntry, Rule, Settings, Slots, Subject, Update};

pub const OPTIMIZER: OptimizerEntry = OptimizerEntry {
    id: "sgd",
    name: Text::fixed("SGD", "SGD"),
    help: Text::fixed(
        "The plain gradient with momentum; wants a much higher learning rate than AdamW",
        "带动量的普通梯度下降；学习率应远高于 AdamW",
    ),
    params,
    ignores: &["betas", "eps"],
    whole_models_only: false,
    on_host: false,
    state_bytes,
    rule,
};

fn params() -> Vec<ParamSpec> {
    vec![
        ParamSpec {
            key: "momentum".into(),
            name: Text::fixed("Momentum", "动量"),
            help: Text::fixed(
                "Share of the last step in this one; 0 needs no memory",
                "上一步在本步中的占比；0 不占内存",
            ),
            kind: ParamKind::Number { default: 0.9, min: 0.0, max: 0.999_999 },
            advanced: false,
        },
        ParamSpec {
            key: "nesterov".into(),
            name: Text::fixed("Nesterov", "Nesterov"),
            help: Text::fixed("Looks one step of the momentum ahead", "沿动量方向前瞻一步"),
            kind: ParamKind::Switch { default: false },
            advanced: true,
        },
    ]
}

fn state_bytes(settings: &Settings, subject: &Subject<'_>) -> u64 {
    if settings.number("momentum") > 0.0 { 4 * subject.elements() as u64 } else { 0 }
}

fn rule(_: &TrainConfig, settings: &Settings) -> Box<dyn Rule> {
    Box::new(Sgd { momentum: settings.number("momentum"), nesterov: settings.switch("nesterov") })
}

struct Sgd {
    momentum: f64,
    nesterov: bool,
}

impl Rule for Sgd {
    fn update(
        &self,
        slots: &mut Slots,
        subject: &Subject<'_>,
        value: Tensor<1>,
        gradient: Tensor<1>,
        update: &Update,
    ) -> Result<Tensor<1>> {
        let mut step = gradient.cast(DType::F32) * update.grad_scale.clone();
        if update.weight_decay != 0.0 {
            step = step + value.clone() * update.weight_decay;
        }
        if self.momentum > 0.0 {
            let moment = slots.take(subject.name, "m", subject.elements(), &value.device());
            let moment = moment * self.momentum + step.clone();
            step = if self.nesterov { step + moment.clone() * self.momentum } else { moment.clone() };
            slots.put(subject.name, "m", moment)?;
        }
        Ok(value - step * update.lr)
    }
}
