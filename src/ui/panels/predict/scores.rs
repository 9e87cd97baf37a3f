//! How often the answer was right, and which labels were taken for which.

use egui::{Align2, FontId, Rect, RichText, ScrollArea, Sense, Ui, Vec2, pos2};
use protocol::{Confusion, Text};

use crate::panels::PanelCtx;
use crate::theme::{Tokens, UiTokens, semibold};
use crate::widgets::{card, fact, hint, number, section, section_line};
use crate::words::predict as words;

/// More labels than this are not drawn.
const MOST_LABELS: usize = 40;
const CELL: f32 = 26.0;
const CELL_WIDTH: f32 = 44.0;
const NAMES: f32 = 70.0;

pub(super) fn ui(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    ScrollArea::vertical().id_salt("scores").auto_shrink(false).show(ui, |ui| {
        card(ui, |ui| {
            section_line(ui, ctx.t(&words::SCORES), so_far(ctx));
            big(ui, ctx);
            averages(ui, ctx);
            for (name, value) in others(ctx) {
                fact(ui, &name, &value);
            }
        });
        let report = ctx.state.predict.work.value.as_ref();
        if let Some(confusion) = report.and_then(|report| report.confusion.as_ref()) {
            ui.add_space(2.0);
            card(ui, |ui| matrix(ui, ctx, confusion));
        }
    });
}

/// The same where there is no room: one line.
pub(super) fn line(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    let mut parts = vec![format!("{} {}", ctx.t(&words::ACCURACY), accuracy(ctx))];
    if let Some(f1) = score(ctx, "macro-f1") {
        parts.push(format!("{} {} {f1:.3}", ctx.t(&words::MACRO), ctx.t(&words::F1)));
    }
    parts.extend(others(ctx).into_iter().map(|(name, value)| format!("{name} {value}")));
    ui.label(RichText::new(parts.join("   ")).color(ui.tokens().text));
}

fn so_far<'a>(ctx: &PanelCtx<'a>) -> &'a str {
    if ctx.state.predict.is_busy() { ctx.t(&words::SO_FAR) } else { "" }
}

fn accuracy(ctx: &PanelCtx<'_>) -> String {
    let report = ctx.state.predict.work.value.as_ref();
    let told = report.and_then(|report| report.scores.iter().find(|score| score.name == "accuracy"));
    let answers = &ctx.state.predict.answers;
    let value = told.map_or(answers.right as f64 / answers.labelled.max(1) as f64, |score| score.value);
    format!("{:.1} %", value * 100.0)
}

fn big(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    let tokens = ui.tokens();
    let answers = &ctx.state.predict.answers;
    ui.horizontal(|ui| {
        let text = RichText::new(accuracy(ctx)).size(24.0).family(semibold()).color(tokens.text_strong);
        ui.label(text);
        let (right, all) = (number::count(answers.right), number::count(answers.labelled));
        let of = protocol::text!("{right} of {all} right", "{all} 中 {right} 正确");
        ui.label(RichText::new(ctx.t(&of)).small().color(tokens.text_weak));
    });
}

/// How scores over classes are averaged, and what they measure, as the engine names them.
const MEANS: [(&str, &Text); 2] = [("macro", &words::MACRO), ("micro", &words::MICRO)];
const KINDS: [(&str, &Text); 3] =
    [("precision", &words::PRECISION), ("recall", &words::RECALL), ("f1", &words::F1)];

fn score(ctx: &PanelCtx<'_>, name: &str) -> Option<f64> {
    let mut scores = ctx.state.predict.work.value.iter().flat_map(|report| &report.scores);
    scores.find(|score| score.name == name).map(|score| score.value)
}

/// Precision, recall and F1, in both averages.
fn averages(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    let known = |mean: &str| KINDS.iter().any(|(kind, _)| score(ctx, &format!("{mean}-{kind}")).is_some());
    if !MEANS.iter().any(|(mean, _)| known(mean)) {
        return;
    }
    let tokens = ui.tokens();
    egui::Grid::new("averages").num_columns(1 + KINDS.len()).spacing([16.0, 4.0]).show(ui, |ui| {
        ui.label("");
        for (_, name) in KINDS {
            ui.label(RichText::new(ctx.t(name)).small().color(tokens.text_weak));
        }
        ui.end_row();
        for (mean, name) in MEANS.iter().filter(|(mean, _)| known(mean)) {
            ui.label(RichText::new(ctx.t(name)).small().color(tokens.text_weak));
            for (kind, _) in KINDS {
                let value = score(ctx, &format!("{mean}-{kind}"));
                let text = value.map_or_else(|| "–".to_owned(), |value| format!("{value:.3}"));
                ui.label(RichText::new(text).color(tokens.text_strong));
            }
            ui.end_row();
        }
    });
}

