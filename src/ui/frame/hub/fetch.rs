//! Looking for a repository.

use egui::{Align, Context, Key, Label, Layout, RichText, ScrollArea, Ui, Vec2};
use protocol::{RepoHit, RepoKind};

use super::{WIDTH, card, push};
use crate::panels::PanelCtx;
use crate::state::hub::HubAction;
use crate::theme::{UiTokens, semibold};
use crate::widgets::{
    Dialog, Icon, button, empty_state, error_box, hint, input, number, outcome, primary_button, row,
    segmented,
};
use crate::words::hub as words;

/// Of the body: enough for a card with its files, and the same while one searches.
const HEIGHT: f32 = 470.0;
/// Of the row that asks.
const ROW: f32 = 30.0;

/// Whether it is to be closed.
pub fn ui(egui: &Context, ctx: &PanelCtx<'_>, kind: RepoKind) -> bool {
    let title = match kind {
        RepoKind::Model => &words::FETCH_MODEL,
        RepoKind::Dataset => &words::FETCH_DATA,
    };
    let dialog = Dialog::new("hub", ctx.t(title), WIDTH).help(ctx.t(&words::FETCH_LINE)).height(HEIGHT);
    dialog.show(egui, |ui| body(ui, ctx), |ui| buttons(ui, ctx))
}

fn body(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    asking(ui, ctx);
    ui.add_space(8.0);
    let left = ui.available_height();
    let area = ScrollArea::vertical().id_salt("hub-found").max_height(left).auto_shrink(false);
    area.show(ui, |ui| found(ui, ctx, left));
}

/// `height` is what is seen at once.
fn found(ui: &mut Ui, ctx: &PanelCtx<'_>, height: f32) {
    let hub = &ctx.state.hub;
    super::waiting(ui, ctx);
    outcome(ui, ctx, &hub.download, &words::BEGINS, |_, _| {});
    if hub.download.is_pending() {
        hint(ui, ctx.t(&words::GOES_ON));
    } else {
        for error in [&hub.card.error, &hub.hits.error].into_iter().flatten() {
            error_box(ui, ctx, error);
        }
    }
    match (&hub.card.value, &hub.hits.value) {
        _ if hub.is_asking() && hub.waits().is_none() => drop(hint(ui, ctx.t(&words::ASKING))),
        // What it waits for stands above.
        _ if hub.is_asking() => {}
        (Some(card), _) => {
            ui.add_enabled_ui(!hub.download.is_pending(), |ui| card::ui(ui, ctx, card));
        }
        (None, Some(hits)) if !hits.is_empty() => hits.iter().for_each(|hit| one(ui, ctx, hit)),
        (None, hits) if hub.card.error.is_none() && hub.hits.error.is_none() => {
            let help = if hits.is_some() { &words::NOTHING_HELP } else { &words::FETCH_HELP };
            let title = if hits.is_some() { &words::NOTHING } else { &words::FETCH_FIRST };
            ui.set_max_height(height);
            empty_state(ui, Icon::Search, ctx.t(title), ctx.t(help), |_| ());
        }
        _ => {}
    }
}

/// Which hub, and what is looked for there.
fn asking(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    let hub = &ctx.state.hub;
    let enabled = !hub.download.is_pending();
    let row = Vec2::new(ui.available_width(), ROW);
    ui.add_enabled_ui(enabled, |ui| {
        ui.allocate_ui_with_layout(row, Layout::left_to_right(Align::Center), |ui| {
            ui.set_min_height(ROW);
            let hubs = &ctx.state.engine.catalog.hubs;
            let choices: Vec<_> = hubs.iter().map(|known| (known.id.as_str(), ctx.t(&known.name))).collect();
            if let Some(id) = segmented(ui, hub.hub(), &choices) {
                push(ctx, HubAction::UseHub(id.to_owned()));
            }
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                let ready = !hub.text.trim().is_empty();
                let find = button_to_find(ui, ctx, ready);
                if find || wanted(ui, ctx) {
                    push(ctx, HubAction::Find);
                }
            });
        });
    });
}

/// The one that matters until there is something to download.
fn button_to_find(ui: &mut Ui, ctx: &PanelCtx<'_>, ready: bool) -> bool {
    let text = ctx.t(&words::FIND);
    match ctx.state.hub.card.value {
        Some(_) => button(ui, Some(Icon::Search), text).clicked(),
        None => primary_button(ui, Some(Icon::Search), text, ready).clicked(),
    }
}

/// The field; true when its text was entered.
fn wanted(ui: &mut Ui, ctx: &PanelCtx<'_>) -> bool {
    let mut text = ctx.state.hub.text.clone();
    let width = ui.available_width();
    let field = input::text(ui, "hub-text", &mut text, ctx.t(&words::TEXT_HINT), width);
    field.widget_info(|| egui::WidgetInfo::labeled(egui::Role::TextInput, true, ctx.t(&words::TEXT)));
    if field.changed() {
        push(ctx, HubAction::Type(text));
    }
    field.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter))
}

fn one(ui: &mut Ui, ctx: &PanelCtx<'_>, hit: &RepoHit) {
    let tokens = ui.tokens();
    let clicked = row(ui, false, &hit.repo.id, |ui| {
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let downloads = format!("{} {}", number::count(hit.downloads), ctx.t(&words::DOWNLOADS));
            let parts =
                [hit.task.clone().unwrap_or_default(), hit.updated.clone().unwrap_or_default(), downloads];
            let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
            let about = RichText::new(parts.join("  ·  ")).small().color(tokens.text_weak);
            ui.add(Label::new(about).selectable(false));
            if hit.gated {
                crate::widgets::error::badge(ui, ctx.t(&words::GATED), tokens.warning);
            }
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                let name = RichText::new(&hit.repo.id).family(semibold()).color(tokens.text_strong);
                ui.add(Label::new(name).truncate().selectable(false));
            });
        });
    });
    if clicked.clicked() {
        push(ctx, HubAction::Look(hit.repo.clone()));
    }
}

fn buttons(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    let hub = &ctx.state.hub;
    if hub.download.is_pending() || hub.is_asking() {
        super::stop(ui, ctx);
    } else if let Some(card) = &hub.card.value {
        card::start(ui, ctx, card);
    }
    if button(ui, None, ctx.t(&words::CLOSE)).clicked() {
        push(ctx, HubAction::Close);
    }
}
