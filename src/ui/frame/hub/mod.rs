//! The sheets of hubs: a model or dataset is looked for and fetched, or a folder is published.

mod card;
mod fetch;
mod publish;

use egui::{Context, Id, Key, ScrollArea};

use crate::action::Action;
use crate::panels::PanelCtx;
use crate::state::hub::{HubAction, Sheet};

const WIDTH: f32 = 720.0;

pub fn ui(egui: &Context, ctx: &PanelCtx<'_>) {
    let Some(sheet) = &ctx.state.hub.sheet else { return };
    // A question that was asked from here stands above.
    if ctx.state.question.is_some() {
        return;
    }
    let screen = egui.content_rect().size();
    let modal = egui::Modal::new(Id::unique("hub")).show(egui, |ui| {
        ui.set_width(WIDTH.min(screen.x - 48.0));
        ui.set_max_height(screen.y - 96.0);
        ScrollArea::vertical().id_salt("hub-sheet").max_height(screen.y - 96.0).show(ui, |ui| match sheet {
            Sheet::Fetch(kind) => fetch::ui(ui, ctx, *kind),
            Sheet::Publish => publish::ui(ui, ctx),
        });
    });
    if modal.backdrop_response.clicked() || egui.input(|input| input.key_pressed(Key::Escape)) {
        ctx.push(Action::Hub(HubAction::Close));
    }
}
