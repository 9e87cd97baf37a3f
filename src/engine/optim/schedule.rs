//! Learning-rate schedules: update k (from 0) uses the base rate times `factor(k)`.
//! Formulas: transformers, `optimization.py`; `noam` and `exponential` as BMTrain has them (its other ones are
//! transformers' by the same name).

use std::f64::consts::PI;

use protocol::config::{TrainConfig, nearest};
use protocol::{Descriptor, ParamKind, ParamSpec, Result, Text, UserError, text};

use super::Settings;
use crate::settings::resolve;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Constant,
    Linear,
    Cosine,
    CosineWithRestarts,
    Noam,
    Polynomial,
    InverseSqrt,
    Wsd,
    Exponential,
}

/// A schedule, its words, and its settings in `[train.scheduler_settings]`.
struct Entry {
    id: &'static str,
    shape: Shape,
    name: Text,
    help: Text,
    params: fn() -> Vec<ParamSpec>,
}

/// Every schedule this program knows.
static ENTRIES: [Entry; 9] = [
    Entry {
        id: "constant",
        shape: Shape::Constant,
        name: Text::fixed("Constant", "恒定"),
        help: Text::fixed("The same rate throughout, after the warm-up", "预热之后学习率始终不变"),
        params: Vec::new,
    },
    Entry {
        id: "linear",
        shape: Shape::Linear,
        name: Text::fixed("Linear", "线性"),
        help: Text::fixed("Falls to zero in a straight line", "直线降到零"),
        params: Vec::new,
    },
    Entry {
        id: "cosine",
        shape: Shape::Cosine,
        name: Text::fixed("Cosine", "余弦"),
        help: Text::fixed("Falls to zero along half a cosine", "沿半个余弦降到零"),
        params: || vec![floor()],
    },
    Entry {
        id: "cosine-with-restarts",
        shape: Shape::CosineWithRestarts,
        name: Text::fixed("Cosine with restarts", "余弦重启"),
        help: Text::fixed("Falls to zero several times, and begins anew", "多次沿余弦降到零并重新开始"),
        params: restarts,
    },
    Entry {
        id: "noam",
        shape: Shape::Noam,
        name: Text::fixed("Noam", "Noam"),
        help: Text::fixed("Rate / √step, as CPM-Bee uses it", "学习率 / √步数，CPM-Bee 所用"),
        params: Vec::new,
    },
    Entry {
        id: "polynomial",
        shape: Shape::Polynomial,
        name: Text::fixed("Polynomial", "多项式"),
        help: Text::fixed("Falls to its last rate along a power", "按幂次降到终止学习率"),
        params: polynomial,
    },
    Entry {
        id: "inverse-sqrt",
        shape: Shape::InverseSqrt,
        name: Text::fixed("Inverse square root", "平方根倒数"),
        help: Text::fixed("Falls with the root of the step", "随步数的平方根下降"),
        params: inverse_sqrt,
    },
    Entry {
        id: "wsd",
        shape: Shape::Wsd,
        name: Text::fixed("Warm-up, stable, decay", "预热-稳定-衰减"),
        help: Text::fixed("Constant, then falls in the last tenth", "先恒定，最后十分之一下降"),
        params: wsd,
    },
    Entry {
        id: "exponential",
        shape: Shape::Exponential,
        name: Text::fixed("Exponential", "指数"),
        help: Text::fixed("Each step's rate is a part of the one before", "每步学习率为前一步的固定比例"),
        params: exponential,
    },
];

/// transformers' word for `constant`, whose warm-up is a setting of its own here.
const ALSO_CONSTANT: &str = "constant-with-warmup";

fn spec(key: &str, name: Text, help: Text, kind: ParamKind) -> ParamSpec {
    ParamSpec { key: key.into(), name, help, kind, advanced: true }
}

fn number(default: f64, min: f64, max: f64) -> ParamKind {
    ParamKind::Number { default, min, max }
}

fn floor() -> ParamSpec {
    spec(
        "min_ratio",
        Text::fixed("Lowest rate", "最低学习率"),
        Text::fixed("As a part of the learning rate", "占学习率的比例"),
        number(0.0, 0.0, 1.0),
    )
}

