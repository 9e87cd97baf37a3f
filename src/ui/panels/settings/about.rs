//! The program, and whose fonts and icons it carries.

use egui::{RichText, ScrollArea, Ui};

use super::part;
use crate::panels::PanelCtx;
use crate::theme::{UiTokens, semibold};
use crate::widgets::{Icon, hint};
use crate::words::settings as words;

/// The texts of the licences, as they must go with the files.
static LICENCES: [(&protocol::Text, &str); 4] = [
    (&words::FONT_INTER, include_str!("../../../../assets/fonts/OFL-Inter.txt")),
    (&words::FONT_MONO, include_str!("../../../../assets/fonts/OFL-JetBrainsMono.txt")),
    (&words::FONT_NOTO, include_str!("../../../../assets/fonts/OFL-NotoSansSC.txt")),
    (&words::ICONS, include_str!("../../../../assets/icons/LICENSE-lucide.txt")),
];

pub fn about(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    part(ui, ctx.t(&words::ABOUT), |ui| {
        let tokens = ui.tokens();
        ui.horizontal(|ui| {
            Icon::Emberwright.ui(ui, 26.0, tokens.accent);
            ui.vertical(|ui| {
                ui.spacing_mut().item_spacing.y = 1.0;
                ui.label(RichText::new("Emberwright").family(semibold()).color(tokens.text_strong));
                let version = format!(
                    "{} {} · {} {}",
                    ctx.t(&words::VERSION),
                    env!("CARGO_PKG_VERSION"),
                    ctx.t(&words::LICENCE),
                    env!("CARGO_PKG_LICENSE"),
                );
                ui.label(RichText::new(version).small().color(tokens.text_weak));
            });
        });
        hint(ui, ctx.t(&words::ABOUT_LINE));
        ui.label(RichText::new(ctx.t(&words::LICENCES)).small().color(tokens.text_faint));
        for (name, text) in LICENCES {
            ui.collapsing(ctx.t(name), |ui| {
                ScrollArea::vertical().id_salt(&name.en).max_height(220.0).show(ui, |ui| {
                    let text = RichText::new(text).small().color(tokens.text_weak);
                    ui.add(egui::Label::new(text).wrap().selectable(true));
                });
            });
        }
    });
}
