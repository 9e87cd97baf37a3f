//! Muon (Keller Jordan 2024, kellerjordan.github.io/posts/muon) for the matrices of the blocks: the momentum's nearest
//! orthogonal matrix, by five Newton-Schulz steps, as `torch.optim.Muon` (2.15) computes it, but for the products, which
//! are f32 here and bf16 there. Embeddings, head, norms and biases get AdamW, as its author has it.

use burn::tensor::{DType, Tensor};
use protocol::config::TrainConfig;
use protocol::{ParamKind, ParamSpec, Result, Text};

use super::adamw::{self, AdamW};
use super::{OptimizerEntry, Rule, Settings, Slots, Subject, Update};
use crate::nn::ops::matmul2;

pub const OPTIMIZER: OptimizerEntry = OptimizerEntry {
    id: "muon",
    name: Text::fixed("Muon", "Muon"),
    help: Text::fixed(
        "For full fine-tuning: steps that change all directions of a matrix alike; AdamW for everything that is no \
         matrix of a block. One moment instead of two",
        "用于全量微调：让矩阵的所有方向同等更新；块内矩阵之外的参数用 AdamW。只需一个动量",
    ),
    params,
    ignores: &[],
    whole_models_only: true,
    on_host: false,
    state_bytes,
    rule,
};

/// Of the quintic iteration (`ns_coefficients`).
const COEFFICIENTS: [f64; 3] = [3.4445, -4.7750, 2.0315];
/// The least that a momentum's norm counts.
const EPS: f32 = 1e-7;
/// A step as large as AdamW's is on average (Liu et al. 2025, arXiv:2502.16982), so that one learning rate fits all.
const MATCHED: &str = "match-rms-adamw";

fn params() -> Vec<ParamSpec> {
    let spec = |key: &str, name: Text, help: Text, kind: ParamKind| ParamSpec {
        key: key.into(),
        name,
        help,
        kind,
        advanced: true,
    };
    vec![
        spec(
            "momentum",
            Text::fixed("Momentum", "动量"),
            Text::fixed("Memory of the matrices' moment", "矩阵动量的衰减系数"),
            ParamKind::Number { default: 0.95, min: 0.0, max: 0.999_999 },
        ),
        spec(
            "nesterov",
            Text::fixed("Nesterov", "Nesterov"),
            Text::fixed("Looks one step of the momentum ahead", "沿动量方向前瞻一步"),
            ParamKind::Switch { default: true },
        ),
        spec(
            "steps",
            Text::fixed("Newton-Schulz steps", "Newton-Schulz 步数"),
            Text::fixed("More are nearer to an orthogonal matrix", "越多越接近正交矩阵"),
            ParamKind::Integer { default: 5, min: 1, max: 20 },
        ),
        spec(
            "scale",
            Text::fixed("Step size", "步长"),
            Text::fixed(
                "match-rms-adamw takes AdamW's learning rates; original is √max(1, outputs / inputs)",
                "match-rms-adamw 沿用 AdamW 的学习率；original 为 √max(1, 输出 / 输入)",
            ),
            ParamKind::Choice { default: MATCHED.into(), choices: vec![MATCHED.into(), "original".into()] },
        ),
    ]
}

fn state_bytes(settings: &Settings, subject: &Subject<'_>) -> u64 {
    match subject.block_matrix {
        Some(_) => 4 * subject.elements() as u64,
        None => adamw::state_bytes(settings, subject),
    }
}

fn rule(config: &TrainConfig, settings: &Settings) -> Box<dyn Rule> {
    Box::new(Muon {
        adamw: AdamW::of(config),
        momentum: settings.number("momentum"),
        nesterov: settings.switch("nesterov"),
        steps: settings.number("steps") as usize,
        matched: settings.word("scale") == MATCHED,
    })
}

struct Muon {
    adamw: AdamW,
    momentum: f64,
    nesterov: bool,
    steps: usize,
    matched: bool,
}

impl Rule for Muon {
    fn update(
        &self,
        slots: &mut Slots,
        subject: &Subject<'_>,
        value: Tensor<1>,
        gradient: Tensor<1>,
        update: &Update,
    ) -> Result<Tensor<1>> {
        let (Some(sides), [rows, columns]) = (subject.block_matrix, subject.shape) else {
            return self.adamw.update(slots, subject, value, gradient, update);
        };
        let gradient = gradient.cast(DType::F32) * update.grad_scale.clone();
        let moment = slots.take(subject.name, "m", subject.elements(), &value.device());
        let moment = moment * self.momentum + gradient.clone() * (1.0 - self.momentum);
        let direction = if self.nesterov {
            gradient * (1.0 - self.momentum) + moment.clone() * self.momentum
        } else {
            moment.clone()
        };
        slots.put(subject.name, "m", moment)?;
        let step = orthogonal(direction.reshape([*rows, *columns]), self.steps).flatten(0, 1);
        let kept = value * (1.0 - update.lr * update.weight_decay);
        Ok(kept - step * (update.lr * self.factor(sides)))
    }
}

impl Muon {
    /// What a matrix's shape does to the learning rate (`adjust_lr_fn`).
    fn factor(&self, [outputs, inputs]: [usize; 2]) -> f64 {
        let (outputs, inputs) = (outputs as f64, inputs as f64);
        if self.matched { 0.2 * outputs.max(inputs).sqrt() } else { (outputs / inputs).max(1.0).sqrt() }
    }
}

/// Newton-Schulz: X ← aX + (bA + cA²)X with A = XXᵀ, from X of norm 1 or less; the wider side is the second.
fn orthogonal(matrix: Tensor<2>, steps: usize) -> Tensor<2> {
    let [rows, columns] = matrix.dims();
    let turned = rows > columns;
    let mut x = if turned { matrix.transpose() } else { matrix };
    let norm = x.clone().square().sum().sqrt().clamp_min(EPS);
    x = x / norm.unsqueeze();
    let [a, b, c] = COEFFICIENTS;
    for _ in 0..steps {
        let gram = matmul2(x.clone(), x.clone().transpose());
        let mixed = gram.clone() * b + matmul2(gram.clone(), gram) * c;
        x = x.clone() * a + matmul2(mixed, x);
    }
    if turned { x.transpose() } else { x }
}
