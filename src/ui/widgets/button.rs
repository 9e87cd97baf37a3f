//! Buttons. Every one has a name for people who do not see it, and for tests.

use egui::{Button, Color32, Response, RichText, Role, Sense, Stroke, Ui, Vec2, WidgetInfo};

use super::icon::Icon;
use crate::theme::{UiTokens, semibold};

/// The usual button, with or without an icon.
pub fn button(ui: &mut Ui, icon: Option<Icon>, text: &str) -> Response {
    let colour = ui.tokens().text;
    match icon {
        Some(icon) => ui.add(Button::image_and_text(icon.image(15.0, colour), text)),
        None => ui.add(Button::new(text)),
    }
}

/// The one that matters: filled with the accent. Grey when it can do nothing now.
pub fn primary_button(ui: &mut Ui, icon: Option<Icon>, text: &str, enabled: bool) -> Response {
    let tokens = ui.tokens();
    let (fill, colour) =
        if enabled { (tokens.accent, tokens.on_accent) } else { (tokens.hover, tokens.text_weak) };
    let text = RichText::new(text).color(colour).family(semibold());
    let button = match icon {
        Some(icon) => Button::image_and_text(icon.image(16.0, colour), text),
        None => Button::new(text),
    };
    ui.add_enabled(enabled, button.fill(fill).min_size(Vec2::new(0.0, 30.0)))
}

/// An icon alone; `name` is its tooltip and its accessible name.
pub fn icon_button(ui: &mut Ui, icon: Icon, name: &str) -> Response {
    icon_button_enabled(ui, icon, name, true)
}

pub fn icon_button_enabled(ui: &mut Ui, icon: Icon, name: &str, enabled: bool) -> Response {
    let colour = if enabled { ui.tokens().text } else { ui.tokens().text_faint };
    let button =
        Button::image(icon.image(16.0, colour)).fill(Color32::TRANSPARENT).min_size(Vec2::splat(26.0));
    let response = ui.add_enabled(enabled, button).on_hover_text(name).on_disabled_hover_text(name);
    response.widget_info(|| WidgetInfo::labeled(Role::Button, enabled, name));
    response
}

/// Some choices of which one holds. Returns the one that was clicked.
pub fn segmented<T: Copy + PartialEq>(ui: &mut Ui, current: T, choices: &[(T, &str)]) -> Option<T> {
    let tokens = ui.tokens();
    let mut clicked = None;
    let frame = egui::Frame::new().fill(tokens.field).corner_radius(6).inner_margin(2);
    frame.show(ui, |ui| {
        ui.spacing_mut().item_spacing.x = 2.0;
        ui.horizontal(|ui| {
            for (value, text) in choices {
                let on = *value == current;
                let colour = if on { tokens.text_strong } else { tokens.text_weak };
                let fill = if on { tokens.hover } else { Color32::TRANSPARENT };
                let button =
                    Button::new(RichText::new(*text).color(colour)).fill(fill).min_size(Vec2::new(0.0, 22.0));
                let response = ui.add(button);
                response.widget_info(|| WidgetInfo::selected(Role::RadioButton, true, on, *text));
                if response.clicked() && !on {
                    clicked = Some(*value);
                }
            }
        });
    });
    clicked
}

/// A switch with its name at the right. True when it was clicked.
pub fn toggle(ui: &mut Ui, on: &mut bool, text: &str) -> Response {
    let tokens = ui.tokens();
    let inner = ui.horizontal(|ui| {
        let (rect, response) = ui.allocate_exact_size(Vec2::new(30.0, 18.0), Sense::click());
        let label = ui.add(egui::Label::new(text).sense(Sense::click()));
        (rect, response, label)
    });
    let (rect, mut response, label) = inner.inner;
    if response.clicked() || label.clicked() {
        *on = !*on;
        response.mark_changed();
    }
    let state = *on;
    response.widget_info(|| WidgetInfo::selected(Role::Switch, ui.is_enabled(), state, text));
    let how = ui.ctx().animate_bool_responsive(response.id, state);
    let fill = if state { tokens.accent } else { tokens.pressed };
    ui.painter().rect_filled(rect, 9.0, fill);
    let x = egui::lerp(rect.left() + 9.0..=rect.right() - 9.0, how);
    ui.painter().circle_filled(egui::pos2(x, rect.center().y), 6.5, tokens.text_strong);
    if response.has_focus() {
        let outline = Stroke::new(1.5, tokens.accent);
        ui.painter().rect_stroke(rect.expand(2.0), 11.0, outline, egui::StrokeKind::Outside);
    }
    response
}
