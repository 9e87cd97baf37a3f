//! The methods that the engine has, a card and an honest line each.

use egui::{Frame, Margin, RichText, Role, ScrollArea, Sense, Stroke, Ui, WidgetInfo};
use protocol::{Descriptor, RunConfig};

use crate::panels::PanelCtx;
use crate::theme::{UiTokens, semibold};

const NARROWEST: f32 = 250.0;
const HEIGHT: f32 = 62.0;

/// Chooses the method; settings that both methods have are kept.
pub fn cards(ui: &mut Ui, ctx: &PanelCtx<'_>, config: &mut RunConfig) {
    let methods = &ctx.state.engine.catalog.methods;
    let width = ui.available_width();
    let across = ((width / NARROWEST) as usize).clamp(1, methods.len().max(1));
    let card_width = (width - 8.0 * (across as f32 - 1.0)) / across as f32;
    // Two and a half rows: that there are more is seen.
    let most = HEIGHT * 2.5;
    ScrollArea::vertical().id_salt("methods").max_height(most).show(ui, |ui| {
        for row in methods.chunks(across) {
            ui.horizontal_top(|ui| {
                for method in row {
                    if method_card(ui, ctx, method, method.id == config.method.kind, card_width) {
                        choose(config, methods, method);
                    }
                }
            });
        }
    });
    ui.add_space(2.0);
}

fn choose(config: &mut RunConfig, methods: &[Descriptor], method: &Descriptor) {
    let before = methods.iter().find(|known| known.id == config.method.kind);
    let knows = |of: &Descriptor, key: &str| of.params.iter().any(|spec| spec.key == key);
    // What the former method knew and the new one does not would be refused.
    config.method.params.retain(|key, _| knows(method, key) || before.is_none_or(|before| !knows(before, key)));
    config.method.kind.clone_from(&method.id);
}

fn method_card(ui: &mut Ui, ctx: &PanelCtx<'_>, method: &Descriptor, on: bool, width: f32) -> bool {
    let tokens = ui.tokens();
    let name = ctx.t(&method.name);
    let fill = if on { tokens.accent_wash } else { tokens.card };
    let stroke = Stroke::new(1.0, if on { tokens.accent } else { fill });
    let frame = Frame::new().fill(fill).stroke(stroke).corner_radius(8).inner_margin(Margin::symmetric(12, 8));
    let inner = ui.allocate_ui(egui::vec2(width, HEIGHT), |ui| {
        frame.show(ui, |ui| {
            ui.set_width(width - 26.0);
            ui.set_height(HEIGHT - 18.0);
            ui.vertical(|ui| {
                ui.spacing_mut().item_spacing.y = 2.0;
                ui.label(RichText::new(name).family(semibold()).color(tokens.text_strong));
                let help = RichText::new(ctx.t(&method.help)).small().color(tokens.text_weak);
                ui.add(egui::Label::new(help).wrap());
            });
        })
    });
    let response = inner.inner.response.interact(Sense::click());
    response.widget_info(|| WidgetInfo::selected(Role::RadioButton, true, on, name));
    if response.has_focus() || (response.hovered() && !on) {
        let outline = Stroke::new(1.0, tokens.text_faint);
        ui.painter().rect_stroke(response.rect, 8.0, outline, egui::StrokeKind::Inside);
    }
    response.clicked() && !on
}
