//! Publishing: the form, then exactly what would be sent, then the yes.

use egui::{Align, Context, Label, Layout, RichText, Ui};
use protocol::{PushFile, PushPlan, PushReport, PushState};

use super::{WIDTH, push};
use crate::action::Action;
use crate::desktop::DesktopRequest;
use crate::panels::PanelCtx;
use crate::state::hub::HubAction;
use crate::theme::UiTokens;
use crate::widgets::number::bytes;
use crate::widgets::{
    Dialog, Icon, button, fact, field, hint, input, notice, outcome, primary_button, rows, segmented, toggle,
    washed, well,
};
use crate::words::hub as words;

/// Height of a file's row.
const FILE: f32 = 24.0;

/// Whether it is to be closed.
pub fn ui(egui: &Context, ctx: &PanelCtx<'_>) -> bool {
    let folder = ctx.state.hub.draft.folder.display().to_string();
    let dialog = Dialog::new("hub-publish", ctx.t(&words::PUBLISH), WIDTH).help(&folder);
    dialog.show(egui, |ui| body(ui, ctx), |ui| buttons(ui, ctx))
}

fn body(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    let hub = &ctx.state.hub;
    let is_form = hub.push.value.is_none() && !hub.push.is_pending();
    if is_form {
        form(ui, ctx);
        ui.add_space(4.0);
    }
    super::waiting(ui, ctx);
    if is_form {
        outcome(ui, ctx, &hub.plan, &words::PLANNING, |ui, plan| planned(ui, ctx, plan));
    }
    outcome(ui, ctx, &hub.push, &words::BEGINS_TO_SEND, |ui, report| done(ui, ctx, report));
    if hub.push.is_pending() {
        hint(ui, &hub.draft.repo);
    }
}

fn form(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    let mut draft = ctx.state.hub.draft.clone();
    let known = &ctx.state.engine.catalog.hubs;
    let choices: Vec<_> = known.iter().map(|hub| (hub.id.as_str(), ctx.t(&hub.name))).collect();
    field(ui, ctx.t(&words::HUB), "", |ui| {
        ui.horizontal(|ui| {
            if let Some(id) = segmented(ui, ctx.state.hub.hub(), &choices) {
                push(ctx, HubAction::UseHub(id.to_owned()));
            }
        })
        .response
    });
    field(ui, ctx.t(&words::REPOSITORY), "", |ui| {
        input::text(ui, "hub-repo", &mut draft.repo, ctx.t(&words::REPOSITORY_HINT), ui.available_width())
    });
    toggle(ui, &mut draft.private, ctx.t(&words::PRIVATE));
    toggle(ui, &mut draft.create, ctx.t(&words::CREATE));
    if draft != ctx.state.hub.draft {
        push(ctx, HubAction::Draft(Box::new(draft)));
    }
}

fn planned(ui: &mut Ui, ctx: &PanelCtx<'_>, plan: &PushPlan) {
    well(ui, |ui| {
        fact(ui, ctx.t(&words::REPOSITORY), &plan.url);
        let state = if plan.exists { &words::EXISTS } else { &words::WILL_BE_MADE };
        fact(ui, ctx.t(&words::STATE), ctx.t(state));
        let seen = if plan.private { &words::SEEN_BY_OWNER } else { &words::SEEN_BY_ALL };
        fact(ui, ctx.t(&words::VISIBILITY), ctx.t(seen));
        fact(ui, ctx.t(&words::LICENCE), plan.licence.as_deref().unwrap_or_else(|| ctx.t(&words::UNKNOWN)));
        fact(ui, ctx.t(&words::AS), &plan.user);
    });
    files(ui, ctx, &plan.files);
    for note in &plan.notes {
        notice(ui, ctx, note);
    }
}

fn files(ui: &mut Ui, ctx: &PanelCtx<'_>, files: &[PushFile]) {
    well(ui, |ui| rows(ui, FILE, files.len(), |ui, index| file(ui, ctx, &files[index])));
}

fn file(ui: &mut Ui, ctx: &PanelCtx<'_>, file: &PushFile) {
    let tokens = ui.tokens();
    ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
        ui.label(RichText::new(bytes(file.bytes)).small().color(tokens.text_weak));
        let (state, colour) = match file.state {
            PushState::New => (&words::NEW, tokens.text_weak),
            PushState::Changed => (&words::CHANGED, tokens.warning),
            PushState::Same => (&words::SAME, tokens.text_weak),
        };
        ui.label(RichText::new(ctx.t(state)).small().color(colour)).on_hover_text(&file.sha256);
        ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
            ui.add(Label::new(RichText::new(&file.path).color(tokens.text)).truncate());
        });
    });
}

fn done(ui: &mut Ui, ctx: &PanelCtx<'_>, report: &PushReport) {
    let tokens = ui.tokens();
    washed(ui, tokens.success_wash, Icon::Check, tokens.success, |ui| {
        ui.label(RichText::new(ctx.t(&words::PUBLISHED)).color(tokens.text_strong));
        ui.add(Label::new(RichText::new(&report.url).small().color(tokens.text_weak)).wrap());
    });
    files(ui, ctx, &report.files);
}

/// From the right: what is next, what can be done instead, the end.
fn buttons(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    let hub = &ctx.state.hub;
    match (&hub.push.value, &hub.plan.value) {
        _ if hub.push.is_pending() || hub.plan.is_pending() => super::stop(ui, ctx),
        (Some(report), _) => {
            if primary_button(ui, Some(Icon::ExternalLink), ctx.t(&words::OPEN_PAGE), true).clicked() {
                ctx.push(Action::Desktop(DesktopRequest::Open(report.url.clone())));
            }
        }
        (None, Some(plan)) => send(ui, ctx, plan),
        (None, None) => {
            let ready = !hub.draft.repo.trim().is_empty();
            if primary_button(ui, Some(Icon::Search), ctx.t(&words::SHOW), ready).clicked() {
                push(ctx, HubAction::Plan);
            }
        }
    }
    if button(ui, None, ctx.t(&words::CLOSE)).clicked() {
        push(ctx, HubAction::Close);
    }
    if hub.push.value.is_none() && !hub.push.is_pending() {
        ui.with_layout(Layout::left_to_right(Align::Center), |ui| hint(ui, ctx.t(&words::NOTHING_SENT)));
    }
}

fn send(ui: &mut Ui, ctx: &PanelCtx<'_>, plan: &PushPlan) {
    let text = format!("{} ({})", ctx.t(&words::SEND), bytes(plan.send_bytes()));
    let able = plan.exists || ctx.state.hub.draft.create;
    if primary_button(ui, Some(Icon::Upload), &text, able).clicked() {
        push(ctx, HubAction::Push);
    }
    if button(ui, Some(Icon::Refresh), ctx.t(&words::SHOW_AGAIN)).clicked() {
        push(ctx, HubAction::Plan);
    }
}
