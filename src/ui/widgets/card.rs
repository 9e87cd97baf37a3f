//! Surfaces and titles.

use egui::{Frame, InnerResponse, Margin, RichText, Ui};

use super::icon::Icon;
use crate::theme::{UiTokens, semibold};

/// A surface on a panel.
pub fn card<R>(ui: &mut Ui, contents: impl FnOnce(&mut Ui) -> R) -> InnerResponse<R> {
    let frame = Frame::new().fill(ui.tokens().card).corner_radius(8).inner_margin(Margin::symmetric(14, 12));
    frame.show(ui, |ui| {
        ui.set_width(ui.available_width());
        contents(ui)
    })
}

/// A surface in a dialog or on a card: facts and lists lie in it.
pub fn well<R>(ui: &mut Ui, contents: impl FnOnce(&mut Ui) -> R) -> InnerResponse<R> {
    let frame = Frame::new().fill(ui.tokens().field).corner_radius(6).inner_margin(Margin::symmetric(12, 8));
    frame.show(ui, |ui| {
        ui.set_width(ui.available_width());
        contents(ui)
    })
}

/// The title of a panel, with one line below it.
pub fn heading(ui: &mut Ui, title: &str, help: &str) {
    ui.label(RichText::new(title).heading().color(ui.tokens().text_strong));
    if !help.is_empty() {
        ui.label(RichText::new(help).color(ui.tokens().text_weak));
    }
    ui.add_space(4.0);
}

/// The title of a panel and what one does there, in one line: put it into a row.
pub fn title(ui: &mut Ui, title: &str, help: &str) {
    let tokens = ui.tokens();
    ui.label(RichText::new(title).heading().color(tokens.text_strong));
    ui.add(egui::Label::new(RichText::new(help).color(tokens.text_weak)).truncate());
}

/// The title of a part of a panel.
pub fn section(ui: &mut Ui, title: &str) {
    ui.label(RichText::new(title).family(semibold()).color(ui.tokens().text_strong));
}

/// What to do where there is nothing yet: an icon, a sentence, and the widgets that begin it.
pub fn empty_state<R>(
    ui: &mut Ui,
    icon: Icon,
    title: &str,
    help: &str,
    contents: impl FnOnce(&mut Ui) -> R,
) -> InnerResponse<R> {
    let tokens = ui.tokens();
    ui.vertical_centered(|ui| {
        ui.add_space((ui.available_height() * 0.25).clamp(16.0, 160.0));
        icon.ui(ui, 36.0, tokens.text_faint);
        ui.add_space(6.0);
        ui.label(RichText::new(title).family(semibold()).size(15.0).color(tokens.text_strong));
        ui.label(RichText::new(help).color(tokens.text_weak));
        ui.add_space(8.0);
        contents(ui)
    })
}
