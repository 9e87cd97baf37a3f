//! One row in full: every column, the right answer, and how likely each choice was.

use egui::{Frame, Label, Margin, Panel as SidePanel, Rect, RichText, ScrollArea, Sense, Ui, Vec2};
use protocol::PredictedRow;

use super::table::Table;
use crate::panels::PanelCtx;
use crate::theme::{UiTokens, semibold};
use crate::widgets::{Icon, icon_button, notice, number};
use crate::words::predict as words;

pub(super) fn ui(ui: &mut Ui, ctx: &PanelCtx<'_>, table: &mut Table) {
    let Some(row) = table.selected.and_then(|place| ctx.state.predict.answers.rows.get(place)) else {
        return;
    };
    let most = (ui.available_height() * 0.6).max(121.0);
    SidePanel::bottom("predict-detail")
        .frame(Frame::new().inner_margin(Margin { top: 8, ..Margin::ZERO }))
        .show_separator_line(false)
        .resizable(true)
        .default_size(210.0)
        .size_range(120.0..=most)
        .show(ui, |ui| {
            let frame =
                Frame::new().fill(ui.tokens().card).corner_radius(8).inner_margin(Margin::symmetric(14, 10));
            frame.show(ui, |ui| {
                ui.set_min_size(ui.available_size());
                head(ui, ctx, row, table);
                ScrollArea::vertical().id_salt("detail").auto_shrink(false).show(ui, |ui| body(ui, ctx, row));
            });
        });
}

fn head(ui: &mut Ui, ctx: &PanelCtx<'_>, row: &PredictedRow, table: &mut Table) {
    ui.horizontal(|ui| {
        let shown = number::count(row.row);
        let title = protocol::text!("Row {shown}", "第 {shown} 行");
        ui.label(RichText::new(ctx.t(&title)).family(semibold()).color(ui.tokens().text_strong));
        if let Some(label) = &row.label {
            let text = format!("{}: {label}", ctx.t(&words::EXPECTED));
            ui.add(Label::new(RichText::new(text).color(ui.tokens().text_weak)).truncate());
        }
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            if icon_button(ui, Icon::Close, ctx.t(&words::CLOSE)).clicked() {
                table.selected = None;
            }
        });
    });
}

fn body(ui: &mut Ui, ctx: &PanelCtx<'_>, row: &PredictedRow) {
    let tokens = ui.tokens();
    if let Some(error) = &row.error {
        notice(ui, ctx, error);
    }
    likelihoods(ui, ctx, row);
    for (column, value) in ctx.state.predict.columns.iter().zip(&row.values) {
        ui.label(RichText::new(&column.name).small().color(tokens.text_weak));
        ui.add(Label::new(RichText::new(value).color(tokens.text)).wrap().selectable(true));
        ui.add_space(2.0);
    }
}

/// A bar for each choice: its share among all of them.
fn likelihoods(ui: &mut Ui, ctx: &PanelCtx<'_>, row: &PredictedRow) {
    let tokens = ui.tokens();
    let Some(wanted) = ctx.state.predict.wanted.as_ref().filter(|_| !row.choices.is_empty()) else { return };
    ui.label(RichText::new(ctx.t(&words::LIKELIHOODS)).small().color(tokens.text_weak));
    for ((choice, log), share) in wanted.choices.iter().zip(&row.choices).zip(shares(&row.choices)) {
        ui.horizontal(|ui| {
            ui.allocate_ui(Vec2::new(120.0, 18.0), |ui| {
                ui.set_min_width(120.0);
                ui.add(Label::new(RichText::new(choice).color(tokens.text)).truncate());
            });
            let (rect, _) = ui.allocate_exact_size(Vec2::new(160.0, 8.0), Sense::hover());
            ui.painter().rect_filled(rect, 4.0, tokens.field);
            let part = Rect::from_min_size(rect.min, Vec2::new(rect.width() * share as f32, rect.height()));
            let colour = if *choice == row.answer { tokens.accent } else { tokens.text_faint };
            ui.painter().rect_filled(part, 4.0, colour);
            let text = format!("{:.1} %  ·  {log:.3}", share * 100.0);
            ui.label(RichText::new(text).small().color(tokens.text_weak));
        });
    }
}

/// exp(log) of each over their sum; all 0 where none is a number.
fn shares(logs: &[f64]) -> Vec<f64> {
    let most = logs.iter().copied().filter(|log| log.is_finite()).fold(f64::NEG_INFINITY, f64::max);
    let part = |log: &f64| if log.is_finite() { (log - most).exp() } else { 0.0 };
    let sum: f64 = logs.iter().map(part).sum();
    logs.iter().map(|log| if sum > 0.0 { part(log) / sum } else { 0.0 }).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn shares_are_of_what_is_known() {
        let shares = super::shares(&[-1000.0, -1000.0, f64::NAN]);
        assert_eq!(shares, [0.5, 0.5, 0.0]);
        assert_eq!(super::shares(&[f64::NAN]), [0.0]);
    }
}