/// Scores that are none of these, as the engine names them.
fn others(ctx: &PanelCtx<'_>) -> Vec<(String, String)> {
    let known = |name: &str| {
        let mean = name.split_once('-').filter(|(mean, _)| MEANS.iter().any(|(known, _)| known == mean));
        name == "accuracy" || mean.is_some_and(|(_, kind)| KINDS.iter().any(|(known, _)| *known == kind))
    };
    let scores = ctx.state.predict.work.value.iter().flat_map(|report| &report.scores);
    let rest = scores.filter(|score| !known(&score.name));
    rest.map(|score| (score.name.clone(), number::scientific(score.value))).collect()
}

fn matrix(ui: &mut Ui, ctx: &PanelCtx<'_>, confusion: &Confusion) {
    section(ui, ctx.t(&words::CONFUSION));
    hint(ui, ctx.t(&words::CONFUSION_HELP));
    if confusion.labels.len() > MOST_LABELS {
        hint(ui, ctx.t(&words::MANY_LABELS));
        return;
    }
    ScrollArea::horizontal().id_salt("confusion").show(ui, |ui| grid(ui, ctx, confusion));
}

fn grid(ui: &mut Ui, ctx: &PanelCtx<'_>, confusion: &Confusion) {
    let tokens = ui.tokens();
    let n = confusion.labels.len();
    let other = confusion.counts.iter().any(|row| row.get(n).is_some_and(|count| *count > 0));
    let columns = n + usize::from(other);
    let size = Vec2::new(NAMES + CELL_WIDTH * columns as f32, CELL * (n + 1) as f32);
    let (rect, _) = ui.allocate_exact_size(size, Sense::hover());
    let name = |column: usize| confusion.labels.get(column).map_or(ctx.t(&words::OTHER), String::as_str);
    for column in 0..columns {
        let cell = cell(rect, 0, column);
        text(ui, cell.center(), Align2::CENTER_CENTER, &short(name(column), 6), tokens.text_weak);
    }
    for (index, label) in confusion.labels.iter().enumerate() {
        let y = rect.top() + CELL * (index as f32 + 1.5);
        let at = pos2(rect.left() + NAMES - 8.0, y);
        text(ui, at, Align2::RIGHT_CENTER, &short(label, 10), tokens.text_weak);
        let row = confusion.counts.get(index).map(Vec::as_slice).unwrap_or_default();
        let sum: u64 = row.iter().sum();
        for column in 0..columns {
            let count = row.get(column).copied().unwrap_or(0);
            let cell = cell(rect, index + 1, column).shrink(1.0);
            let colour = if column == index { tokens.success } else { tokens.error };
            let part = count as f32 / sum.max(1) as f32;
            let strength = if count == 0 { 0.0 } else { 0.12 + 0.5 * part };
            ui.painter().rect_filled(cell, 3.0, tokens.field);
            ui.painter().rect_filled(cell, 3.0, Tokens::wash(colour, strength));
            let shade = if count == 0 { tokens.text_faint } else { tokens.text_strong };
            text(ui, cell.center(), Align2::CENTER_CENTER, &number::short(count), shade);
            let response = ui.interact(cell, ui.scope_id().with(("cell", index, column)), Sense::hover());
            let (answered, count) = (name(column).to_owned(), number::count(count));
            let told = protocol::text!(
                "{label} answered as {answered}: {count}",
                "{label} 被答为 {answered}：{count}"
            );
            response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Label, true, ctx.t(&told)));
            response.on_hover_text(ctx.t(&told));
        }
    }
}

fn cell(rect: Rect, row: usize, column: usize) -> Rect {
    let corner = rect.min + Vec2::new(NAMES + CELL_WIDTH * column as f32, CELL * row as f32);
    Rect::from_min_size(corner, Vec2::new(CELL_WIDTH, CELL))
}

fn text(ui: &Ui, at: egui::Pos2, align: Align2, text: &str, colour: egui::Color32) {
    ui.painter().text(at, align, text, FontId::proportional(11.5), colour);
}

/// At most so many characters.
fn short(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most.saturating_sub(1)).collect();
    format!("{kept}…")
}

#[cfg(test)]
mod tests {
    #[test]
    fn long_labels_are_cut_by_characters() {
        assert_eq!(super::short("心血管疾病", 5), "心血管疾病");
        assert_eq!(super::short("心血管疾病研究", 5), "心血管疾…");
    }
}
