//! Columns of given width, each filled from the top.

use egui::{Align, Layout, RichText, Ui, Vec2};

use super::section;
use crate::theme::UiTokens;

/// A column as high as what is in it.
pub fn column<R>(ui: &mut Ui, width: f32, contents: impl FnOnce(&mut Ui) -> R) -> R {
    tall_column(ui, width, 0.0, contents)
}

/// A column of this height at least: what scrolls in it takes all of it.
pub fn tall_column<R>(ui: &mut Ui, width: f32, height: f32, contents: impl FnOnce(&mut Ui) -> R) -> R {
    ui.allocate_ui_with_layout(Vec2::new(width, height), Layout::top_down(Align::Min), |ui| {
        ui.set_width(width);
        contents(ui)
    })
    .inner
}

/// The title of a part with a line of figures beside it, as high as a title alone.
pub fn section_line(ui: &mut Ui, title: &str, detail: &str) {
    ui.scope(|ui| {
        ui.spacing_mut().interact_size.y = 0.0;
        ui.horizontal(|ui| {
            section(ui, title);
            ui.label(RichText::new(detail).small().color(ui.tokens().text_weak));
        });
    });
}
