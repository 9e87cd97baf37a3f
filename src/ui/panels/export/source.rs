//! Which result is exported.

use egui::Ui;

use crate::action::Action;
use crate::panels::PanelCtx;
use crate::state::export::ExportAction;
use crate::widgets::source::Source;
use crate::widgets::{card, hint, section};
use crate::words::export as words;

pub(super) fn ui(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    let current = ctx.state.export.source.as_ref();
    let choose = |tuned| Action::Export(ExportAction::Use(Box::new(tuned)));
    card(ui, |ui| {
        section(ui, ctx.t(&words::SOURCE));
        Source { current, base: false, live: false, folder: None, choose: &choose }.ui(ui, ctx);
        if current.is_some_and(|current| !current.mix.is_single()) {
            hint(ui, ctx.t(&words::TOGETHER));
        }
    });
}