fn restarts() -> Vec<ParamSpec> {
    vec![spec(
        "cycles",
        Text::fixed("Cycles", "周期数"),
        Text::fixed("How often it falls; 1 is a plain cosine", "下降的次数，1 即普通余弦"),
        number(2.0, 1.0, 1e6),
    )]
}

fn polynomial() -> Vec<ParamSpec> {
    vec![
        spec(
            "power",
            Text::fixed("Power", "幂次"),
            Text::fixed("1 is a straight line", "1 为直线"),
            number(1.0, 0.0, 100.0),
        ),
        spec(
            "end_rate",
            Text::fixed("Last rate", "终止学习率"),
            Text::fixed("Less than the learning rate", "小于学习率"),
            number(1e-7, 0.0, 1e3),
        ),
    ]
}

fn inverse_sqrt() -> Vec<ParamSpec> {
    vec![spec(
        "timescale",
        Text::fixed("Time scale", "时间尺度"),
        Text::fixed(
            "In steps; 0: the warm-up, or 10 000 without one",
            "以步计，0 为预热步数，无预热时为 10000",
        ),
        number(0.0, 0.0, 1e12),
    )]
}

fn wsd() -> Vec<ParamSpec> {
    vec![
        spec(
            "decay_ratio",
            Text::fixed("Decay", "衰减阶段"),
            Text::fixed("Share of all steps in which the rate falls", "学习率下降阶段占总步数的比例"),
            number(0.1, 0.0, 1.0),
        ),
        spec(
            "decay",
            Text::fixed("Shape of the decay", "衰减形状"),
            Text::fixed("How the rate falls at the end", "末尾如何下降"),
            ParamKind::Choice {
                default: "cosine".into(),
                choices: ["cosine", "linear", "1-sqrt"].map(String::from).to_vec(),
            },
        ),
        floor(),
    ]
}

fn exponential() -> Vec<ParamSpec> {
    vec![spec(
        "gamma",
        Text::fixed("Factor of a step", "每步系数"),
        Text::fixed("What is left of the rate after a step", "每步之后保留的学习率比例"),
        number(0.95, 0.0, 1.0),
    )]
}

/// The schedule of one run.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    shape: Shape,
    settings: Settings,
    base: f64,
    warmup: f64,
    total: f64,
}

impl Schedule {
    /// # Errors
    /// When nobody knows the schedule (names the nearest), or its settings cannot be used.
    pub fn new(config: &TrainConfig, total_steps: u64) -> Result<Self> {
        let entry = entry_of(&config.scheduler)?;
        let settings = resolve("train.scheduler_settings", &(entry.params)(), &config.scheduler_settings)?;
        let schedule = Self {
            shape: entry.shape,
            settings: Settings::new(settings),
            base: config.learning_rate,
            warmup: warmup_steps(config, total_steps),
            total: total_steps as f64,
        };
        schedule.refuse_rise()?;
        Ok(schedule)
    }

    /// transformers refuses an `lr_end` that is not below the rate, too.
    fn refuse_rise(&self) -> Result<()> {
        let (end, base) = (self.settings.number("end_rate"), self.base);
        if self.shape != Shape::Polynomial || end < base || !base.is_finite() {
            return Ok(());
        }
        Err(UserError::bad_input(text!(
            "The schedule's last rate {end} is not below the learning rate {base}",
            "调度的终止学习率 {end} 不低于学习率 {base}"
        ))
        .at_item("train.scheduler_settings.end_rate")
        .mend(text!("set it below {base}", "请设为低于 {base} 的值")))
    }

    /// The rate of update `k`, from 0.
    pub fn rate(&self, k: u64) -> f64 {
        self.base * self.factor(k as f64)
    }

