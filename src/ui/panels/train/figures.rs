//! What is drawn of a run: its figures over an axis, kept ready from frame to frame.

use std::ops::RangeInclusive;

use protocol::{StepMetrics, Text};
use serde::{Deserialize, Serialize};

use crate::state::history::History;
use crate::widgets::plot::grid::Scale;
use crate::widgets::plot::{Curve, CurveView, Pyramid, Smooth};
use crate::words::train as words;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Axis {
    #[default]
    Step,
    Epoch,
    Tokens,
    Time,
}

impl Axis {
    pub const ALL: [(Self, &'static Text); 4] = [
        (Self::Step, &words::AXIS_STEP),
        (Self::Epoch, &words::AXIS_EPOCH),
        (Self::Tokens, &words::AXIS_TOKENS),
        (Self::Time, &words::AXIS_TIME),
    ];

    pub fn scale(self) -> Scale {
        if self == Self::Time { Scale::Seconds } else { Scale::Linear }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Figure {
    Loss,
    Rate,
    GradNorm,
    Speed,
    Memory,
}

impl Figure {
    pub const ALL: [Self; 5] = [Self::Loss, Self::Rate, Self::GradNorm, Self::Speed, Self::Memory];

    pub fn name(self) -> &'static Text {
        match self {
            Self::Loss => &words::LOSS,
            Self::Rate => &words::LEARNING_RATE,
            Self::GradNorm => &words::GRAD_NORM,
            Self::Speed => &words::SPEED,
            Self::Memory => &words::MEMORY,
        }
    }

    pub fn help(self) -> &'static Text {
        match self {
            Self::Loss => &words::LOSS_HELP,
            Self::Rate => &words::LEARNING_RATE_HELP,
            Self::GradNorm => &words::GRAD_NORM_HELP,
            Self::Speed => &words::SPEED_HELP,
            Self::Memory => &words::MEMORY_HELP,
        }
    }

    pub fn value(self, step: &StepMetrics) -> f64 {
        match self {
            Self::Loss => step.loss,
            Self::Rate => step.lr,
            Self::GradNorm => step.grad_norm,
            Self::Speed => step.tokens_per_s,
            Self::Memory => step.mem_bytes as f64,
        }
    }

    /// Noisy ones are drawn faint, with their smoothed curve bold.
    pub fn is_noisy(self) -> bool {
        matches!(self, Self::Loss | Self::GradNorm | Self::Speed)
    }

    /// Those to which a logarithmic scale does good.
    pub fn may_be_log(self) -> bool {
        matches!(self, Self::Loss | Self::Rate | Self::GradNorm)
    }
}

/// One figure of a run.
#[derive(Debug, Default)]
struct Drawn {
    pyramid: Pyramid,
    raw: Curve,
    smooth: Smooth,
    smoothed: Curve,
}

/// The figures of one run, ready to be drawn. Grows with the run's history.
#[derive(Debug, Default)]
pub struct RunCurves {
    revision: (u64, u64),
    axis: Axis,
    weight: f64,
    /// Raised when points made before are void.
    made: u64,
    /// Where each step lies on the axis; never falling.
    xs: Vec<f64>,
    tokens: f64,
    figures: [Drawn; 5],
    evals: Evals,
}

#[derive(Debug, Default)]
struct Evals {
    seen: Option<(usize, u64, u64, u64)>,
    xs: Vec<f64>,
    pyramid: Pyramid,
    curve: Curve,
}

impl RunCurves {
    /// Takes in what is new.
    pub fn sync(&mut self, history: &History, axis: Axis, weight: f64) {
        if self.revision != history.revision() || history.steps.len() < self.xs.len() {
            let made = self.made + 1;
            *self = Self { revision: history.revision(), axis, weight, made, ..Self::default() };
            self.reset_smoothing(weight);
        }
        if self.axis != axis {
            self.axis = axis;
            self.xs.clear();
            self.tokens = 0.0;
            self.made += 1;
        }
        if self.weight != weight {
            self.reset_smoothing(weight);
        }
        self.extend_axis(history);
        let len = history.steps.len();
        for (figure, drawn) in Figure::ALL.into_iter().zip(&mut self.figures) {
            let value = |index: usize| history.steps.get(index).map_or(f64::NAN, |step| figure.value(step));
            drawn.pyramid.extend(len, &value);
            if figure.is_noisy() {
                drawn.smooth.extend(len, &value);
            }
        }
        self.sync_evals(history);
    }

