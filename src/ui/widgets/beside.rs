//! A form on the left of what it leads to, and the button that begins always in sight.

use egui::{Frame, Margin, Panel as SidePanel, ScrollArea, Ui};

/// From this width on, a form stands beside what it leads to.
pub const WIDE: f32 = 720.0;

/// The form at the left, `width` wide, with `start` below it; what follows fills the rest.
pub fn form_beside(
    ui: &mut Ui,
    id: &'static str,
    width: f32,
    start: impl FnOnce(&mut Ui),
    form: impl FnOnce(&mut Ui),
) {
    SidePanel::left(id)
        .frame(Frame::new().inner_margin(Margin { right: 14, ..Margin::ZERO }))
        .show_separator_line(false)
        .resizable(false)
        .exact_size(width)
        .show(ui, |ui| {
            start_below(ui, id, start);
            ScrollArea::vertical().id_salt(id).auto_shrink(false).show(ui, form);
        });
}

/// What begins, at the lower edge.
pub fn start_below(ui: &mut Ui, id: &'static str, start: impl FnOnce(&mut Ui)) {
    SidePanel::bottom(egui::Id::unique((id, "start")))
        .frame(Frame::new().inner_margin(Margin { top: 8, ..Margin::ZERO }))
        .show_separator_line(false)
        .resizable(false)
        .show(ui, start);
}