    fn factor(&self, k: f64) -> f64 {
        let warmup = self.warmup;
        match self.shape {
            Shape::Noam if k < warmup => return k / warmup / warmup.sqrt(),
            Shape::Noam => return 1.0 / k.max(1.0).sqrt(),
            Shape::Wsd if k < warmup => return self.above_floor(k / warmup.max(1.0)),
            _ if k < warmup => return k / warmup.max(1.0),
            _ => {}
        }
        let progress = (k - warmup) / (self.total - warmup).max(1.0);
        match self.shape {
            Shape::Constant | Shape::Noam => 1.0,
            Shape::Linear => (1.0 - progress).max(0.0),
            Shape::Cosine => self.above_floor(half_cosine(progress)).max(0.0),
            Shape::CosineWithRestarts if progress >= 1.0 => 0.0,
            Shape::CosineWithRestarts => half_cosine((self.settings.number("cycles") * progress) % 1.0),
            Shape::Polynomial => self.polynomial(progress),
            Shape::InverseSqrt => {
                let timescale = self.timescale();
                ((k + timescale - warmup) / timescale).sqrt().recip()
            }
            Shape::Wsd => self.wsd(k),
            Shape::Exponential => self.settings.number("gamma").powf(k - warmup),
        }
    }

    /// From the lowest rate up.
    fn above_floor(&self, factor: f64) -> f64 {
        let least = self.settings.number("min_ratio");
        factor * (1.0 - least) + least
    }

    fn polynomial(&self, progress: f64) -> f64 {
        let end = self.settings.number("end_rate");
        let left = (1.0 - progress).max(0.0).powf(self.settings.number("power"));
        if progress > 1.0 { end / self.base } else { ((self.base - end) * left + end) / self.base }
    }

    fn timescale(&self) -> f64 {
        match (self.settings.number("timescale"), self.warmup) {
            (0.0, 0.0) => 10_000.0,
            (0.0, warmup) => warmup,
            (timescale, _) => timescale,
        }
    }

    fn wsd(&self, k: f64) -> f64 {
        let decay = (self.total * self.settings.number("decay_ratio")).ceil().max(1.0);
        let start = self.total - decay;
        if k < start {
            return 1.0;
        }
        let progress = ((k - start) / decay).min(1.0);
        let factor = match self.settings.word("decay") {
            "linear" => 1.0 - progress,
            "1-sqrt" => 1.0 - progress.sqrt(),
            _ => half_cosine(progress),
        };
        self.above_floor(factor).max(0.0)
    }
}

/// 1 at 0, 0 at 1.
fn half_cosine(progress: f64) -> f64 {
    0.5 * (1.0 + (PI * progress).cos())
}

fn warmup_steps(config: &TrainConfig, total_steps: u64) -> f64 {
    match config.warmup_steps {
        0 => (total_steps as f64 * config.warmup_ratio).ceil(),
        steps => steps as f64,
    }
}

fn entry_of(id: &str) -> Result<&'static Entry> {
    let wanted = if id == ALSO_CONSTANT { "constant" } else { id };
    ENTRIES.iter().find(|entry| entry.id == wanted).ok_or_else(|| {
        let near = nearest(id, ENTRIES.iter().map(|entry| entry.id)).unwrap_or("cosine");
        UserError::bad_input(text!("There is no schedule `{id}`", "没有名为 `{id}` 的学习率调度"))
            .at_item("train.scheduler")
            .mend(text!("did you mean `{near}`?", "是否想用 `{near}`？"))
    })
}

