//! Buttons. Every one has a name for people who do not see it, and for tests.

use egui::{
    Button, Color32, Rect, Response, RichText, Role, Sense, Stroke, TextStyle, Ui, Vec2, WidgetInfo, pos2,
};

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

/// Some choices of which one holds. Returns the one that was clicked. Takes just the room it needs, in any layout.
pub fn segmented<T: Copy + PartialEq>(ui: &mut Ui, current: T, choices: &[(T, &str)]) -> Option<T> {
    const HEIGHT: f32 = 26.0;
    const PADDING: f32 = 10.0;
    let tokens = ui.tokens();
    let font = TextStyle::Button.resolve(ui.style());
    let galleys: Vec<_> = choices
        .iter()
        .map(|(value, text)| {
            let colour = if *value == current { tokens.text_strong } else { tokens.text_weak };
            ui.painter().layout_no_wrap((*text).to_owned(), font.clone(), colour)
        })
        .collect();
    let width: f32 = galleys.iter().map(|galley| galley.size().x + 2.0 * PADDING).sum();
    let (rect, whole) = ui.allocate_exact_size(Vec2::new(width + 4.0, HEIGHT), Sense::hover());
    ui.painter().rect_filled(rect, 6.0, tokens.field);
    let (mut clicked, mut x) = (None, rect.left() + 2.0);
    for ((value, text), galley) in choices.iter().zip(galleys) {
        let size = Vec2::new(galley.size().x + 2.0 * PADDING, HEIGHT - 4.0);
        let part = Rect::from_min_size(pos2(x, rect.top() + 2.0), size);
        x += size.x;
        let on = *value == current;
        let response = ui.interact(part, whole.id.with(*text), Sense::click());
        response.widget_info(|| WidgetInfo::selected(Role::RadioButton, true, on, *text));
        if on || response.hovered() || response.has_focus() {
            ui.painter().rect_filled(part, 5.0, if on { tokens.hover } else { tokens.card });
        }
        let place = part.center() - galley.size() / 2.0;
        ui.painter().galley(place, galley, tokens.text);
        if response.clicked() && !on {
            clicked = Some(*value);
        }
    }
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
    ui.painter().circle_filled(egui::pos2(x, rect.center().y), 6.5, tokens.knob);
    if response.has_focus() {
        let outline = Stroke::new(1.5, tokens.accent);
        ui.painter().rect_stroke(rect.expand(2.0), 11.0, outline, egui::StrokeKind::Outside);
    }
    response
}
