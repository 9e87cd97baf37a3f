//! The dialog that hands a run to other machines: where it goes, what was written, and the line that starts it.

use egui::{Label, RichText, TextEdit, Ui};
use protocol::{HandoffReport, Launch, Text};

use crate::action::Action;
use crate::desktop::DesktopRequest;
use crate::frame::summary::unusable;
use crate::panels::PanelCtx;
use crate::state::handoff::{Choices, HandoffAction, engine, method_obstacle, out};
use crate::theme::UiTokens;
use crate::widgets::{
    Dialog, Icon, button, field, hint, icon_button, input, number, outcome, primary_button, washed,
};
use crate::words::handoff as words;

fn push(ctx: &PanelCtx<'_>, action: HandoffAction) {
    ctx.push(Action::Handoff(action));
}

/// Why nothing can be handed over now; memory here is no reason.
fn obstacle(ctx: &PanelCtx<'_>) -> Option<Text> {
    unusable(ctx).map(|obstacle| obstacle.text).or_else(|| method_obstacle(ctx.state))
}

/// The button that opens the dialog.
pub(super) fn opener(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    let obstacle = obstacle(ctx);
    let able = obstacle.is_none();
    let response =
        ui.add_enabled_ui(able, |ui| button(ui, Some(Icon::Upload), ctx.t(&words::HAND_OFF))).inner;
    let response = response.on_hover_text(ctx.t(&words::HAND_OFF_HELP));
    let response = match &obstacle {
        Some(why) => response.on_disabled_hover_text(ctx.t(why)),
        None => response,
    };
    if response.clicked() {
        push(ctx, HandoffAction::Open);
    }
}

pub(super) fn ui(egui: &egui::Context, ctx: &PanelCtx<'_>) {
    if !ctx.state.handoff.open {
        return;
    }
    let body = |ui: &mut Ui| {
        choices(ui, ctx);
        ui.add_space(6.0);
        outcome(ui, ctx, &ctx.state.handoff.work, &words::WRITING, |ui, report| written(ui, ctx, report));
    };
    let dialog = Dialog::new("handoff", ctx.t(&words::TITLE), 680.0).help(ctx.t(&words::HELP));
    if dialog.show(egui, body, |ui| buttons(ui, ctx)) {
        push(ctx, HandoffAction::Close);
    }
}

fn choices(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    let before = &ctx.state.handoff.choices;
    let mut chosen = before.clone();
    engines(ui, ctx, &mut chosen);
    field(ui, ctx.t(&words::NODES), "", |ui| input::integer(ui, &mut chosen.nodes, 1..=4096, ""));
    field(ui, ctx.t(&words::CARDS), ctx.t(&words::CARDS_HELP), |ui| {
        input::integer(ui, &mut chosen.cards, 1..=64, "")
    });
    field(ui, ctx.t(&words::MODEL), ctx.t(&words::MODEL_HELP), |ui| {
        let name = ctx.state.project.config.model.path.file_name();
        let name = name.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let edit = TextEdit::singleline(&mut chosen.model).hint_text(name).desired_width(280.0);
        ui.add_enabled(!chosen.copy_model, edit)
    });
    ui.checkbox(&mut chosen.copy_model, ctx.t(&words::COPY_MODEL));
    field(ui, ctx.t(&words::FOLDER), "", |ui| {
        let pick = button(ui, Some(Icon::FolderOpen), ctx.t(&words::CHOOSE));
        if pick.clicked() {
            push(ctx, HandoffAction::PickFolder);
        }
        let place = out(ctx.state).map(|out| out.display().to_string());
        let text = place.as_deref().unwrap_or_else(|| ctx.t(&words::NO_FOLDER));
        ui.add(Label::new(RichText::new(text).small().color(ui.tokens().text_weak)).truncate());
        pick
    });
    if chosen != *before {
        push(ctx, HandoffAction::Choose(Box::new(chosen)));
    }
}

fn engines(ui: &mut Ui, ctx: &PanelCtx<'_>, chosen: &mut Choices) {
    let known = &ctx.state.engine.catalog.engines;
    let mut id = engine(ctx.state).unwrap_or_default().to_owned();
    field(ui, ctx.t(&words::ENGINE), "", |ui| {
        let entries = known.iter().map(|it| (it.id.as_str(), ctx.t(&it.name), ctx.t(&it.help)));
        let response = input::choice(ui, "handoff-engine", &mut id, entries);
        response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::ComboBox, true, ctx.t(&words::ENGINE)));
        response
    });
    if let Some(it) = known.iter().find(|it| it.id == id) {
        hint(ui, ctx.t(&it.help));
    }
    if engine(ctx.state) != Some(id.as_str()) {
        chosen.engine = id;
    }
}

fn written(ui: &mut Ui, ctx: &PanelCtx<'_>, report: &HandoffReport) {
    let tokens = ui.tokens();
    washed(ui, tokens.success_wash, Icon::Check, tokens.success, |ui| {
        let (rows, told) = (number::count(report.train_rows), number::count(report.tokens));
        let (steps, size) = (number::count(report.steps), number::bytes(report.bytes));
        let title = protocol::text!(
            "{rows} rows ({told} tokens) for {steps} steps, {size}",
            "{rows} 行（{told} 个词元），{steps} 步，{size}"
        );
        let title = RichText::new(ctx.t(&title)).color(tokens.text_strong);
        ui.add(Label::new(title).wrap()).on_hover_text(report.dir.display().to_string());
        for launch in &report.launches {
            line(ui, ctx, launch);
        }
        for note in &report.notes {
            hint(ui, ctx.t(note));
        }
        hint(ui, ctx.t(&words::WATCH));
        if button(ui, Some(Icon::FolderOpen), ctx.t(&words::OPEN_FOLDER)).clicked() {
            ctx.push(Action::Desktop(DesktopRequest::Open(report.dir.display().to_string())));
        }
    });
}

/// What to type, with a button that copies it.
fn line(ui: &mut Ui, ctx: &PanelCtx<'_>, launch: &Launch) {
    let tokens = ui.tokens();
    ui.label(RichText::new(ctx.t(&launch.name)).small().color(tokens.text_weak));
    ui.horizontal(|ui| {
        let name = format!("{}: {}", ctx.t(&words::COPY), ctx.t(&launch.name));
        if icon_button(ui, Icon::Copy, &name).clicked() {
            ui.ctx().copy_text(launch.line.clone());
        }
        let text = RichText::new(&launch.line).monospace().size(11.5).color(tokens.text_strong);
        ui.add(Label::new(text).wrap().selectable(true));
    });
}

fn buttons(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    let able = out(ctx.state).is_some() && !ctx.state.handoff.work.is_pending() && obstacle(ctx).is_none();
    if primary_button(ui, Some(Icon::Save), ctx.t(&words::WRITE), able).clicked() {
        push(ctx, HandoffAction::Write);
    }
    if button(ui, None, ctx.t(&words::CLOSE)).clicked() {
        push(ctx, HandoffAction::Close);
    }
}
