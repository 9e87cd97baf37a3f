//! The chosen row: its tokens, its text, its columns.

use egui::{Align, Frame, Label, Layout, Margin, RichText, ScrollArea, Ui};
use protocol::PreviewRow;

use super::{View, heat};
use crate::panels::PanelCtx;
use crate::theme::UiTokens;
use crate::widgets::error::notice;
use crate::widgets::token_view::{RowKey, told};
use crate::widgets::{hint, section};
use crate::words::data as words;

/// The tokens, with what their colours mean and how many there are.
pub fn ui(ui: &mut Ui, ctx: &PanelCtx<'_>, view: &mut View, row: &PreviewRow, key: RowKey) {
    let fresh = view.current == view.shown;
    surface(ui, |ui| {
        if let Some(error) = &row.error {
            notice(ui, ctx, error);
        }
        for note in &row.notes {
            hint(ui, ctx.t(note));
        }
        heat::ask(ctx, view.current, fresh);
        heat::problem(ui, ctx);
        let heat = ctx.state.data.heat.of(row, key.1);
        let foot = ui.spacing().interact_size.y;
        let height = (ui.available_height() - foot - ui.spacing().item_spacing.y).max(40.0);
        let width = ui.available_width();
        let action = ui
            .allocate_ui(egui::vec2(width, height), |ui| {
                ui.set_min_size(egui::vec2(width, height));
                view.tokens.ui(ui, ctx, row, key, (fresh, heat))
            })
            .inner;
        if action.step != 0 {
            view.step(ctx, action.step);
        }
        ui.horizontal(|ui| {
            ui.set_height(foot);
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                heat::controls(ui, ctx);
                if view.tokens.selected.is_none() {
                    let counts = RichText::new(told::counts(ctx, row)).small().color(ui.tokens().text);
                    ui.add(Label::new(counts).truncate());
                }
                ui.with_layout(Layout::left_to_right(Align::Center), |ui| match view.tokens.selected {
                    Some(index) => {
                        let line = told::line(ctx, row, index, heat);
                        let line = RichText::new(line).small().color(ui.tokens().text);
                        ui.add(Label::new(line).truncate());
                    }
                    None if ctx.state.data.heat.on => heat::legend(ui, ctx, row, heat),
                    None => told::legend(ui, ctx, row),
                });
            });
        });
    });
}

/// What the model reads, and what lies in the file.
pub fn row_text(ui: &mut Ui, ctx: &PanelCtx<'_>, view: &mut View, row: Option<(&PreviewRow, RowKey)>) {
    let Some((row, key)) = row else { return };
    two(
        ui,
        view,
        |ui, view| rendering(ui, ctx, view, row, key),
        |ui, _| {
            ui.horizontal(|ui| section(ui, ctx.t(&words::FIELDS)));
            surface(ui, |ui| fields(ui, ctx, row));
        },
    );
}

/// Two columns of the same width, with more air between them than between widgets.
pub fn columns(ui: &mut Ui, contents: impl FnOnce(&mut Ui, &mut Ui)) {
    let usual = ui.spacing().item_spacing.x;
    ui.spacing_mut().item_spacing.x = 18.0;
    ui.columns(2, |columns| {
        for column in &mut *columns {
            column.spacing_mut().item_spacing.x = usual;
        }
        if let [left, right] = columns {
            contents(left, right);
        }
    });
    ui.spacing_mut().item_spacing.x = usual;
}

/// Two parts: side by side where there is room, else one above the other.
pub fn two(
    ui: &mut Ui,
    view: &mut View,
    first: impl FnOnce(&mut Ui, &mut View),
    second: impl FnOnce(&mut Ui, &mut View),
) {
    let size = ui.available_size();
    if size.x >= 620.0 {
        return columns(ui, |left, right| {
            for column in [&mut *left, &mut *right] {
                column.set_min_height(size.y);
                column.set_max_height(size.y);
            }
            first(left, view);
            second(right, view);
        });
    }
    let half = egui::vec2(size.x, (size.y - ui.spacing().item_spacing.y) / 2.0);
    let part = |ui: &mut Ui, view: &mut View, contents: &mut dyn FnMut(&mut Ui, &mut View)| {
        ui.allocate_ui(half, |ui| {
            ui.set_min_size(half);
            ui.set_max_size(half);
            contents(ui, view);
        });
    };
    let (mut first, mut second) = (Some(first), Some(second));
    part(ui, view, &mut |ui, view| {
        if let Some(first) = first.take() {
            first(ui, view);
        }
    });
    part(ui, view, &mut |ui, view| {
        if let Some(second) = second.take() {
            second(ui, view);
        }
    });
}

/// The text that the template made of this row.
pub fn rendering(ui: &mut Ui, ctx: &PanelCtx<'_>, view: &mut View, row: &PreviewRow, key: RowKey) {
    ui.horizontal(|ui| section(ui, ctx.t(&words::RENDERING)));
    surface(ui, |ui| {
        if row.rendered.is_empty() {
            let text = row.error.as_ref().unwrap_or(&words::NO_RENDERING);
            ui.label(RichText::new(ctx.t(text)).color(ui.tokens().text_weak));
            return;
        }
        let clicked = view.rendered.ui(ui, row, key, view.tokens.selected);
        if clicked.is_some() {
            view.tokens.select(clicked);
        }
    });
}

fn fields(ui: &mut Ui, ctx: &PanelCtx<'_>, row: &PreviewRow) {
    let tokens = ui.tokens();
    ScrollArea::vertical().id_salt("fields").auto_shrink(false).show(ui, |ui| {
        if row.fields.is_empty() {
            ui.label(RichText::new(ctx.t(&words::NO_FIELDS_KNOWN)).color(tokens.text_weak));
        }
        for (name, value) in &row.fields {
            ui.label(RichText::new(name).small().color(tokens.text_weak));
            let value = RichText::new(value).monospace().color(tokens.text);
            ui.add(Label::new(value).wrap().selectable(true));
            ui.add_space(2.0);
        }
    });
}

/// A field one reads in, as high as the room that is left.
pub fn surface(ui: &mut Ui, contents: impl FnOnce(&mut Ui)) {
    let size = ui.available_size();
    let frame = Frame::new().fill(ui.tokens().card).corner_radius(8).inner_margin(Margin::symmetric(10, 8));
    frame.show(ui, |ui| {
        let inner = (size - egui::vec2(20.0, 16.0)).max(egui::Vec2::splat(20.0));
        ui.set_min_size(inner);
        ui.set_max_size(inner);
        contents(ui);
    });
}
