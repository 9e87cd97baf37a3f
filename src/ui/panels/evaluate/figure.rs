//! Figures of suites as people read them, and as bars.

use egui::{Color32, Rect, Response, Sense, Stroke, Ui, Vec2, pos2};
use protocol::{Measured, SuiteMetric, SuiteRow};

use crate::state::evaluate::metric;
use crate::theme::{Tokens, UiTokens};
use crate::widgets::number;

/// How the values of a figure are written, and how long their bars are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scale {
    /// Parts of one, written in percent.
    percent: bool,
    most: f64,
}

impl Scale {
    pub(super) fn of<'a>(rows: impl Iterator<Item = &'a SuiteRow>, name: &str) -> Self {
        let metrics: Vec<&SuiteMetric> = rows.filter_map(|row| metric(row, name)).collect();
        let told = metrics.iter().flat_map(|it| [it.base, it.tuned]).flatten();
        let most = told.map(|it| it.value).filter(|it| it.is_finite()).fold(0.0, f64::max);
        let percent = most <= 1.0 && metrics.iter().all(|it| it.higher_is_better);
        Self { percent, most: if percent { 1.0 } else { most.max(f64::MIN_POSITIVE) } }
    }

    pub(super) fn value(self, value: f64) -> String {
        match self.percent {
            _ if !value.is_finite() => "–".to_owned(),
            true => format!("{:.1} %", value * 100.0),
            false if value.abs() >= 100.0 => format!("{value:.1}"),
            false => number::scientific((value * 1000.0).round() / 1000.0),
        }
    }

    /// `+2.1 ± 0.8`: the difference and half its interval, in points of the figure.
    pub(super) fn difference(self, it: Measured) -> String {
        if !it.value.is_finite() {
            return "–".to_owned();
        }
        let by = if self.percent { 100.0 } else { 1.0 };
        let digits = if self.percent { 1 } else { 3 };
        let sign = if it.value < 0.0 { '−' } else { '+' };
        let (value, half) = ((it.value * by).abs(), (it.high - it.low).abs() / 2.0 * by);
        if half.is_finite() {
            format!("{sign}{value:.digits$} ± {half:.digits$}")
        } else {
            format!("{sign}{value:.digits$}")
        }
    }

    /// `61.3 % (58.9 % – 63.7 %)`
    pub(super) fn whole(self, it: Measured) -> String {
        format!("{} ({} – {})", self.value(it.value), self.value(it.low), self.value(it.high))
    }

    fn part(self, value: f64) -> f32 {
        if value.is_finite() { (value / self.most).clamp(0.0, 1.0) as f32 } else { 0.0 }
    }
}

/// What a difference says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Better,
    Worse,
    /// Its interval holds zero.
    Unsure,
}

impl Change {
    pub(super) fn of(metric: &SuiteMetric) -> Option<Self> {
        let it = metric.difference.filter(|it| it.value.is_finite())?;
        if it.low.is_finite() && it.high.is_finite() && it.low <= 0.0 && it.high >= 0.0 {
            return Some(Self::Unsure);
        }
        Some(if (it.value > 0.0) == metric.higher_is_better { Self::Better } else { Self::Worse })
    }

    pub(super) fn colour(self, tokens: &Tokens) -> Color32 {
        match self {
            Self::Better => tokens.success,
            Self::Worse => tokens.error,
            Self::Unsure => tokens.text_weak,
        }
    }
}

/// Both values as bars, one above the other, each with its interval as a line.
pub(super) fn bars(ui: &mut Ui, scale: Scale, metric: &SuiteMetric, width: f32) -> Response {
    let tokens = ui.tokens();
    let (rect, response) = ui.allocate_exact_size(Vec2::new(width, 16.0), Sense::hover());
    let told = [(metric.base, tokens.text_faint), (metric.tuned, tokens.accent)];
    let told: Vec<_> = told.into_iter().filter_map(|(it, colour)| Some((it?, colour))).collect();
    let height = if told.len() > 1 { 6.0 } else { 8.0 };
    let whole = height * told.len() as f32 + 2.0 * told.len().saturating_sub(1) as f32;
    let mut y = rect.center().y - whole / 2.0;
    for (it, colour) in told {
        let lane = Rect::from_min_size(pos2(rect.left(), y), Vec2::new(rect.width(), height));
        bar(ui, lane, scale, it, colour);
        y += height + 2.0;
    }
    response
}

/// One value from the left of its lane, its interval over it.
pub(super) fn bar(ui: &Ui, lane: Rect, scale: Scale, it: Measured, colour: Color32) {
    let tokens = ui.tokens();
    let x = |value: f64| lane.left() + lane.width() * scale.part(value);
    ui.painter().rect_filled(lane, 2.0, tokens.field);
    ui.painter().rect_filled(lane.with_max_x(x(it.value)), 2.0, colour);
    if it.low.is_finite() && it.high.is_finite() && it.high > it.low {
        let middle = lane.center().y;
        let line = [pos2(x(it.low), middle), pos2(x(it.high), middle)];
        ui.painter().line_segment(line, Stroke::new(1.5, tokens.text_strong.gamma_multiply(0.7)));
    }
}

#[cfg(test)]
mod tests {
    use protocol::SuiteLevel;

    use super::*;

    fn measured(value: f64, low: f64, high: f64) -> Measured {
        Measured { value, low, high }
    }

    fn metric(higher_is_better: bool, value: f64, difference: Option<Measured>) -> SuiteMetric {
        let tuned = Some(measured(value, value, value));
        SuiteMetric { name: "m".into(), higher_is_better, base: None, tuned, difference }
    }

    fn scale(metric: SuiteMetric) -> Scale {
        let row = SuiteRow {
            level: SuiteLevel::Total,
            name: "t".into(),
            groups: vec![],
            items: 1,
            metrics: vec![metric],
        };
        Scale::of([row].iter(), "m")
    }

    #[test]
    fn parts_of_one_are_percent_and_others_are_not() {
        let accuracy = scale(metric(true, 0.6134, None));
        assert_eq!(accuracy.value(0.6134), "61.3 %");
        assert_eq!(accuracy.difference(measured(-0.021, -0.029, -0.013)), "−2.1 ± 0.8");
        let perplexity = scale(metric(false, 12.3456, None));
        assert_eq!(perplexity.value(12.3456), "12.346");
        assert_eq!(perplexity.value(1234.56), "1234.6");
        assert_eq!(perplexity.difference(measured(0.5, f64::NAN, f64::NAN)), "+0.500");
        assert_eq!((perplexity.value(f64::NAN).as_str(), perplexity.part(f64::NAN)), ("–", 0.0));
        // A loss below one is no part of one.
        assert_eq!(scale(metric(false, 0.25, None)).value(0.25), "0.25");
    }

    #[test]
    fn a_difference_is_judged_by_its_interval_and_by_what_is_better() {
        let change =
            |higher, value, low, high| Change::of(&metric(higher, 1.0, Some(measured(value, low, high))));
        assert_eq!(change(true, 0.2, 0.1, 0.3), Some(Change::Better));
        assert_eq!(change(false, 0.2, 0.1, 0.3), Some(Change::Worse));
        assert_eq!(change(true, 0.2, -0.1, 0.5), Some(Change::Unsure));
        assert_eq!(change(false, -0.2, f64::NAN, f64::NAN), Some(Change::Better));
        assert_eq!(Change::of(&metric(true, 1.0, None)), None);
    }
}
