//! Which runs are listed, and in which order.

use std::cmp::Ordering;

use protocol::{RunReport, RunState, Text};
use serde::{Deserialize, Serialize};

use crate::words::runs as words;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Column {
    Name,
    State,
    Curve,
    LastLoss,
    BestLoss,
    Steps,
    Method,
    Model,
    #[default]
    Started,
    Duration,
    Size,
}

impl Column {
    /// With the width in points; 0 takes what is left.
    pub const ALL: [(Self, &'static Text, f32); 11] = [
        (Self::Name, &words::NAME, 0.0),
        (Self::State, &words::STATE, 78.0),
        (Self::Curve, &words::CURVE, 76.0),
        (Self::LastLoss, &words::LAST_LOSS, 56.0),
        (Self::BestLoss, &words::BEST_LOSS, 66.0),
        (Self::Steps, &words::STEPS, 84.0),
        (Self::Method, &words::METHOD, 60.0),
        (Self::Model, &words::MODEL, 110.0),
        (Self::Started, &words::STARTED, 96.0),
        (Self::Duration, &words::DURATION, 82.0),
        (Self::Size, &words::SIZE, 66.0),
    ];

    fn compare(self, a: &RunReport, b: &RunReport) -> Ordering {
        // What is not known comes last in falling order.
        let loss = |loss: Option<f64>| loss.unwrap_or(f64::INFINITY);
        match self {
            Self::Name => a.name.cmp(&b.name),
            Self::State => rank(a.state).cmp(&rank(b.state)),
            Self::Curve | Self::LastLoss => loss(a.last_loss).total_cmp(&loss(b.last_loss)),
            Self::BestLoss => loss(a.best_eval_loss).total_cmp(&loss(b.best_eval_loss)),
            Self::Steps => a.step.cmp(&b.step),
            Self::Method => a.config.method.kind.cmp(&b.config.method.kind),
            Self::Model => model(a).cmp(&model(b)),
            Self::Started => a.started.cmp(&b.started),
            Self::Duration => a.seconds.total_cmp(&b.seconds),
            Self::Size => a.bytes.cmp(&b.bytes),
        }
    }
}

fn rank(state: RunState) -> u8 {
    match state {
        RunState::Running => 0,
        RunState::Finished => 1,
        RunState::Unfinished => 2,
        RunState::Elsewhere => 3,
        RunState::Empty => 4,
    }
}

/// The name of the model's folder.
pub fn model(run: &RunReport) -> String {
    run.config.model.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// The runs that match, in order.
pub fn rows<'a>(runs: &'a [RunReport], query: &str, column: Column, ascending: bool) -> Vec<&'a RunReport> {
    let query = query.trim().to_lowercase();
    let matches = |run: &&RunReport| {
        query.split_whitespace().all(|word| {
            [run.name.as_str(), &model(run), &run.config.method.kind]
                .iter()
                .any(|text| text.to_lowercase().contains(word))
        })
    };
    let mut rows: Vec<_> = runs.iter().filter(matches).collect();
    rows.sort_by(|a, b| {
        let order = column.compare(a, b);
        let order = if ascending { order } else { order.reverse() };
        order.then_with(|| b.started.cmp(&a.started)).then_with(|| a.name.cmp(&b.name))
    });
    rows
}
