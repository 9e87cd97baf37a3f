//! Instruction-following difficulty as bars: a click on one shows its rows.

use egui::{Align2, FontId, Rect, Role, Sense, Stroke, Ui, Vec2, WidgetInfo, pos2};
use protocol::{IfdReport, IfdScore};

use super::Pick;
use crate::panels::PanelCtx;
use crate::theme::{Tokens, UiTokens};
use crate::widgets::{card, hint, number, section_line};
use crate::words::analysis as words;

/// Bars from 0 to [`END`]; the last one holds what lies beyond, too.
const BARS: usize = 30;
const END: f64 = 1.5;
const HEIGHT: f32 = 92.0;
const AXIS: f32 = 16.0;

pub(super) fn ui(ui: &mut Ui, ctx: &PanelCtx<'_>, report: &IfdReport, pick: &mut Option<Pick>) {
    card(ui, |ui| {
        let above = report.scores.iter().filter(|score| score.ifd > 1.0).count();
        let mut detail = number::count(above as u64);
        detail.push(' ');
        detail += ctx.t(&words::IFD_ABOVE);
        section_line(ui, ctx.t(&words::IFD), &detail);
        if report.scores.is_empty() {
            hint(ui, ctx.t(&words::NOTHING_FOUND));
        } else {
            plot(ui, ctx, &report.scores, pick);
        }
        if report.unscored > 0 {
            let unscored = number::count(report.unscored);
            hint(ui, &format!("{unscored} {}", ctx.t(&words::IFD_UNSCORED)));
        }
    });
}

/// How many scores lie in each bar.
fn counts(scores: &[IfdScore]) -> [u64; BARS] {
    let mut counts = [0; BARS];
    for index in scores.iter().filter_map(|score| bar_of(score.ifd)) {
        counts[index] += 1;
    }
    counts
}

fn bar_of(ifd: f64) -> Option<usize> {
    (ifd.is_finite() && ifd >= 0.0).then(|| ((ifd / END * BARS as f64) as usize).min(BARS - 1))
}

fn plot(ui: &mut Ui, ctx: &PanelCtx<'_>, scores: &[IfdScore], pick: &mut Option<Pick>) {
    let tokens = ui.tokens();
    let counts = counts(scores);
    let most = counts.iter().copied().max().unwrap_or(0).max(1);
    let (whole, _) = ui.allocate_exact_size(Vec2::new(ui.available_width(), HEIGHT + AXIS), Sense::hover());
    let rect = whole.with_max_y(whole.top() + HEIGHT);
    let width = rect.width() / BARS as f32;
    for (index, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        let left = rect.left() + width * index as f32;
        let lane = Rect::from_min_size(pos2(left, rect.top()), Vec2::new(width - 1.0, rect.height()));
        let response = ui.interact(lane, ui.scope_id().with(("ifd", index)), Sense::click());
        let from = END * index as f64 / BARS as f64;
        let to = from + END / BARS as f64;
        let rows = number::count(*count);
        let told =
            protocol::text!("IFD {from:.2} to {to:.2}: {rows} rows", "IFD {from:.2} 到 {to:.2}：{rows} 行");
        response.widget_info(|| WidgetInfo::labeled(Role::Button, true, ctx.t(&told)));
        let tall = (lane.height() * *count as f32 / most as f32).max(2.0);
        let colour = if from >= 1.0 { tokens.warning } else { tokens.accent };
        let strength = if response.hovered() || response.has_focus() { 1.0 } else { 0.75 };
        let bar = lane.with_min_y(lane.bottom() - tall);
        ui.painter().rect_filled(bar, 1.0, Tokens::wash(colour, strength));
        if response.on_hover_text(ctx.t(&told)).clicked() {
            let within = scores.iter().filter(|score| bar_of(score.ifd) == Some(index));
            *pick = Some(Pick::new(format!("IFD {from:.2}–{to:.2}"), within.map(|score| score.row)));
        }
    }
    axis(ui, rect);
}

fn axis(ui: &Ui, rect: Rect) {
    let tokens = ui.tokens();
    ui.painter().hline(rect.x_range(), rect.bottom() + 0.5, Stroke::new(1.0, tokens.line));
    for (value, text) in [(0.0, "0"), (0.5, "0.5"), (1.0, "1"), (END, "1.5+")] {
        let x = rect.left() + rect.width() * (value / END) as f32;
        let align = match value {
            0.0 => Align2::LEFT_TOP,
            END => Align2::RIGHT_TOP,
            _ => Align2::CENTER_TOP,
        };
        ui.painter().text(
            pos2(x, rect.bottom() + 3.0),
            align,
            text,
            FontId::proportional(10.5),
            tokens.text_faint,
        );
        if value == 1.0 {
            ui.painter().vline(x, rect.y_range(), Stroke::new(1.0, tokens.text_faint));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_score_has_its_bar_and_what_is_no_number_has_none() {
        assert_eq!((bar_of(0.0), bar_of(1.0), bar_of(99.0)), (Some(0), Some(20), Some(BARS - 1)));
        assert_eq!((bar_of(f64::NAN), bar_of(-0.1)), (None, None));
        let score = |ifd| IfdScore { row: 1, conditioned: 1.0, direct: 1.0, ifd };
        let counts = counts(&[score(0.01), score(0.02), score(f64::NAN), score(7.0)]);
        assert_eq!((counts[0], counts[BARS - 1], counts.iter().sum::<u64>()), (2, 1, 3));
    }
}
