//! Every shortcut, from the tables that the shortcuts themselves are read from.

use egui::{Align, Frame, KeyboardShortcut, Layout, Margin, Modifiers, RichText, Ui};

use super::part;
use crate::action::Action;
use crate::command::{COMMANDS, UiCommand};
use crate::panels::{PANELS, PanelCtx};
use crate::theme::UiTokens;
use crate::widgets::{Icon, button};
use crate::words::settings as words;

pub fn table(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    part(ui, ctx.t(&words::SHORTCUTS), |ui| {
        ui.spacing_mut().item_spacing.y = 3.0;
        group(ui, ctx.t(&words::PANELS));
        for info in PANELS {
            row(ui, ctx.t(&info.name), &KeyboardShortcut::new(Modifiers::COMMAND, info.shortcut));
        }
        ui.add_space(6.0);
        group(ui, ctx.t(&words::COMMANDS));
        for info in COMMANDS {
            if let Some(shortcut) = &info.shortcut {
                row(ui, ctx.t(&info.text), shortcut);
            }
        }
        ui.add_space(6.0);
        if button(ui, Some(Icon::Command), ctx.t(&UiCommand::Palette.info().text))
            .on_hover_text(ctx.t(&words::PALETTE_HINT))
            .clicked()
        {
            ctx.push(Action::Command(UiCommand::Palette));
        }
    });
}

fn group(ui: &mut Ui, name: &str) {
    ui.label(RichText::new(name).small().color(ui.tokens().text_faint));
}

fn row(ui: &mut Ui, name: &str, shortcut: &KeyboardShortcut) {
    let tokens = ui.tokens();
    let keys = ui.ctx().format_shortcut(shortcut);
    ui.horizontal(|ui| {
        ui.label(RichText::new(name).color(tokens.text));
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            Frame::new().fill(tokens.field).corner_radius(4).inner_margin(Margin::symmetric(7, 1)).show(
                ui,
                |ui| {
                    ui.label(RichText::new(keys).small().color(tokens.text_weak));
                },
            );
        });
    });
}
