//! The dialogs of hubs: a model or dataset is looked for and fetched, or a folder is published.

mod card;
mod fetch;
mod publish;

use egui::{Context, Ui};

use crate::action::Action;
use crate::panels::PanelCtx;
use crate::state::hub::{HubAction, Sheet};
use crate::widgets::{Icon, button, notice};
use crate::words::{hub as words, work};

/// Of the contents, in points.
const WIDTH: f32 = 684.0;

pub fn ui(egui: &Context, ctx: &PanelCtx<'_>) {
    let Some(sheet) = &ctx.state.hub.sheet else { return };
    // A question that was asked from here stands above.
    if ctx.state.question.is_some() {
        return;
    }
    let close = match sheet {
        Sheet::Fetch(kind) => fetch::ui(egui, ctx, *kind),
        Sheet::Publish => publish::ui(egui, ctx),
    };
    if close {
        push(ctx, HubAction::Close);
    }
}

fn push(ctx: &PanelCtx<'_>, action: HubAction) {
    ctx.push(Action::Hub(action));
}

/// Why nothing comes, where a hub does not answer.
fn waiting(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    if let Some(why) = ctx.state.hub.waits() {
        notice(ui, ctx, why);
    }
}

/// Breaks off what is under way.
fn stop(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    let stopping = ctx.state.hub.stopping;
    let text = if stopping { &work::STOPPING } else { &words::STOP };
    let pressed = ui.add_enabled_ui(!stopping, |ui| button(ui, Some(Icon::Stop), ctx.t(text)).clicked());
    if pressed.inner {
        push(ctx, HubAction::Stop);
    }
}
