//! A setting in a form: its name at the left, its widget at the right.

use egui::{Layout, Response, RichText, Ui, Vec2};

use crate::theme::UiTokens;

/// Width of the names in a form.
pub const NAME_WIDTH: f32 = 150.0;

/// A row of a form. The widget is labelled by the name, for people who do not see it.
pub fn field(ui: &mut Ui, name: &str, help: &str, widget: impl FnOnce(&mut Ui) -> Response) -> Response {
    ui.horizontal(|ui| {
        let size = Vec2::new(NAME_WIDTH.min(ui.available_width() * 0.5), ui.spacing().interact_size.y);
        let label = ui
            .allocate_ui_with_layout(size, Layout::left_to_right(egui::Align::Center), |ui| {
                ui.set_min_width(size.x);
                let label =
                    ui.add(egui::Label::new(RichText::new(name).color(ui.tokens().text_weak)).truncate());
                if help.is_empty() { label } else { label.on_hover_text(help) }
            })
            .inner;
        widget(ui).labelled_by(label.id)
    })
    .inner
}

/// A line of explanation.
pub fn hint(ui: &mut Ui, text: &str) -> Response {
    ui.add(egui::Label::new(RichText::new(text).small().color(ui.tokens().text_weak)).wrap())
}
