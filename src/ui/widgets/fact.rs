//! A name at the left, what is known at the right.

use egui::{Align, Layout, RichText, Ui};

use crate::theme::UiTokens;

pub fn fact(ui: &mut Ui, name: &str, value: &str) {
    let colour = ui.tokens().text;
    line(ui, name, RichText::new(value).color(colour), value);
}

/// Something that is missing, and should not be.
pub fn missing(ui: &mut Ui, name: &str, value: &str) {
    let colour = ui.tokens().warning;
    line(ui, name, RichText::new(value).color(colour), value);
}

fn line(ui: &mut Ui, name: &str, value: RichText, whole: &str) {
    ui.horizontal_top(|ui| {
        ui.label(RichText::new(name).color(ui.tokens().text_weak));
        ui.with_layout(Layout::right_to_left(Align::Min), |ui| {
            ui.add(egui::Label::new(value).truncate().selectable(true)).on_hover_text(whole);
        });
    });
}
