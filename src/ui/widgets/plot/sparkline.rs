//! A curve the size of a word.

use egui::{Color32, Pos2, Response, Sense, Shape, Stroke, Ui, Vec2};

/// Draws points (x and y, both in any unit; x ascending) to fill `size`. `x` and `y`, if given, are the ranges shown.
pub fn sparkline(
    ui: &mut Ui,
    size: Vec2,
    colour: Color32,
    points: impl Iterator<Item = (f64, f64)> + Clone,
    x: Option<(f64, f64)>,
    y: Option<(f64, f64)>,
) -> Response {
    let (rect, response) = ui.allocate_exact_size(size, Sense::hover());
    let points = points.filter(|(x, y)| x.is_finite() && y.is_finite());
    let (x0, x1) = x.unwrap_or_else(|| extent(points.clone().map(|point| point.0)));
    let (y0, y1) = y.unwrap_or_else(|| extent(points.clone().map(|point| point.1)));
    let part = |value: f64, low: f64, high: f64| {
        if high > low { ((value - low) / (high - low)).clamp(0.0, 1.0) as f32 } else { 0.5 }
    };
    let area = rect.shrink2(Vec2::new(1.0, 2.0));
    let place = |(x, y): (f64, f64)| {
        Pos2::new(
            area.left() + area.width() * part(x, x0, x1),
            area.bottom() - area.height() * part(y, y0, y1),
        )
    };
    let line: Vec<Pos2> = points.map(place).collect();
    match line.as_slice() {
        [] => {}
        [only] => {
            ui.painter().circle_filled(*only, 1.5, colour);
        }
        _ => {
            ui.painter().add(Shape::line(line, Stroke::new(1.3, colour)));
        }
    }
    response
}

fn extent(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)))
}
