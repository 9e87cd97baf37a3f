//! Numbers that may not be finite. JSON has no word for them: serde_json writes `null`, which reads back as NaN.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

/// A number, or `null` for one that was not finite.
pub fn or_nan<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or(f64::NAN))
}

/// As [`or_nan`], for each of a pair.
pub fn both_or_nan<'de, D: Deserializer<'de>>(from: D) -> Result<[f64; 2], D::Error> {
    let pair: [Option<f64>; 2] = Deserialize::deserialize(from)?;
    Ok(pair.map(|number| number.unwrap_or(f64::NAN)))
}

/// As [`or_nan`], for each of a list.
pub fn each_or_nan<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<f64>, D::Error> {
    let list: Vec<Option<f64>> = Deserialize::deserialize(from)?;
    Ok(list.into_iter().map(|number| number.unwrap_or(f64::NAN)).collect())
}

/// As [`or_nan`], for each of a table.
pub fn by_name_or_nan<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, f64>, D::Error> {
    let table: BTreeMap<String, Option<f64>> = Deserialize::deserialize(from)?;
    Ok(table.into_iter().map(|(name, number)| (name, number.unwrap_or(f64::NAN))).collect())
}

#[cfg(test)]
mod tests {
    use crate::config::parse_run_file;
    use crate::{EvalMetrics, Event, MetricsLine, RequestId, RunConfig, StepMetrics};
    use std::path::Path;

    fn step(loss: f64) -> StepMetrics {
        StepMetrics {
            step: 7,
            epoch: 0.5,
            tokens: 12,
            loss,
            lr: 1e-3,
            grad_norm: loss,
            loss_scale: None,
            tokens_per_s: 10.0,
            mem_bytes: 1,
            seconds: 2.0,
            phases: None,
            skipped: true,
        }
    }

    #[test]
    fn lines_of_metrics_survive_what_is_not_finite() {
        for loss in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let json = serde_json::to_string(&MetricsLine::from(step(loss))).unwrap();
            let MetricsLine::Step(back) = serde_json::from_str(&json).unwrap() else { panic!("{json}") };
            assert!(!back.loss.is_finite() && !back.grad_norm.is_finite());
            assert_eq!((back.step, back.lr, back.skipped), (7, 1e-3, true));
            let eval = EvalMetrics { step: 7, epoch: 1.0, eval_loss: loss, eval_tokens: 3, best: false };
            let json = serde_json::to_string(&MetricsLine::from(eval)).unwrap();
            let MetricsLine::Eval { eval, .. } = serde_json::from_str(&json).unwrap() else {
                panic!("{json}")
            };
            assert!(!eval.eval_loss.is_finite());
        }
    }

    #[test]
    fn events_survive_what_is_not_finite() {
        let event = Event::RunRead {
            request: RequestId(1),
            dir: "a".into(),
            steps: vec![step(f64::NAN)],
            evals: vec![],
            samples: vec![],
            report: None,
        };
        let json = serde_json::to_string(&event).unwrap();
        let Event::RunRead { steps, .. } = serde_json::from_str(&json).unwrap() else { panic!("{json}") };
        assert!(steps[0].loss.is_nan());
    }

    #[test]
    fn settings_that_are_not_finite_travel_and_whole_numbers_stay_welcome() {
        let source = "[train]\nlearning_rate = inf\nbetas = [nan, 1]\nepochs = 3\n[data]\nvalidation = nan";
        let config = parse_run_file(source, Path::new("run.toml")).unwrap();
        assert_eq!((config.train.learning_rate, config.train.epochs), (f64::INFINITY, 3.0));
        let json = serde_json::to_string(&config).unwrap();
        let back: RunConfig = serde_json::from_str(&json).unwrap();
        assert!(back.train.learning_rate.is_nan() && back.train.betas[0].is_nan());
        assert_eq!(back.train.betas[1], 1.0);
    }
}
