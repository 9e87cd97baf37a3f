//! Rows of a list that are clicked as a whole, and lists of which only what is seen is drawn.

use egui::{Align, Layout, Response, Role, Sense, Ui, UiBuilder, Vec2, WidgetInfo};

use crate::theme::UiTokens;

/// Height of a row of a list.
pub const ROW: f32 = 26.0;

/// A row as wide as the room there is. `name` is what it is called; `on` says that it is chosen.
pub fn row(ui: &mut Ui, on: bool, name: &str, contents: impl FnOnce(&mut Ui)) -> Response {
    let tokens = ui.tokens();
    let (rect, response) = ui.allocate_exact_size(Vec2::new(ui.available_width(), ROW), Sense::click());
    response.widget_info(|| WidgetInfo::selected(Role::ListItem, true, on, name));
    if on || response.hovered() || response.has_focus() {
        ui.painter().rect_filled(rect, 5.0, if on { tokens.accent_wash } else { tokens.hover });
    }
    let inside = rect.shrink2(Vec2::new(8.0, 0.0));
    let layout = Layout::left_to_right(Align::Center);
    contents(&mut ui.new_child(UiBuilder::new().max_rect(inside).layout(layout)));
    response
}

/// `count` rows of one height in whatever scrolls around them: those out of sight take their room and nothing else.
pub fn rows(ui: &mut Ui, height: f32, count: usize, mut each: impl FnMut(&mut Ui, usize)) {
    ui.spacing_mut().item_spacing.y = 0.0;
    let (top, seen) = (ui.cursor().top(), ui.clip_rect());
    let at = |y: f32| (((y - top) / height).max(0.0) as usize).min(count);
    let (first, end) = (at(seen.top()), (at(seen.bottom()) + 1).min(count));
    let space = |ui: &mut Ui, rows: usize| {
        if rows > 0 {
            ui.add_space(rows as f32 * height);
        }
    };
    space(ui, first);
    for index in first..end.max(first) {
        let size = Vec2::new(ui.available_width(), height);
        ui.allocate_ui_with_layout(size, Layout::left_to_right(Align::Center), |ui| {
            ui.set_min_size(size);
            each(ui, index);
        });
    }
    space(ui, count - end.max(first));
}
