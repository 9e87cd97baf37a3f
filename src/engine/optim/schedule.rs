//! Learning-rate schedules: update k (from 0) uses the base rate times `factor(k)`.
//! Formulas: transformers, `optimization.py`; `noam` as BMTrain has it.

use std::f64::consts::PI;

use protocol::config::{TrainConfig, nearest};
use protocol::{Descriptor, Result, Text, UserError, text};

/// Rate at the end of a polynomial decay (transformers' `lr_end`).
const POLYNOMIAL_END: f64 = 1e-7;
/// Share of a run that wsd spends on its decay.
const WSD_DECAY: f64 = 0.1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Constant,
    Linear,
    Cosine,
    Noam,
    Polynomial,
    InverseSqrt,
    Wsd,
}

/// Id, shape and words of each schedule.
static SHAPES: [(&str, Shape, Text, Text); 7] = [
    (
        "constant",
        Shape::Constant,
        Text::fixed("Constant", "恒定"),
        Text::fixed("The same rate throughout", "学习率始终不变"),
    ),
    (
        "linear",
        Shape::Linear,
        Text::fixed("Linear", "线性"),
        Text::fixed("Falls to zero in a straight line", "直线降到零"),
    ),
    (
        "cosine",
        Shape::Cosine,
        Text::fixed("Cosine", "余弦"),
        Text::fixed("Falls to zero along half a cosine", "沿半个余弦降到零"),
    ),
    (
        "noam",
        Shape::Noam,
        Text::fixed("Noam", "Noam"),
        Text::fixed("Rate / √step, as CPM-Bee uses it", "学习率 / √步数，CPM-Bee 所用"),
    ),
    (
        "polynomial",
        Shape::Polynomial,
        Text::fixed("Polynomial", "多项式"),
        Text::fixed("Falls to 1e-7 in a straight line", "直线降到 1e-7"),
    ),
    (
        "inverse-sqrt",
        Shape::InverseSqrt,
        Text::fixed("Inverse square root", "平方根倒数"),
        Text::fixed("Falls with the root of the step", "随步数的平方根下降"),
    ),
    (
        "wsd",
        Shape::Wsd,
        Text::fixed("Warm-up, stable, decay", "预热-稳定-衰减"),
        Text::fixed("Constant, then falls in the last tenth", "先恒定，最后十分之一下降"),
    ),
];

/// The schedule of one run.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    shape: Shape,
    base: f64,
    warmup: f64,
    total: f64,
}

impl Schedule {
    /// # Errors
    /// When nobody knows the schedule; names the nearest.
    pub fn new(config: &TrainConfig, total_steps: u64) -> Result<Self> {
        let id = config.scheduler.as_str();
        let found = SHAPES.iter().find(|(known, ..)| *known == id);
        let Some((_, shape, ..)) = found else {
            let near = nearest(id, SHAPES.iter().map(|entry| entry.0)).unwrap_or("cosine");
            return Err(UserError::bad_input(text!(
                "There is no schedule `{id}`",
                "没有名为 `{id}` 的学习率调度"
            ))
            .at_item("train.scheduler")
            .mend(text!("did you mean `{near}`?", "是否想用 `{near}`？")));
        };
        let warmup = match config.warmup_steps {
            0 => (total_steps as f64 * config.warmup_ratio).ceil(),
            steps => steps as f64,
        };
        Ok(Self { shape: *shape, base: config.learning_rate, warmup, total: total_steps as f64 })
    }

    /// The rate of update `k`, from 0.
    pub fn rate(&self, k: u64) -> f64 {
        self.base * self.factor(k as f64)
    }

    fn factor(&self, k: f64) -> f64 {
        let warmup = self.warmup;
        if self.shape == Shape::Noam {
            return if k < warmup { k / warmup / warmup.sqrt() } else { 1.0 / k.max(1.0).sqrt() };
        }
        if k < warmup {
            return k / warmup.max(1.0);
        }
        let progress = (k - warmup) / (self.total - warmup).max(1.0);
        match self.shape {
            Shape::Constant | Shape::Noam => 1.0,
            Shape::Linear => (1.0 - progress).max(0.0),
            Shape::Cosine => (0.5 * (1.0 + (PI * progress).cos())).max(0.0),
            Shape::Polynomial => {
                let left = (1.0 - progress).max(0.0);
                ((self.base - POLYNOMIAL_END) * left + POLYNOMIAL_END) / self.base
            }
            Shape::InverseSqrt => {
                let timescale = if warmup > 0.0 { warmup } else { 10_000.0 };
                ((k + timescale - warmup) / timescale).sqrt().recip()
            }
            Shape::Wsd => self.wsd(k),
        }
    }

    fn wsd(&self, k: f64) -> f64 {
        let decay = (self.total * WSD_DECAY).ceil().max(1.0);
        let start = self.total - decay;
        if k < start {
            return 1.0;
        }
        (0.5 * (1.0 + (PI * (k - start) / decay).cos())).max(0.0)
    }
}

/// Descriptors for the catalog.
pub fn descriptors() -> Vec<Descriptor> {
    SHAPES
        .iter()
        .map(|(id, _, name, help)| Descriptor {
            id: (*id).into(),
            name: name.clone(),
            help: help.clone(),
            params: Vec::new(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(scheduler: &str, warmup: u64) -> Vec<f64> {
        let config = TrainConfig {
            scheduler: scheduler.into(),
            learning_rate: 3e-4,
            warmup_steps: warmup,
            warmup_ratio: 0.0,
            ..TrainConfig::default()
        };
        let schedule = Schedule::new(&config, 200).unwrap();
        (0..200).map(|k| schedule.rate(k)).collect()
    }

    /// `tests/fixtures/golden/schedules.json`: what transformers and BMTrain compute.
    #[test]
    fn rates_are_those_of_the_reference() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/golden/schedules.json");
        let golden: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        for (ours, theirs, warmup) in [
            ("constant", "constant", 0),
            ("constant", "constant_with_warmup", 20),
            ("linear", "linear", 20),
            ("linear", "linear_no_warmup", 0),
            ("cosine", "cosine", 20),
            ("inverse-sqrt", "inverse_sqrt", 20),
            ("noam", "bmtrain_noam", 20),
        ] {
            let want = golden["schedules"][theirs]["lr"].as_array().unwrap();
            for (k, (got, want)) in rates(ours, warmup).iter().zip(want).enumerate() {
                let want = want.as_f64().unwrap();
                assert!(
                    (got - want).abs() <= 1e-6 * want.abs() + 1e-15,
                    "{theirs} update {k}: {got} is not {want}"
                );
            }
        }
    }

    #[test]
    fn a_slip_of_the_finger_is_named() {
        let config = TrainConfig { scheduler: "cosin".into(), ..TrainConfig::default() };
        assert!(Schedule::new(&config, 10).unwrap_err().to_string().contains("`cosine`"));
    }
}
