//! Hubs: their addresses, whether they are asked at all, and the user's tokens.

use egui::{TextEdit, Ui, Vec2};
use protocol::{Descriptor, Secret, TokenPlace};

use super::part;
use crate::action::Action;
use crate::panels::PanelCtx;
use crate::persisted::Preferences;
use crate::state::hub::HubAction;
use crate::widgets::{Icon, button, error_box, fact, field, hint, input, section, toggle};
use crate::words::hub as words;

/// What is being typed. Kept by the panel alone, and handed over once.
#[derive(Default)]
pub struct TokenDraft {
    hub: String,
    text: String,
    /// In memory only.
    until_the_end: bool,
}

impl Drop for TokenDraft {
    fn drop(&mut self) {
        // Wipes what was typed.
        drop(Secret::new(std::mem::take(&mut self.text)));
    }
}

pub fn hubs(ui: &mut Ui, ctx: &PanelCtx<'_>, preferences: &mut Preferences, draft: &mut TokenDraft) {
    let known = &ctx.state.engine.catalog.hubs;
    if known.is_empty() {
        return;
    }
    part(ui, ctx.t(&words::HUBS), |ui| {
        ui.spacing_mut().item_spacing.y = 5.0;
        toggle(ui, &mut preferences.hubs.offline, ctx.t(&words::OFFLINE));
        for hub in known {
            ui.add_space(4.0);
            section(ui, ctx.t(&hub.name));
            address(ui, ctx, preferences, hub);
            account(ui, ctx, hub, draft);
        }
    });
}

fn address(ui: &mut Ui, ctx: &PanelCtx<'_>, preferences: &mut Preferences, hub: &Descriptor) {
    let current = preferences.hubs.endpoints.get(&hub.id).cloned().unwrap_or_default();
    let mut entered = None;
    field(ui, ctx.t(&words::ADDRESS), ctx.t(&hub.help), |ui| {
        let width = ui.available_width();
        let (response, typed) = input::committed(ui, &format!("address-{}", hub.id), &current, width);
        entered = typed;
        response
    });
    match entered.map(|text| text.trim().to_owned()) {
        Some(text) if text.is_empty() => drop(preferences.hubs.endpoints.remove(&hub.id)),
        Some(text) => drop(preferences.hubs.endpoints.insert(hub.id.clone(), text)),
        None => {}
    }
    if current.is_empty() {
        hint(ui, ctx.t(&words::ADDRESS_DEFAULT));
    }
}

fn account(ui: &mut Ui, ctx: &PanelCtx<'_>, hub: &Descriptor, draft: &mut TokenDraft) {
    let Some(known) = ctx.state.hub.accounts.get(&hub.id) else {
        // Asked once, when somebody looks.
        return ctx.push(Action::Hub(HubAction::Account(hub.id.clone())));
    };
    if let Some(error) = &known.error {
        error_box(ui, ctx, error);
    }
    let place = known.value.as_ref().map_or(TokenPlace::None, |account| account.token);
    if let Some(account) = &known.value {
        let told = match place {
            TokenPlace::None => &words::TOKEN_NONE,
            TokenPlace::Memory => &words::TOKEN_MEMORY,
            TokenPlace::Keyring => &words::TOKEN_KEYRING,
            TokenPlace::Environment => &words::TOKEN_ENVIRONMENT,
            TokenPlace::File => &words::TOKEN_FILE,
        };
        let user = account.user.as_ref().map(|user| format!("{user} · ")).unwrap_or_default();
        fact(ui, ctx.t(&words::TOKEN), &format!("{user}{}", ctx.t(told)));
        if let Some(note) = &account.note {
            hint(ui, ctx.t(note));
        }
    }
    if matches!(place, TokenPlace::Memory | TokenPlace::Keyring) {
        if button(ui, Some(Icon::Close), ctx.t(&words::LOGOUT)).clicked() {
            ctx.push(Action::Hub(HubAction::Logout(hub.id.clone())));
        }
    } else if place != TokenPlace::Environment {
        ui.add_enabled_ui(!known.is_pending(), |ui| entry(ui, ctx, hub, draft));
    }
}

/// A field that shows dots.
fn entry(ui: &mut Ui, ctx: &PanelCtx<'_>, hub: &Descriptor, draft: &mut TokenDraft) {
    let mine = draft.hub == hub.id;
    let mut text = if mine { std::mem::take(&mut draft.text) } else { String::new() };
    let width = ui.available_width();
    field(ui, ctx.t(&words::TOKEN_ENTER), ctx.t(&words::TOKEN_HELP), |ui| {
        let edit = TextEdit::singleline(&mut text).id_salt(("token", &hub.id)).password(true);
        ui.add(edit.desired_width(width).margin(Vec2::new(8.0, 4.0)))
    });
    if mine || !text.is_empty() {
        draft.hub.clone_from(&hub.id);
        draft.text = text;
    }
    let mine = draft.hub == hub.id;
    ui.horizontal(|ui| {
        let ready = mine && !draft.text.trim().is_empty();
        if ui.add_enabled_ui(ready, |ui| button(ui, None, ctx.t(&words::LOGIN)).clicked()).inner {
            let token = Secret::new(std::mem::take(&mut draft.text));
            let (hub, keep) = (hub.id.clone(), !draft.until_the_end);
            ctx.push(Action::Hub(HubAction::Login { hub, token, keep }));
        }
        toggle(ui, &mut draft.until_the_end, ctx.t(&words::TOKEN_SESSION));
    });
}