    fn reset_smoothing(&mut self, weight: f64) {
        self.weight = weight;
        self.made += 1;
        for drawn in &mut self.figures {
            drawn.smooth = Smooth::new(weight);
        }
    }

    fn extend_axis(&mut self, history: &History) {
        for step in &history.steps[self.xs.len()..] {
            self.tokens += step.tokens as f64;
            let x = match self.axis {
                Axis::Step => step.step as f64,
                Axis::Epoch => step.epoch,
                Axis::Tokens => self.tokens,
                Axis::Time => step.seconds,
            };
            // What a damaged record holds must not turn the axis round.
            let before = self.xs.last().copied().unwrap_or(f64::MIN);
            self.xs.push(if x.is_finite() && x > before { x } else { before.max(0.0) });
        }
    }

    fn sync_evals(&mut self, history: &History) {
        let last = history.evals.last().map_or(0, |eval| eval.step);
        let known = history.steps.last().map_or(0, |step| step.step).min(last);
        let now = Some((history.evals.len(), last, known, self.made));
        if self.evals.seen == now {
            return;
        }
        self.evals.seen = now;
        self.evals.xs = history.evals.iter().map(|eval| self.x_of_step(history, eval.step)).collect();
        self.evals.pyramid.clear();
        self.evals.pyramid.extend(history.evals.len(), &|index| history.evals[index].eval_loss);
        self.evals.curve = Curve::default();
    }

    /// Where a step lies on the axis.
    pub fn x_of_step(&self, history: &History, step: u64) -> f64 {
        if self.axis == Axis::Step {
            return step as f64;
        }
        let after = history.steps.partition_point(|known| known.step <= step).min(self.xs.len());
        after.checked_sub(1).map_or(0.0, |index| self.xs[index])
    }

    /// The first and the last place on the axis.
    pub fn extent(&self) -> Option<(f64, f64)> {
        let ends = [self.xs.first(), self.evals.xs.first(), self.xs.last(), self.evals.xs.last()];
        let known = || ends.iter().flatten().map(|x| **x);
        known().next()?;
        Some((known().fold(f64::MAX, f64::min), known().fold(f64::MIN, f64::max)))
    }

    /// The step nearest to a place on the axis.
    pub fn nearest(&self, x: f64) -> Option<usize> {
        let after = self.xs.partition_point(|known| *known < x);
        let candidates = [after.checked_sub(1), (after < self.xs.len()).then_some(after)];
        let distance = |index: &usize| (self.xs[*index] - x).abs();
        candidates.into_iter().flatten().min_by(|a, b| distance(a).total_cmp(&distance(b)))
    }

    pub fn smoothed_at(&self, figure: Figure, index: usize) -> Option<f64> {
        let smooth = &self.figures[figure as usize].smooth;
        Some(smooth.get(index)).filter(|value| value.is_finite())
    }

