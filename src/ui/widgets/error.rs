//! Errors and notices as people read them: what, where, and the mend as a button.

use egui::{Color32, Frame, Margin, RichText, Ui};
use protocol::{Place, Text, UserError};

use super::icon::Icon;
use crate::action::Action;
use crate::panels::PanelCtx;
use crate::theme::{UiTokens, semibold};
use crate::words::frame as words;

/// How many details an error shows where it stands among other things.
const DETAILS: usize = 12;
/// … and where it is what the panel is about.
const ALL_DETAILS: usize = 1000;

/// An error, with its first details.
pub fn error_box(ui: &mut Ui, ctx: &PanelCtx<'_>, error: &UserError) {
    with_details(ui, ctx, error, DETAILS);
}

/// An error with everything it has to say; put it into a scroll area.
pub fn error_whole(ui: &mut Ui, ctx: &PanelCtx<'_>, error: &UserError) {
    with_details(ui, ctx, error, ALL_DETAILS);
}

fn with_details(ui: &mut Ui, ctx: &PanelCtx<'_>, error: &UserError, most: usize) {
    let tokens = ui.tokens();
    washed(ui, tokens.error_wash, Icon::Error, tokens.error, |ui| {
        ui.add(
            egui::Label::new(RichText::new(ctx.t(&error.what)).color(tokens.text_strong))
                .wrap()
                .selectable(true),
        );
        let place = place(ctx, &error.place);
        if !place.is_empty() {
            ui.add(
                egui::Label::new(RichText::new(place).small().color(tokens.text_weak))
                    .wrap()
                    .selectable(true),
            );
        }
        for line in error.details.iter().take(most) {
            ui.add(egui::Label::new(RichText::new(line).small().monospace()).wrap().selectable(true));
        }
        if error.details.len() > most {
            let more = error.details.len() - most;
            ui.label(RichText::new(ctx.t(&protocol::text!("{more} more", "另有 {more} 条"))).small());
        }
        if let Some(mend) = &error.mend {
            let mend = format!("{} {}", ctx.t(&words::MEND), ctx.t(mend));
            ui.add(egui::Label::new(RichText::new(mend).color(tokens.text)).wrap());
        }
        remedies(ui, ctx, &error.remedies);
    });
}

/// A button for each change of settings that mends something.
pub fn remedies(ui: &mut Ui, ctx: &PanelCtx<'_>, remedies: &[protocol::Remedy]) {
    if remedies.is_empty() {
        return;
    }
    ui.horizontal_wrapped(|ui| {
        for remedy in remedies {
            if ui.button(ctx.t(&remedy.label)).clicked() {
                ctx.push(Action::Mend(remedy.clone()));
            }
        }
    });
}

/// A line with an icon: something to know.
pub fn notice(ui: &mut Ui, ctx: &PanelCtx<'_>, text: &Text) {
    let tokens = ui.tokens();
    washed(ui, tokens.warning_wash, Icon::Warning, tokens.warning, |ui| {
        ui.add(egui::Label::new(RichText::new(ctx.t(text)).color(tokens.text)).wrap());
    });
}

/// A wash of colour with an icon at its left.
pub fn washed(ui: &mut Ui, fill: Color32, icon: Icon, colour: Color32, contents: impl FnOnce(&mut Ui)) {
    Frame::new().fill(fill).corner_radius(6).inner_margin(Margin::symmetric(10, 8)).show(ui, |ui| {
        ui.horizontal_top(|ui| {
            icon.ui(ui, 16.0, colour);
            ui.vertical(|ui| {
                ui.set_width(ui.available_width());
                ui.spacing_mut().item_spacing.y = 3.0;
                contents(ui);
            });
        });
    });
}

/// `row 3 · input_ids · data.jsonl`
pub fn place(ctx: &PanelCtx<'_>, place: &Place) -> String {
    let mut parts = Vec::new();
    if let Some(row) = place.row {
        parts.push(ctx.t(&protocol::text!("row {row}", "第 {row} 行")).to_owned());
    }
    parts.extend(place.item.clone());
    parts.extend(place.file.as_ref().map(|file| file.display().to_string()));
    parts.join(" · ")
}

/// A small coloured word, such as a state.
pub fn badge(ui: &mut Ui, text: &str, colour: Color32) -> egui::Response {
    let fill = crate::theme::Tokens::wash(colour, 0.18);
    let font = egui::FontId::new(11.5, semibold());
    let galley = ui.painter().layout_no_wrap(text.to_owned(), font, colour);
    let size = galley.size() + egui::vec2(12.0, 3.0);
    let (rect, response) = ui.allocate_exact_size(size, egui::Sense::hover());
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Label, true, text));
    ui.painter().rect_filled(rect, 4.0, fill);
    ui.painter().galley(rect.center() - galley.size() / 2.0, galley, colour);
    response
}
