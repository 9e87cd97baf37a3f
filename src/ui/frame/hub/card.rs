//! A repository, before it is fetched.

use egui::{Align, Checkbox, Label, Layout, RichText, ScrollArea, Ui};
use protocol::{HubFile, RepoCard, RepoKind, Support, Text};

use crate::action::Action;
use crate::panels::PanelCtx;
use crate::state::hub::HubAction;
use crate::theme::{UiTokens, semibold};
use crate::widgets::fact::missing;
use crate::widgets::number::bytes;
use crate::widgets::{Icon, card as surface, error_box, fact, hint, icon_button, notice, primary_button};
use crate::words::hub as words;

/// Rows of files that are seen at once.
const FILES_HEIGHT: f32 = 220.0;

pub fn ui(ui: &mut Ui, ctx: &PanelCtx<'_>, card: &RepoCard) {
    ui.horizontal(|ui| {
        if icon_button(ui, Icon::ChevronLeft, ctx.t(&words::BACK)).clicked() {
            ctx.push(Action::Hub(HubAction::Back));
        }
        let name = RichText::new(card.repo.to_string()).family(semibold()).size(15.0);
        ui.label(name.color(ui.tokens().text_strong));
    });
    surface(ui, |ui| facts(ui, ctx, card));
    ui.add_space(4.0);
    match &card.support {
        Some(Support::Unsupported { why }) => error_box(ui, ctx, why),
        Some(Support::Adapter { .. }) => notice(ui, ctx, &words::IS_ADAPTER),
        _ => {}
    }
    for note in &card.notes {
        notice(ui, ctx, note);
    }
    surface(ui, |ui| {
        ScrollArea::vertical().id_salt("hub-files").max_height(FILES_HEIGHT).auto_shrink([false, true]).show(
            ui,
            |ui| {
                card.files.iter().for_each(|file| row(ui, ctx, file));
            },
        );
    });
    ui.add_space(6.0);
    start(ui, ctx, card);
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
        let fits = card.missing_bytes() <= card.free_bytes;
        let show = if fits { fact } else { missing };
        show(ui, ctx.t(&words::FREE), &bytes(card.free_bytes));
    }
    fact(ui, ctx.t(&words::FOLDER), &card.folder.display().to_string());
}

/// A file with a box: what is chosen is fetched.
fn row(ui: &mut Ui, ctx: &PanelCtx<'_>, file: &HubFile) {
    let tokens = ui.tokens();
    ui.horizontal(|ui| {
        let mut chosen = file.chosen;
        let colour = if chosen { tokens.text } else { tokens.text_weak };
        if ui.add(Checkbox::new(&mut chosen, RichText::new(&file.path).color(colour))).changed() {
            ctx.push(Action::Hub(HubAction::Choose(file.path.clone(), chosen)));
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            ui.label(RichText::new(bytes(file.bytes)).small().color(tokens.text_weak));
            let here = file.cached.then_some(&words::HERE);
            if let Some(remark) = here.or(file.reason.as_ref().filter(|_| !file.chosen)) {
                ui.add(Label::new(RichText::new(ctx.t(remark)).small().color(tokens.text_faint)).truncate());
            }
        });
    });
}

fn start(ui: &mut Ui, ctx: &PanelCtx<'_>, card: &RepoCard) {
    let missing = card.missing_bytes();
    let some = card.chosen().next().is_some();
    let fits = card.free_bytes == 0 || missing <= card.free_bytes;
    let text = match missing {
        0 => ctx.t(&words::OPEN).to_owned(),
        _ => format!("{} ({})", ctx.t(&words::DOWNLOAD), bytes(missing)),
    };
    let ready = some && fits && !ctx.state.hub.is_transferring();
    if primary_button(ui, Some(Icon::Download), &text, ready).clicked() {
        ctx.push(Action::Hub(HubAction::Download));
    }
    if !fits {
        hint(ui, ctx.t(&words::NO_ROOM));
    }
}
