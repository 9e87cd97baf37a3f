//! Sizes, spacing and egui's own widgets, from the roles.

use egui::{
    Context, CornerRadius, FontFamily, FontId, Margin, Shadow, Stroke, Style, TextStyle, Theme, Vec2, Visuals,
};

use super::fonts::semibold;
use super::tokens::Tokens;

/// Sets both themes.
pub fn apply(ctx: &Context) {
    for theme in [Theme::Dark, Theme::Light] {
        ctx.style_mut_of(theme, |style| {
            set_text(style);
            set_spacing(style);
            set_colours(style, Tokens::of(theme == Theme::Dark));
        });
    }
}

fn set_text(style: &mut Style) {
    let size = |size, family| FontId::new(size, family);
    style.text_styles = [
        (TextStyle::Small, size(11.5, FontFamily::Proportional)),
        (TextStyle::Body, size(13.5, FontFamily::Proportional)),
        (TextStyle::Button, size(13.5, FontFamily::Proportional)),
        (TextStyle::Heading, size(18.0, semibold())),
        (TextStyle::Monospace, size(12.5, FontFamily::Monospace)),
    ]
    .into();
}

fn set_spacing(style: &mut Style) {
    let spacing = &mut style.spacing;
    spacing.item_spacing = Vec2::new(8.0, 6.0);
    spacing.button_padding = Vec2::new(10.0, 4.0);
    spacing.interact_size = Vec2::new(28.0, 26.0);
    spacing.menu_margin = Margin::same(6);
    spacing.window_margin = Margin::same(16);
    spacing.indent = 16.0;
    spacing.slider_width = 140.0;
    spacing.combo_width = 120.0;
    spacing.tooltip_width = 420.0;
    spacing.scroll.bar_width = 7.0;
    style.interaction.selectable_labels = false;
    style.interaction.tooltip_delay = 0.35;
    style.animation_time = 0.08;
}

fn set_colours(style: &mut Style, tokens: &Tokens) {
    let mut visuals = if tokens.dark { Visuals::dark() } else { Visuals::light() };
    let radius = CornerRadius::same(5);
    visuals.panel_fill = tokens.panel;
    visuals.window_fill = tokens.card;
    visuals.window_stroke = Stroke::new(1.0, tokens.line);
    visuals.window_corner_radius = CornerRadius::same(9);
    visuals.menu_corner_radius = CornerRadius::same(7);
    visuals.window_shadow = Shadow { offset: [0, 12], blur: 40, spread: 0, color: tokens.backdrop };
    visuals.popup_shadow = Shadow { offset: [0, 6], blur: 20, spread: 0, color: tokens.backdrop };
    visuals.extreme_bg_color = tokens.field;
    visuals.text_edit_bg_color = Some(tokens.field);
    visuals.faint_bg_color = tokens.card;
    visuals.code_bg_color = tokens.field;
    visuals.hyperlink_color = tokens.accent;
    visuals.warn_fg_color = tokens.warning;
    visuals.error_fg_color = tokens.error;
    visuals.weak_text_color = Some(tokens.text_weak);
    visuals.selection.bg_fill = tokens.accent_wash;
    visuals.selection.stroke = Stroke::new(1.0, tokens.accent);
    visuals.indent_has_left_vline = false;
    visuals.striped = false;
    let widgets = &mut visuals.widgets;
    for (widget, fill, text) in [
        (&mut widgets.noninteractive, tokens.panel, tokens.text),
        (&mut widgets.inactive, tokens.hover, tokens.text),
        (&mut widgets.hovered, tokens.pressed, tokens.text_strong),
        (&mut widgets.active, tokens.pressed, tokens.text_strong),
        (&mut widgets.open, tokens.hover, tokens.text_strong),
    ] {
        widget.bg_fill = fill;
        widget.weak_bg_fill = fill;
        widget.bg_stroke = Stroke::NONE;
        widget.fg_stroke = Stroke::new(1.0, text);
        widget.corner_radius = radius;
        widget.expansion = 0.0;
    }
    widgets.noninteractive.bg_stroke = Stroke::new(1.0, tokens.line);
    style.visuals = visuals;
}
