//! The points of a series that are drawn, kept from frame to frame.

use std::ops::Range;

use egui::Color32;
use egui_plot::{Line, LineStyle, PlotPoint, PlotPoints, PlotUi};

use super::Pyramid;

/// What is looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// Indices of the series.
    pub range: Range<usize>,
    /// How many buckets draw it: the plot's width in pixels.
    pub most: usize,
    /// Heights are powers of ten.
    pub log: bool,
    /// Another number means that the series is another one.
    pub revision: u64,
}

/// Points in the plot's coordinates, made anew only when another part is looked at.
#[derive(Debug, Default)]
pub struct Curve {
    seen: Option<(View, usize)>,
    points: Vec<PlotPoint>,
    /// Where the points after a gap begin.
    breaks: Vec<usize>,
}

impl Curve {
    pub fn look(
        &mut self,
        view: &View,
        pyramid: &Pyramid,
        x: &impl Fn(usize) -> f64,
        y: &impl Fn(usize) -> f64,
    ) {
        let now = (view.clone(), pyramid.len());
        if self.seen.as_ref() == Some(&now) {
            return;
        }
        self.points.clear();
        self.breaks.clear();
        let (points, breaks) = (&mut self.points, &mut self.breaks);
        pyramid.visit(view.range.clone(), view.most, y, |index| {
            let Some(index) = index else {
                if breaks.last() != Some(&points.len()) && !points.is_empty() {
                    breaks.push(points.len());
                }
                return;
            };
            let height = if view.log { y(index).log10() } else { y(index) };
            // A logarithmic scale has no place for 0.
            if height.is_finite() {
                points.push(PlotPoint::new(x(index), height));
            }
        });
        self.seen = Some(now);
    }

    pub fn points(&self) -> &[PlotPoint] {
        &self.points
    }

    /// Adds it to a plot, a line for each stretch without gaps.
    pub fn draw<'a>(&'a self, plot: &mut PlotUi<'a>, colour: Color32, width: f32, dotted: bool) {
        let mut start = 0;
        for end in self.breaks.iter().copied().chain([self.points.len()]) {
            let style = if dotted { LineStyle::Dashed { length: 5.0 } } else { LineStyle::Solid };
            let stretch = &self.points[start..end];
            let line = Line::new("", PlotPoints::Borrowed(stretch));
            plot.line(line.color(colour).width(width).style(style).allow_hover(false));
            start = end;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_made_when_something_changed() {
        let value = |index: usize| if index == 2 { f64::NAN } else { index as f64 * 10.0 };
        let mut pyramid = Pyramid::default();
        pyramid.extend(5, &value);
        let view = View { range: 0..5, most: 100, log: false, revision: 0 };
        let mut curve = Curve::default();
        curve.look(&view, &pyramid, &|index| index as f64, &value);
        assert_eq!(curve.points().len(), 4);
        assert_eq!(curve.breaks, [2]);
        curve.look(&view, &pyramid, &|_| 7.0, &value);
        assert_eq!(curve.points()[0].x, 0.0, "nothing new: the points are those of before");
        let log = View { log: true, ..view };
        curve.look(&log, &pyramid, &|index| index as f64, &value);
        assert_eq!(curve.points().len(), 3, "0 has no logarithm");
        assert_eq!(curve.points()[0].y, 1.0);
        pyramid.extend(6, &value);
        curve.look(&View { range: 0..6, ..log }, &pyramid, &|index| index as f64, &value);
        assert_eq!(curve.points().len(), 4);
    }
}
