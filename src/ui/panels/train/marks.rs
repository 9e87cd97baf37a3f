//! Marks on the curves of the run under way: checkpoints, the best evaluation, changes of the rate.

use egui::{Align2, Color32, Painter, Pos2, Shape, Stroke, pos2, vec2};
use egui_plot::{PlotPoint, PlotTransform};

use super::figures::Figure;
use super::plots::small_text;
use super::shown::Shown;
use crate::theme::Tokens;

/// Points between two ticks: closer ones are one.
const APART: f32 = 5.0;

pub fn ui(
    painter: &Painter,
    tokens: &Tokens,
    figure: Figure,
    shown: &Shown<'_>,
    transform: &PlotTransform,
    log: bool,
) {
    if shown.hidden {
        return;
    }
    if matches!(figure, Figure::Loss | Figure::Rate) {
        rates(painter, tokens, shown, transform);
    }
    if figure == Figure::Loss {
        checkpoints(painter, tokens, shown, transform);
        best(painter, tokens, shown, transform, log);
    }
}

fn place(shown: &Shown<'_>, transform: &PlotTransform, step: u64) -> f32 {
    let x = shown.curves.x_of_step(shown.history, step);
    transform.position_from_point(&PlotPoint::new(x, 0.0)).x
}

/// A tick at the foot of the plot for each checkpoint.
fn checkpoints(painter: &Painter, tokens: &Tokens, shown: &Shown<'_>, transform: &PlotTransform) {
    let frame = transform.frame();
    let mut last = f32::MIN;
    for step in &shown.history.saved {
        let x = place(shown, transform, *step);
        if x - last < APART || x < frame.left() - 1.0 {
            continue;
        }
        if x > frame.right() + 1.0 {
            break;
        }
        last = x;
        let foot = frame.bottom();
        let flag = vec![pos2(x - 3.5, foot), pos2(x + 3.5, foot), pos2(x, foot - 6.0)];
        painter.add(Shape::convex_polygon(flag, tokens.text_weak, Stroke::NONE));
    }
}

/// A diamond around the lowest loss on the validation set.
fn best(painter: &Painter, tokens: &Tokens, shown: &Shown<'_>, transform: &PlotTransform, log: bool) {
    let Some(best) = shown.history.best() else { return };
    let height = if log { best.eval_loss.log10() } else { best.eval_loss };
    let x = shown.curves.x_of_step(shown.history, best.step);
    let at = transform.position_from_point(&PlotPoint::new(x, height));
    if !at.x.is_finite() || !at.y.is_finite() || !transform.frame().expand(8.0).contains(at) {
        return;
    }
    diamond(painter, at, 6.5, tokens.card);
    diamond(painter, at, 5.0, tokens.success);
    let (align, by) = if at.x > transform.frame().right() - 60.0 {
        (Align2::RIGHT_BOTTOM, vec2(-5.0, -5.0))
    } else {
        (Align2::LEFT_BOTTOM, vec2(5.0, -5.0))
    };
    small_text(painter, at + by, align, &format!("{:.4}", best.eval_loss), tokens.success);
}

fn diamond(painter: &Painter, at: Pos2, radius: f32, colour: Color32) {
    let corners = [vec2(0.0, -radius), vec2(radius, 0.0), vec2(0.0, radius), vec2(-radius, 0.0)];
    let points = corners.into_iter().map(|by| at + by).collect();
    painter.add(Shape::convex_polygon(points, colour, Stroke::NONE));
}

/// A dashed line where the rate was changed by hand, with the factor.
fn rates(painter: &Painter, tokens: &Tokens, shown: &Shown<'_>, transform: &PlotTransform) {
    let frame = transform.frame();
    let mut last = f32::MIN;
    for (step, factor) in &shown.history.rate_changes {
        let x = place(shown, transform, *step);
        if !frame.x_range().contains(x) || x - last < APART {
            continue;
        }
        let line = [pos2(x, frame.top()), pos2(x, frame.bottom())];
        painter.extend(Shape::dashed_line(&line, Stroke::new(1.0, tokens.info), 3.0, 3.0));
        if x - last > 34.0 {
            let text = format!("×{}", crate::widgets::number::scientific(*factor));
            small_text(painter, pos2(x + 3.0, frame.top() + 1.0), Align2::LEFT_TOP, &text, tokens.info);
        }
        last = x;
    }
}
