//! A repository, before it is fetched.

use egui::{Align, Checkbox, Label, Layout, RichText, TextWrapMode, Ui};
use protocol::{HubFile, RepoCard, RepoKind, Support, Text};

use super::push;
use crate::panels::PanelCtx;
use crate::state::hub::HubAction;
use crate::theme::{UiTokens, semibold};
use crate::widgets::fact::missing;
use crate::widgets::number::bytes;
use crate::widgets::{Icon, error_box, fact, icon_button, notice, primary_button, rows, well};
use crate::words::hub as words;

/// Height of a file's row.
const FILE: f32 = 24.0;

pub fn ui(ui: &mut Ui, ctx: &PanelCtx<'_>, card: &RepoCard) {
    ui.horizontal(|ui| {
        if icon_button(ui, Icon::ChevronLeft, ctx.t(&words::BACK)).clicked() {
            push(ctx, HubAction::Back);
        }
        let name = RichText::new(card.repo.to_string()).family(semibold()).size(15.0);
        ui.add(Label::new(name.color(ui.tokens().text_strong)).truncate());
    });
    well(ui, |ui| facts(ui, ctx, card));
    match &card.support {
        Some(Support::Unsupported { why }) => error_box(ui, ctx, why),
        Some(Support::Adapter { .. }) => notice(ui, ctx, &words::IS_ADAPTER),
        _ => {}
    }
    for note in &card.notes {
        notice(ui, ctx, note);
    }
    if !card.fits() {
        notice(ui, ctx, &words::NO_ROOM);
    }
    well(ui, |ui| rows(ui, FILE, card.files.len(), |ui, index| file(ui, ctx, &card.files[index])));
}

fn facts(ui: &mut Ui, ctx: &PanelCtx<'_>, card: &RepoCard) {
    match &card.licence {
        Some(licence) => fact(ui, ctx.t(&words::LICENCE), licence),
        None => missing(ui, ctx.t(&words::LICENCE), ctx.t(&words::UNKNOWN)),
    }
    if card.gated {
        missing(ui, ctx.t(&words::ACCESS), ctx.t(&words::GATED_LINE));
    }
    if card.repo.kind == RepoKind::Model {
        let told = match &card.support {
            Some(Support::Family { name, .. }) => Some(name.clone()),
            Some(Support::Adapter { base }) => base.clone().map(|base| Text::new(base.clone(), base)),
            Some(Support::Unsupported { .. }) => None,
            None => Some(words::TOLD_LATER.clone()),
        };
        match told {
            Some(name) => fact(ui, ctx.t(&words::FAMILY), ctx.t(&name)),
            None => missing(ui, ctx.t(&words::FAMILY), ctx.t(&words::UNSUPPORTED)),
        }
    }
    let chosen: u64 = card.chosen().map(|file| file.bytes).sum();
    fact(ui, ctx.t(&words::SIZE), &bytes(chosen));
    if card.free_bytes > 0 {
        let show = if card.fits() { fact } else { missing };
        show(ui, ctx.t(&words::FREE), &bytes(card.free_bytes));
    }
    fact(ui, ctx.t(&words::FOLDER), &card.folder.display().to_string());
}

/// A file with a box: what is chosen is fetched.
fn file(ui: &mut Ui, ctx: &PanelCtx<'_>, file: &HubFile) {
    let tokens = ui.tokens();
    ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
        ui.label(RichText::new(bytes(file.bytes)).small().color(tokens.text_weak));
        let here = file.cached.then_some(&words::HERE);
        if let Some(remark) = here.or(file.reason.as_ref().filter(|_| !file.chosen)) {
            ui.label(RichText::new(ctx.t(remark)).small().color(tokens.text_weak));
        }
        ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
            let mut chosen = file.chosen;
            let colour = if chosen { tokens.text } else { tokens.text_weak };
            let name = RichText::new(&file.path).color(colour);
            ui.style_mut().wrap_mode = Some(TextWrapMode::Truncate);
            if ui.add(Checkbox::new(&mut chosen, name)).changed() {
                push(ctx, HubAction::Choose(file.path.clone(), chosen));
            }
        });
    });
}

pub fn start(ui: &mut Ui, ctx: &PanelCtx<'_>, card: &RepoCard) {
    let (icon, text) = match card.missing_bytes() {
        0 => (Icon::FolderOpen, ctx.t(&words::OPEN).to_owned()),
        missing => (Icon::Download, format!("{} ({})", ctx.t(&words::DOWNLOAD), bytes(missing))),
    };
    let some = card.chosen().next().is_some();
    let ready = some && card.fits() && !ctx.state.hub.is_transferring();
    if primary_button(ui, Some(icon), &text, ready).clicked() {
        push(ctx, HubAction::Download);
    }
}
