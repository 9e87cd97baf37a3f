//! Adafactor (Shazeer and Stern 2018, arXiv:1804.04235) with a learning rate of the user's: transformers'
//! `optimization.Adafactor` with `scale_parameter` and `relative_step` off and no first moment. A matrix keeps the means
//! of its squared gradients' rows and columns instead of all of them.

use burn::tensor::{DType, Tensor};
use protocol::config::TrainConfig;
use protocol::{ParamKind, ParamSpec, Result, Text};

use super::{OptimizerEntry, Rule, Settings, Slots, Subject, Update};

pub const OPTIMIZER: OptimizerEntry = OptimizerEntry {
    id: "adafactor",
    name: Text::fixed("Adafactor", "Adafactor"),
    help: Text::fixed(
        "Remembers a number for each row and column of a matrix only: next to no memory",
        "对每个矩阵只记住各行各列的一个数：几乎不占内存",
    ),
    params,
    ignores: &["betas", "eps"],
    whole_models_only: false,
    on_host: false,
    state_bytes,
    rule,
};

/// Added to squared gradients (`eps[0]` in transformers).
const EPS: f32 = 1e-30;

fn params() -> Vec<ParamSpec> {
    let number = |key: &str, name: Text, help: Text, default: f64, min: f64, max: f64| ParamSpec {
        key: key.into(),
        name,
        help,
        kind: ParamKind::Number { default, min, max },
        advanced: true,
    };
    vec![
        number(
            "clip_threshold",
            Text::fixed("Update clipping", "更新裁剪"),
            Text::fixed("Largest root mean square of a parameter's update", "单个参数更新的均方根上限"),
            1.0,
            1e-6,
            1e6,
        ),
        number(
            "decay_rate",
            Text::fixed("Decay exponent", "衰减指数"),
            Text::fixed("Update k remembers 1 − k^−x of the past", "第 k 次更新保留过去的 1 − k^−x"),
            0.8,
            0.0,
            1.0,
        ),
    ]
}

fn state_bytes(_: &Settings, subject: &Subject<'_>) -> u64 {
    let numbers = match subject.shape {
        [rows, columns] => rows + columns,
        _ => subject.elements(),
    };
    4 * numbers as u64
}

fn rule(_: &TrainConfig, settings: &Settings) -> Box<dyn Rule> {
    Box::new(Adafactor { clip: settings.number("clip_threshold"), decay: settings.number("decay_rate") })
}

struct Adafactor {
    clip: f64,
    decay: f64,
}

impl Rule for Adafactor {
    fn update(
        &self,
        slots: &mut Slots,
        subject: &Subject<'_>,
        value: Tensor<1>,
        gradient: Tensor<1>,
        update: &Update,
    ) -> Result<Tensor<1>> {
        let gradient = gradient.cast(DType::F32) * update.grad_scale.clone();
        let keep = 1.0 - f64::from(update.step).powf(-self.decay);
        let mut memory = Memory { slots, subject, keep };
        let squares = gradient.clone().square().add_scalar(EPS);
        let step = match *subject.shape {
            [rows, columns] => {
                let squares = squares.reshape([rows, columns]);
                let row = memory.mean("row", squares.clone().mean_dim(1).flatten(0, 1))?;
                let column = memory.mean("column", squares.mean_dim(0).flatten(0, 1))?;
                let row = (row.clone() / row.mean()).sqrt().recip().reshape([rows, 1]);
                let column = column.sqrt().recip().reshape([1, columns]);
                (gradient.reshape([rows, columns]) * row * column).flatten(0, 1)
            }
            _ => gradient * memory.mean("v", squares)?.sqrt().recip(),
        };
        let size = step.clone().square().mean().sqrt();
        let step = step / (size / self.clip).clamp_min(1.0) * update.lr;
        Ok(value * (1.0 - update.lr * update.weight_decay) - step)
    }
}

/// Running means of one parameter.
struct Memory<'a> {
    slots: &'a mut Slots,
    subject: &'a Subject<'a>,
    /// What stays of the old mean.
    keep: f64,
}

impl Memory<'_> {
    fn mean(&mut self, kind: &str, new: Tensor<1>) -> Result<Tensor<1>> {
        let old = self.slots.take(self.subject.name, kind, new.dims()[0], &new.device());
        let mean = old * self.keep + new * (1.0 - self.keep);
        self.slots.put(self.subject.name, kind, mean.clone())?;
        Ok(mean)
    }
}
