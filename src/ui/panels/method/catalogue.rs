//! The methods that the engine has: their names side by side, and an honest line about the chosen one.

use egui::{Button, RichText, Role, Stroke, Ui, WidgetInfo};
use protocol::{Descriptor, RunConfig};

use crate::panels::PanelCtx;
use crate::theme::{UiTokens, semibold};
use crate::widgets::hint;

/// Chooses the method; settings that both methods have are kept.
pub fn names(ui: &mut Ui, ctx: &PanelCtx<'_>, config: &mut RunConfig) {
    let methods = &ctx.state.engine.catalog.methods;
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing = egui::vec2(6.0, 6.0);
        for method in methods {
            if name_of(ui, ctx, method, method.id == config.method.kind) {
                choose(config, methods, method);
            }
        }
    });
    if let Some(method) = methods.iter().find(|method| method.id == config.method.kind) {
        hint(ui, ctx.t(&method.help));
    }
    ui.add_space(2.0);
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
        Button::new(words).fill(fill).stroke(stroke).corner_radius(8).min_size(egui::vec2(0.0, 32.0));
    let response = ui.add(button).on_hover_text(ctx.t(&method.help));
    response.widget_info(|| WidgetInfo::selected(Role::RadioButton, true, on, name));
    response.clicked() && !on
}
