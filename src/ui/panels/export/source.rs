//! Which result is exported.

use egui::{RichText, Ui};

use crate::action::Action;
use crate::panels::PanelCtx;
use crate::state::export::ExportAction;
use crate::state::tuned::{Tuned, TunedKind};
use crate::theme::UiTokens;
use crate::widgets::mix::{join_menu, members};
use crate::widgets::{Icon, card, hint, menu_choice, run_menu, section};
use crate::words::export as words;

pub(super) fn ui(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    card(ui, |ui| {
        section(ui, ctx.t(&words::SOURCE));
        ui.horizontal(|ui| {
            let source = ctx.state.export.source.as_ref();
            let label = source.map_or_else(|| words::NOBODY.clone(), Tuned::short_name);
            let icon = Icon::ChevronDown.image(13.0, ui.tokens().text_weak);
            let button = egui::Button::image_and_text(icon, ctx.t(&label));
            egui::containers::menu::MenuButton::from_button(button).ui(ui, |ui| {
                ui.set_min_width(240.0);
                pick(ui, ctx);
            });
            if let Some(source) = source {
                if source.takes_others() {
                    join_menu(ui, ctx, source, None, export);
                }
                let origin = source.origin(ctx.state);
                let base = origin.model.path.file_name().map(|name| name.to_string_lossy().into_owned());
                let on = matches!(source.kind, TunedKind::Adapter(_));
                if let Some(base) = base.filter(|_| on) {
                    let text = format!("{} {base}", ctx.t(&words::ON_BASE));
                    let label = egui::Label::new(RichText::new(text).color(ui.tokens().text_weak)).truncate();
                    ui.add(label).on_hover_text(origin.model.path.display().to_string());
                }
            }
        });
        let source = ctx.state.export.source.as_ref();
        if let Some(source) = source.filter(|source| !source.mix.is_single()) {
            if let Some(wanted) = members(ui, ctx, source) {
                ctx.push(export(wanted));
            }
            hint(ui, ctx.t(&words::TOGETHER));
        } else if let Some(path) = source.and_then(|source| source.path()) {
            let text = RichText::new(path.display().to_string()).small().color(ui.tokens().text_weak);
            ui.add(egui::Label::new(text).truncate());
        }
    });
}

fn export(source: Tuned) -> Action {
    Action::Export(ExportAction::Use(Box::new(source)))
}

fn pick(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    let (chat, export) = (&ctx.state.chat, &ctx.state.export);
    let other = chat.tuned.as_ref().filter(|tuned| tuned.kind != TunedKind::Live);
    if let Some(tuned) = other.filter(|tuned| Some(*tuned) != export.source.as_ref()) {
        let text = format!("{}: {}", ctx.t(&words::FROM_CHAT), ctx.t(&tuned.name()));
        menu_choice(ui, ctx, &text, || Action::Export(ExportAction::UseChat));
        ui.separator();
    }
    let action = |run, checkpoint| Action::Export(ExportAction::UseRun { run, checkpoint });
    run_menu(ui, ctx, ctx.state.runs.runs.iter(), action);
}
