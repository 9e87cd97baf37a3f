//! AdamW (Loshchilov and Hutter 2017, arXiv:1711.05101), as `torch.optim.AdamW` computes it: state in
//! f32, decay decoupled, epsilon added after the bias correction.

use std::collections::BTreeMap;

use burn::tensor::Tensor;
use protocol::Text;
use protocol::config::TrainConfig;

use super::{Optimizer, OptimizerEntry, Update};
use crate::nn::ops::{self, AdamWArgs};

pub const OPTIMIZER: OptimizerEntry = OptimizerEntry {
    id: "adamw",
    name: Text::fixed("AdamW", "AdamW"),
    help: Text::fixed("The usual choice; two f32 moments for each trained number", "通常的选择；每个训练参数保存两个 f32 动量"),
    bytes_per_element: 8,
    build,
};

struct AdamW {
    betas: [f64; 2],
    eps: f64,
    moments: BTreeMap<String, Moments>,
}

struct Moments {
    first: Tensor<1>,
    second: Tensor<1>,
}

fn build(config: &TrainConfig) -> Box<dyn Optimizer> {
    Box::new(AdamW { betas: config.betas, eps: config.eps, moments: BTreeMap::new() })
}

impl Optimizer for AdamW {
    fn update(&mut self, name: &str, value: Tensor<1>, gradient: Tensor<1>, update: &Update) -> Tensor<1> {
        let moments = self
            .moments
            .remove(name)
            .unwrap_or_else(|| Moments { first: gradient.zeros_like(), second: gradient.zeros_like() });
        let args = AdamWArgs {
            lr: update.lr,
            beta1: self.betas[0],
            beta2: self.betas[1],
            eps: self.eps,
            weight_decay: update.weight_decay,
            step: update.step,
            grad_scale: update.grad_scale.clone(),
        };
        let (value, first, second) = ops::adamw(value, gradient, moments.first, moments.second, args);
        self.moments.insert(name.to_owned(), Moments { first, second });
        value
    }

    fn state(&self) -> Vec<(String, Tensor<1>)> {
        let pairs = self.moments.iter().flat_map(|(name, moments)| {
            [(format!("{name}#m"), moments.first.clone()), (format!("{name}#v"), moments.second.clone())]
        });
        pairs.collect()
    }

    fn restore(&mut self, name: &str, tensor: Tensor<1>) {
        let Some((name, kind)) = name.rsplit_once('#') else { return };
        let moments = self
            .moments
            .entry(name.to_owned())
            .or_insert_with(|| Moments { first: tensor.clone(), second: tensor.clone() });
        match kind {
            "m" => moments.first = tensor,
            _ => moments.second = tensor,
        }
    }
}