/// Descriptors for the catalog.
pub fn descriptors() -> Vec<Descriptor> {
    ENTRIES
        .iter()
        .map(|entry| Descriptor {
            id: entry.id.into(),
            name: entry.name.clone(),
            help: entry.help.clone(),
            params: (entry.params)(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::*;

    fn rates(scheduler: &str, warmup: u64, total: u64, settings: Value) -> Vec<f64> {
        let Value::Object(scheduler_settings) = settings else { panic!("an object") };
        let config = TrainConfig {
            scheduler: scheduler.into(),
            scheduler_settings,
            learning_rate: 3e-4,
            warmup_steps: warmup,
            warmup_ratio: 0.0,
            ..TrainConfig::default()
        };
        let schedule = Schedule::new(&config, total).unwrap();
        (0..200).map(|k| schedule.rate(k)).collect()
    }

    /// `tests/fixtures/golden/schedules.json`: what transformers and BMTrain compute.
    #[test]
    fn rates_are_those_of_the_reference() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/golden/schedules.json");
        let golden: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let wsd = |decay: &str| json!({"decay_ratio": 0.3, "decay": decay, "min_ratio": 0.05});
        let usual = || json!({});
        for (ours, theirs, warmup, total, settings) in [
            ("constant", "constant", 0, 200, usual()),
            ("constant", "constant_with_warmup", 20, 200, usual()),
            ("constant-with-warmup", "constant_with_warmup", 20, 200, usual()),
            ("constant", "bmtrain_nodecay", 20, 200, usual()),
            ("linear", "linear", 20, 200, usual()),
            ("linear", "linear_no_warmup", 0, 200, usual()),
            ("linear", "bmtrain_linear", 20, 200, usual()),
            ("cosine", "cosine", 20, 200, usual()),
            ("cosine", "bmtrain_cosine", 20, 200, usual()),
            ("cosine", "cosine_with_min_lr", 20, 200, json!({"min_ratio": 0.1})),
            ("cosine-with-restarts", "cosine_with_restarts", 20, 200, json!({"cycles": 3})),
            ("polynomial", "polynomial", 20, 200, json!({"power": 2.0})),
            ("polynomial", "polynomial_power1_short", 20, 150, json!({"end_rate": 1e-6})),
            ("inverse-sqrt", "inverse_sqrt", 20, 200, usual()),
            ("inverse-sqrt", "inverse_sqrt_timescale", 20, 200, json!({"timescale": 1000})),
            ("wsd", "wsd_cosine", 20, 200, wsd("cosine")),
            ("wsd", "wsd_linear", 20, 200, wsd("linear")),
            ("wsd", "wsd_1_sqrt", 20, 200, wsd("1-sqrt")),
            ("wsd", "wsd_default", 20, 180, json!({"decay_ratio": 1.0 / 3.0})),
            ("noam", "bmtrain_noam", 20, 200, usual()),
            ("exponential", "bmtrain_exponential", 20, 200, usual()),
        ] {
            let want = golden["schedules"][theirs]["lr"].as_array().unwrap();
            assert_eq!(want.len(), 200);
            for (k, (got, want)) in rates(ours, warmup, total, settings).iter().zip(want).enumerate() {
                let want = want.as_f64().unwrap();
                assert!(
                    (got - want).abs() <= 1e-6 * want.abs() + 1e-15,
                    "{theirs} update {k}: {got} is not {want}"
                );
            }
        }
    }

    /// methods.md of BMTrain's noam: the peak is at the end of the warm-up and is not the rate.
    #[test]
    fn noam_begins_as_cpm_bee_does() {
        let config = TrainConfig {
            scheduler: "noam".into(),
            learning_rate: 1e-4,
            warmup_steps: 4,
            ..TrainConfig::default()
        };
        let schedule = Schedule::new(&config, 6).unwrap();
        for (k, want) in [0.0, 1.25e-5, 2.5e-5, 3.75e-5, 5e-5, 4.4721e-5].into_iter().enumerate() {
            assert!((schedule.rate(k as u64) - want).abs() < 1e-9, "update {k}");
        }
    }

    #[test]
    fn a_slip_of_the_finger_is_named() {
        let config = TrainConfig { scheduler: "cosin".into(), ..TrainConfig::default() };
        assert!(Schedule::new(&config, 10).unwrap_err().to_string().contains("`cosine`"));
        let scheduler_settings = Map::from_iter([("powr".into(), json!(2.0))]);
        let config =
            TrainConfig { scheduler: "polynomial".into(), scheduler_settings, ..TrainConfig::default() };
        assert!(Schedule::new(&config, 10).unwrap_err().to_string().contains("`power`"));
    }

    #[test]
    fn a_polynomial_that_would_rise_is_refused() {
        let scheduler_settings = Map::from_iter([("end_rate".into(), json!(1.0))]);
        let config =
            TrainConfig { scheduler: "polynomial".into(), scheduler_settings, ..TrainConfig::default() };
        assert!(Schedule::new(&config, 10).unwrap_err().to_string().contains("end_rate"));
    }
}
