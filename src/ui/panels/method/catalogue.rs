//! The methods that the engine has: their names side by side, and an honest line about the chosen one.

use egui::{Button, Color32, FontId, RichText, Role, Stroke, TextStyle, Ui, Vec2, WidgetInfo};
use protocol::{Descriptor, RunConfig};

use crate::panels::PanelCtx;
use crate::theme::{UiTokens, semibold};
use crate::widgets::hint;

/// Between two names.
const GAP: f32 = 6.0;
/// At both sides of a name.
const PADDING: f32 = 10.0;
const HEIGHT: f32 = 30.0;

/// Chooses the method; settings that both methods have are kept.
pub fn names(ui: &mut Ui, ctx: &PanelCtx<'_>, config: &mut RunConfig) {
    let methods = &ctx.state.engine.catalog.methods;
    let font = FontId::new(TextStyle::Button.resolve(ui.style()).size, semibold());
    let width = |method: &Descriptor| {
        let name = ctx.t(&method.name).to_owned();
        ui.painter().layout_no_wrap(name, font.clone(), Color32::PLACEHOLDER).size().x + 2.0 * PADDING
    };
    let widths: Vec<f32> = methods.iter().map(width).collect();
    let mut left = methods.iter();
    ui.scope(|ui| {
        ui.spacing_mut().item_spacing = Vec2::splat(GAP);
        for count in rows(&widths, ui.available_width()) {
            ui.horizontal(|ui| {
                for method in left.by_ref().take(count) {
                    if name_of(ui, ctx, method, method.id == config.method.kind) {
                        choose(config, methods, method);
                    }
                }
            });
        }
    });
    if let Some(method) = methods.iter().find(|method| method.id == config.method.kind) {
        hint(ui, ctx.t(&method.help));
    }
    ui.add_space(2.0);
}

/// How many names stand in each row: as few rows as the width allows, and these as even as they can be.
fn rows(widths: &[f32], most: f32) -> Vec<usize> {
    let fewest = filled(widths, most);
    let whole: f32 = widths.iter().map(|width| width + GAP).sum();
    let mut limit = whole / fewest.len().max(1) as f32;
    while limit < most {
        let even = filled(widths, limit);
        if even.len() == fewest.len() {
            return even;
        }
        limit += GAP;
    }
    fewest
}

/// Rows that are filled one after the other.
fn filled(widths: &[f32], most: f32) -> Vec<usize> {
    let (mut rows, mut used) = (Vec::new(), f32::INFINITY);
    for width in widths {
        match rows.last_mut() {
            Some(count) if used + GAP + width <= most => {
                *count += 1;
                used += GAP + width;
            }
            _ => {
                rows.push(1);
                used = *width;
            }
        }
    }
    rows
}

fn choose(config: &mut RunConfig, methods: &[Descriptor], method: &Descriptor) {
    let before = methods.iter().find(|known| known.id == config.method.kind);
    let knows = |of: &Descriptor, key: &str| of.params.iter().any(|spec| spec.key == key);
    // What the former method knew and the new one does not would be refused.
    config
        .method
        .params
        .retain(|key, _| knows(method, key) || before.is_none_or(|before| !knows(before, key)));
    config.method.kind.clone_from(&method.id);
}

fn name_of(ui: &mut Ui, ctx: &PanelCtx<'_>, method: &Descriptor, on: bool) -> bool {
    let tokens = ui.tokens();
    let name = ctx.t(&method.name);
    let fill = if on { tokens.accent_wash } else { tokens.card };
    let stroke = Stroke::new(1.0, if on { tokens.accent } else { fill });
    let words = RichText::new(name).color(if on { tokens.text_strong } else { tokens.text });
    let words = if on { words.family(semibold()) } else { words };
    let button =
        Button::new(words).fill(fill).stroke(stroke).corner_radius(8).min_size(Vec2::new(0.0, HEIGHT));
    let response = ui
        .scope(|ui| {
            ui.spacing_mut().button_padding.x = PADDING;
            ui.add(button)
        })
        .inner
        .on_hover_text(ctx.t(&method.help));
    response.widget_info(|| WidgetInfo::selected(Role::RadioButton, true, on, name));
    response.clicked() && !on
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_few_and_even() {
        assert_eq!(rows(&[50.0; 12], 12.0 * 56.0), [12]);
        assert_eq!(rows(&[50.0; 12], 10.0 * 56.0), [6, 6], "not ten and two");
        assert_eq!(rows(&[50.0; 12], 5.0 * 56.0), [4, 4, 4]);
        assert_eq!(rows(&[90.0, 20.0, 20.0], 40.0), [1, 1, 1], "what is too wide stands alone");
        assert!(rows(&[], 40.0).is_empty());
    }
}