    /// Makes the points of a figure ready for this part of the axis.
    pub fn look(
        &mut self,
        history: &History,
        figure: Figure,
        x: &RangeInclusive<f64>,
        pixels: usize,
        log: bool,
    ) {
        let most = pixels.clamp(16, 8192);
        let part = |xs: &[f64]| {
            let from = xs.partition_point(|known| known < x.start()).saturating_sub(1);
            from..(xs.partition_point(|known| known <= x.end()) + 1).min(xs.len()).max(from)
        };
        let view = CurveView { range: part(&self.xs), most, log, revision: self.made };
        let xs = &self.xs;
        let drawn = &mut self.figures[figure as usize];
        let at = |index: usize| xs.get(index).copied().unwrap_or(f64::NAN);
        let value = |index: usize| history.steps.get(index).map_or(f64::NAN, |step| figure.value(step));
        drawn.raw.look(&view, &drawn.pyramid, &at, &value);
        if figure.is_noisy() {
            let smooth = &drawn.smooth;
            drawn.smoothed.look(&view, &smooth.pyramid, &at, &|index| smooth.get(index));
        }
        if figure == Figure::Loss {
            let Evals { xs, pyramid, curve, .. } = &mut self.evals;
            let view = CurveView { range: part(xs), ..view };
            let value = |index: usize| history.evals.get(index).map_or(f64::NAN, |eval| eval.eval_loss);
            curve.look(&view, pyramid, &|index| xs[index], &value);
        }
    }

    pub fn raw(&self, figure: Figure) -> &Curve {
        &self.figures[figure as usize].raw
    }

    pub fn smoothed(&self, figure: Figure) -> &Curve {
        &self.figures[figure as usize].smoothed
    }

    pub fn evals(&self) -> &Curve {
        &self.evals.curve
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(steps: u64) -> History {
        let mut history = History::default();
        let step = |step: u64| StepMetrics {
            step,
            epoch: step as f64 / 100.0,
            tokens: 10,
            loss: 1.0 / step as f64,
            lr: 1e-4,
            grad_norm: 1.0,
            loss_scale: None,
            tokens_per_s: 50.0,
            mem_bytes: 1 << 30,
            seconds: step as f64 * 0.5,
            phases: None,
            skipped: false,
        };
        history.extend(&(1..=steps).map(step).collect::<Vec<_>>());
        history
    }

    #[test]
    fn an_axis_places_every_step() {
        let mut known = history(100);
        let mut curves = RunCurves::default();
        for (axis, last) in
            [(Axis::Step, 100.0), (Axis::Epoch, 1.0), (Axis::Tokens, 1000.0), (Axis::Time, 50.0)]
        {
            curves.sync(&known, axis, 0.9);
            assert_eq!(curves.extent().unwrap().1, last);
            assert_eq!(curves.x_of_step(&known, 100), last);
        }
        assert_eq!(curves.nearest(24.9), Some(49));
        known.extend(&history(120).steps[100..]);
        curves.sync(&known, Axis::Time, 0.9);
        assert_eq!(curves.extent().unwrap(), (0.5, 60.0));
    }

    #[test]
    fn a_part_of_the_axis_is_drawn_from_that_part() {
        let known = history(10_000);
        let mut curves = RunCurves::default();
        curves.sync(&known, Axis::Step, 0.5);
        curves.look(&known, Figure::Loss, &(200.0..=300.0), 400, false);
        let points = curves.raw(Figure::Loss).points();
        assert!(points.first().unwrap().x >= 199.0 && points.last().unwrap().x <= 301.0);
        assert_eq!(points.len(), curves.smoothed(Figure::Loss).points().len());
        curves.look(&known, Figure::Loss, &(0.0..=20_000.0), 400, true);
        assert!(curves.raw(Figure::Loss).points().len() < 900);
    }

    #[test]
    fn another_history_of_the_same_length_is_drawn_anew() {
        let mut curves = RunCurves::default();
        let first = history(50);
        curves.sync(&first, Axis::Step, 0.0);
        curves.look(&first, Figure::Rate, &(0.0..=50.0), 400, false);
        let mut second = History::default();
        let steps = first.steps.iter().map(|step| StepMetrics { lr: 5.0, ..step.clone() });
        second.extend(&steps.collect::<Vec<_>>());
        curves.sync(&second, Axis::Step, 0.0);
        curves.look(&second, Figure::Rate, &(0.0..=50.0), 400, false);
        assert_eq!(curves.raw(Figure::Rate).points()[3].y, 5.0);
    }
}
