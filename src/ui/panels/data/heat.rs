//! What the model finds hard: when it is asked about a row, who is asked, and what the colours mean.

use egui::{RichText, Ui};
use protocol::{PreviewRow, TokenLosses};

use super::rows::waiting;
use crate::action::Action;
use crate::desktop::Purpose;
use crate::panels::PanelCtx;
use crate::state::data::DataAction;
use crate::state::heat::{HeatAction, is_asked, source};
use crate::state::tuned::{Tuned, TunedKind};
use crate::theme::UiTokens;
use crate::widgets::source::Source;
use crate::widgets::token_view::heat;
use crate::widgets::{Icon, error_box, icon_button};
use crate::words::analysis as words;

fn heat_action(action: HeatAction) -> Action {
    Action::Data(DataAction::Heat(action))
}

/// Asks about the row that is looked at, once it is the one that is shown.
pub(super) fn ask(ctx: &PanelCtx<'_>, current: u64, fresh: bool) {
    let heat = &ctx.state.data.heat;
    if heat.on && fresh && ctx.state.engine.is_ready() && !is_asked(ctx.state, current + 1) {
        ctx.push(heat_action(HeatAction::Ask(current + 1)));
    }
}

/// Why there are no colours.
pub(super) fn problem(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    let heat = &ctx.state.data.heat;
    if let Some(error) = heat.losses.error.as_ref().filter(|_| heat.on) {
        error_box(ui, ctx, error);
    }
}

/// The switch, and who is asked. Drawn from right to left.
pub(super) fn controls(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    let on = ctx.state.data.heat.on;
    let (icon, word) = if on { (Icon::EyeOff, &words::HEAT_OFF) } else { (Icon::Thermometer, &words::HEAT) };
    if icon_button(ui, icon, ctx.t(word)).clicked() {
        ctx.push(heat_action(HeatAction::Show(!on)));
    }
    if !on {
        return;
    }
    let chosen = source(ctx.state);
    let base = Tuned::base(ctx.state);
    let choose = |tuned: Tuned| {
        let own = Some(&tuned) == base.as_ref();
        heat_action(HeatAction::Use((!own).then(|| Box::new(tuned))))
    };
    let folder = Some(Purpose::HeatAdapter);
    Source { current: chosen.as_ref(), base: true, live: true, folder, choose: &choose }.menu(ui, ctx);
}

/// The band of colours, or why there is nothing to see yet.
pub(super) fn legend(ui: &mut Ui, ctx: &PanelCtx<'_>, row: &PreviewRow, losses: Option<&TokenLosses>) {
    let state = &ctx.state.data.heat;
    let weak = ui.tokens().text_weak;
    if state.losses.is_pending() {
        waiting(ui);
        let live = source(ctx.state).is_some_and(|source| source.kind == TunedKind::Live);
        let waits = ctx.state.train.is_active() && !live;
        let text = if waits { &words::HEAT_WAITS } else { &words::HEAT_ASKING };
        ui.label(RichText::new(ctx.t(text)).small().color(weak));
        return;
    }
    let others = state.losses.value.as_ref().is_some_and(|value| value.ids != row.ids);
    if losses.is_none() && others && state.losses.error.is_none() {
        ui.label(RichText::new(ctx.t(&words::HEAT_OTHER)).small().color(weak));
        return;
    }
    heat::legend(ui, ctx, losses);
}
