//! Looking for a repository.

use egui::{Align, Key, Layout, RichText, Ui};
use protocol::{RepoHit, RepoKind};

use super::card;
use crate::action::Action;
use crate::panels::PanelCtx;
use crate::state::hub::HubAction;
use crate::theme::{UiTokens, semibold};
use crate::widgets::work::Work;
use crate::widgets::{Icon, error_box, heading, hint, icon_button, input, number, primary_button, segmented};
use crate::words::hub as words;

pub fn ui(ui: &mut Ui, ctx: &PanelCtx<'_>, kind: RepoKind) {
    let hub = &ctx.state.hub;
    top(ui, ctx, kind);
    asking(ui, ctx);
    ui.add_space(6.0);
    if let Some(error) = hub.download.error.as_ref().filter(|_| !hub.download.is_pending()) {
        error_box(ui, ctx, error);
        ui.add_space(6.0);
    }
    if hub.download.is_pending() {
        return transfer(ui, ctx);
    }
    for error in [&hub.card.error, &hub.hits.error].into_iter().flatten() {
        error_box(ui, ctx, error);
    }
    if hub.card.is_pending() || hub.hits.is_pending() {
        hint(ui, ctx.t(&words::ASKING));
        return;
    }
    match (&hub.card.value, &hub.hits.value) {
        (Some(card), _) => card::ui(ui, ctx, card),
        (None, Some(hits)) => list(ui, ctx, hits),
        (None, None) => {
            hint(ui, ctx.t(&words::FETCH_HELP));
        }
    }
}

fn top(ui: &mut Ui, ctx: &PanelCtx<'_>, kind: RepoKind) {
    ui.horizontal_top(|ui| {
        ui.with_layout(Layout::right_to_left(Align::Min), |ui| {
            if icon_button(ui, Icon::Close, ctx.t(&words::CLOSE)).clicked() {
                ctx.push(Action::Hub(HubAction::Close));
            }
            ui.with_layout(Layout::top_down(Align::Min), |ui| {
                let title = match kind {
                    RepoKind::Model => &words::FETCH_MODEL,
                    RepoKind::Dataset => &words::FETCH_DATA,
                };
                heading(ui, ctx.t(title), ctx.t(&words::FETCH_LINE));
            });
        });
    });
}

/// Which hub, and what is looked for there.
fn asking(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    let hub = &ctx.state.hub;
    let enabled = !hub.download.is_pending();
    ui.add_enabled_ui(enabled, |ui| {
        ui.horizontal(|ui| {
            let hubs = &ctx.state.engine.catalog.hubs;
            let choices: Vec<_> = hubs.iter().map(|known| (known.id.as_str(), ctx.t(&known.name))).collect();
            if let Some(id) = segmented(ui, hub.hub(), &choices) {
                ctx.push(Action::Hub(HubAction::UseHub(id.to_owned())));
            }
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                let ready = !hub.text.trim().is_empty();
                let find = primary_button(ui, Some(Icon::Search), ctx.t(&words::FIND), ready).clicked();
                let mut text = hub.text.clone();
                let width = ui.available_width();
                let field = input::text(ui, "hub-text", &mut text, ctx.t(&words::TEXT_HINT), width);
                field.widget_info(|| {
                    egui::WidgetInfo::labeled(egui::Role::TextInput, true, ctx.t(&words::TEXT))
                });
                if field.changed() {
                    ctx.push(Action::Hub(HubAction::Type(text)));
                }
                let entered = field.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter));
                if find || entered {
                    ctx.push(Action::Hub(HubAction::Find));
                }
            });
        });
    });
}

fn transfer(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    let hub = &ctx.state.hub;
    let about = hub.card.value.as_ref().map(|card| card.repo.to_string()).unwrap_or_default();
    let work = Work {
        progress: hub.download.progress.as_ref(),
        about: &about,
        waits: None,
        stop: &words::STOP,
        stopping: hub.stopping,
    };
    if work.ui(ui, ctx) {
        ctx.push(Action::Hub(HubAction::Stop));
    }
    hint(ui, ctx.t(&words::GOES_ON));
}

fn list(ui: &mut Ui, ctx: &PanelCtx<'_>, hits: &[RepoHit]) {
    if hits.is_empty() {
        hint(ui, ctx.t(&words::NOTHING));
    }
    for hit in hits {
        let tokens = ui.tokens();
        ui.horizontal(|ui| {
            let name = RichText::new(&hit.repo.id).family(semibold()).color(tokens.text_strong);
            if ui.add(egui::Button::new(name).frame(false)).clicked() {
                ctx.push(Action::Hub(HubAction::Look(hit.repo.clone())));
            }
            if hit.gated {
                crate::widgets::error::badge(ui, ctx.t(&words::GATED), tokens.warning);
            }
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                let task = hit.task.as_deref().unwrap_or_default();
                let parts =
                    [task.to_owned(), hit.updated.clone().unwrap_or_default(), downloads(ctx, hit.downloads)];
                let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
                ui.label(RichText::new(parts.join("  ·  ")).small().color(tokens.text_weak));
            });
        });
    }
}

fn downloads(ctx: &PanelCtx<'_>, count: u64) -> String {
    format!("{} {}", number::count(count), ctx.t(&words::DOWNLOADS))
}
