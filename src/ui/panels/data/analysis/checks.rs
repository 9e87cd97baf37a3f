//! What is looked for.

use std::path::PathBuf;

use egui::{Align, ComboBox, Label, Layout, RichText, Ui};
use protocol::{AnalysisChecks, IfdPrompt};

use super::push;
use crate::action::Action;
use crate::desktop::{DesktopRequest, Purpose};
use crate::panels::PanelCtx;
use crate::state::analysis::{AnalysisAction, DIVERSE, SIMILAR};
use crate::theme::UiTokens;
use crate::widgets::{Icon, button, card, field, hint, icon_button, input, section, toggle};
use crate::words::analysis as words;

pub(super) fn ui(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    let mut checks = ctx.state.data.analysis.checks.clone();
    card(ui, |ui| {
        section(ui, ctx.t(&words::CHECKS));
        hint(ui, ctx.t(&words::ALWAYS));
        near(ui, ctx, &mut checks);
        toggle(ui, &mut checks.leaks, ctx.t(&words::LEAKS)).on_hover_text(ctx.t(&words::LEAKS_HELP));
        toggle(ui, &mut checks.ifd, ctx.t(&words::IFD)).on_hover_text(ctx.t(&words::IFD_HELP));
        if checks.ifd {
            ifd_prompt(ui, ctx, &mut checks.ifd_prompt);
        }
        diverse(ui, ctx, &mut checks);
        ui.add_space(2.0);
        sets(ui, ctx, &mut checks.contamination);
    });
    if checks != ctx.state.data.analysis.checks {
        push(ctx, AnalysisAction::Checks(Box::new(checks)));
    }
}

fn near(ui: &mut Ui, ctx: &PanelCtx<'_>, checks: &mut AnalysisChecks) {
    let mut on = checks.near_duplicates.is_some();
    if toggle(ui, &mut on, ctx.t(&words::NEAR)).changed() {
        checks.near_duplicates = on.then_some(SIMILAR);
    }
    if let Some(similarity) = &mut checks.near_duplicates {
        field(ui, ctx.t(&words::SIMILARITY), ctx.t(&words::SIMILARITY_HELP), |ui| {
            input::real(ui, similarity, 0.1..=1.0)
        });
    }
}

fn ifd_prompt(ui: &mut Ui, ctx: &PanelCtx<'_>, prompt: &mut IfdPrompt) {
    let choices = [
        (IfdPrompt::Alpaca, "Alpaca"),
        (IfdPrompt::Wiz, "WizardLM"),
        (IfdPrompt::Template, ctx.t(&words::IFD_TEMPLATE)),
    ];
    let current = choices.iter().find(|(choice, _)| choice == prompt).map_or("", |(_, name)| *name);
    field(ui, ctx.t(&words::IFD_PROMPT), ctx.t(&words::IFD_PROMPT_HELP), |ui| {
        let combo = ComboBox::from_id_salt("ifd-prompt").selected_text(current).width(ui.available_width());
        let response = combo.show_ui(ui, |ui| {
            for (choice, name) in choices {
                ui.selectable_value(prompt, choice, name);
            }
        });
        let named = || egui::WidgetInfo::labeled(egui::Role::ComboBox, true, ctx.t(&words::IFD_PROMPT));
        response.response.widget_info(named);
        response.response
    });
}

fn diverse(ui: &mut Ui, ctx: &PanelCtx<'_>, checks: &mut AnalysisChecks) {
    let mut on = checks.diverse.is_some();
    let response = toggle(ui, &mut on, ctx.t(&words::DIVERSE)).on_hover_text(ctx.t(&words::DIVERSE_HELP));
    if response.changed() {
        checks.diverse = on.then_some(DIVERSE);
    }
    if let Some(rows) = &mut checks.diverse {
        field(ui, ctx.t(&words::DIVERSE_ROWS), "", |ui| input::integer(ui, rows, 1..=10_000_000, ""));
    }
}

/// Sets that one evaluates with.
fn sets(ui: &mut Ui, ctx: &PanelCtx<'_>, sets: &mut Vec<PathBuf>) {
    section(ui, ctx.t(&words::CONTAMINATION));
    hint(ui, ctx.t(&words::CONTAMINATION_HELP));
    let mut removed = None;
    for (index, set) in sets.iter().enumerate() {
        let name = set.file_name().unwrap_or(set.as_os_str()).to_string_lossy();
        ui.horizontal(|ui| {
            Icon::File.ui(ui, 14.0, ui.tokens().text_weak);
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                if icon_button(ui, Icon::Close, &format!("{} {name}", ctx.t(&words::REMOVE))).clicked() {
                    removed = Some(index);
                }
                ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                    let label = Label::new(RichText::new(name.as_ref()).color(ui.tokens().text)).truncate();
                    ui.add(label).on_hover_text(set.display().to_string());
                });
            });
        });
    }
    if let Some(index) = removed {
        sets.remove(index);
    }
    if button(ui, Some(Icon::FilePlus), ctx.t(&words::ADD_SETS)).clicked() {
        let extensions = crate::apply::DATA_EXTENSIONS.iter().map(|it| (*it).to_owned()).collect();
        let purpose = Purpose::AnalysisSets;
        ctx.push(Action::Desktop(DesktopRequest::PickFiles { purpose, extensions, many: true }));
    }
}
