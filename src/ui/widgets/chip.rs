//! Chips: small things that are on, partly on, or off.

use egui::{Button, Response, RichText, Role, Stroke, Ui, Vec2, WidgetInfo};

use super::icon::Icon;
use crate::theme::UiTokens;

/// Whether all, some or none of several things are on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tri {
    Off,
    Some,
    On,
}

impl Tri {
    /// Of `on` things among `all`.
    pub fn of(on: usize, all: usize) -> Self {
        match on {
            0 => Self::Off,
            _ if on == all => Self::On,
            _ => Self::Some,
        }
    }
}

/// A chip that turns something on and off.
pub fn chip(ui: &mut Ui, state: Tri, text: &str) -> Response {
    let tokens = ui.tokens();
    let (fill, colour, stroke) = match state {
        Tri::On => (tokens.accent_wash, tokens.accent, Stroke::new(1.0, tokens.accent)),
        Tri::Some => (tokens.accent_wash, tokens.accent, Stroke::new(1.0, tokens.accent_wash)),
        Tri::Off => (tokens.hover, tokens.text_weak, Stroke::new(1.0, tokens.hover)),
    };
    let button = Button::new(RichText::new(text).small().color(colour))
        .fill(fill)
        .stroke(stroke)
        .corner_radius(11)
        .min_size(Vec2::new(0.0, 22.0));
    let response = ui.add(button);
    response.widget_info(|| WidgetInfo::selected(Role::CheckBox, ui.is_enabled(), state == Tri::On, text));
    response
}

/// A chip with a cross: a click takes it away. `name` is what the cross says to people who do not see it.
pub fn removable_chip(ui: &mut Ui, text: &str, name: &str) -> Response {
    let tokens = ui.tokens();
    let cross = Icon::Close.image(11.0, tokens.text_weak);
    let button = Button::image_and_text(cross, RichText::new(text).small().color(tokens.text))
        .fill(tokens.hover)
        .corner_radius(11)
        .min_size(Vec2::new(0.0, 22.0));
    let response = ui.add(button).on_hover_text(name);
    response.widget_info(|| WidgetInfo::labeled(Role::Button, ui.is_enabled(), name));
    response
}

/// A check box without a text beside it that can be half checked; `name` is its accessible name.
pub fn tri_check(ui: &mut Ui, state: Tri, name: &str) -> Response {
    let mut on = state == Tri::On;
    let tokens = ui.tokens();
    let marked = state != Tri::Off;
    let response = ui
        .scope(|ui| {
            let widgets = &mut ui.visuals_mut().widgets;
            for (widget, line) in
                [(&mut widgets.inactive, tokens.text_faint), (&mut widgets.hovered, tokens.text_weak)]
            {
                widget.bg_fill = if marked { tokens.accent_wash } else { tokens.field };
                widget.bg_stroke = Stroke::new(1.0, if marked { tokens.accent } else { line });
                widget.fg_stroke = Stroke::new(1.5, tokens.accent);
            }
            ui.add(egui::Checkbox::without_text(&mut on).indeterminate(state == Tri::Some))
        })
        .inner;
    response.widget_info(|| WidgetInfo::selected(Role::CheckBox, ui.is_enabled(), state == Tri::On, name));
    response
}
