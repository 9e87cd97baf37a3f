//! What is in the data: what is looked for at the left, what was found at the right.

mod checks;
mod filter;
mod found;
mod ifd;
mod lists;

use egui::{ScrollArea, Ui};

use super::View;
use crate::action::Action;
use crate::panels::PanelCtx;
use crate::state::analysis::{AnalysisAction, request};
use crate::state::data::DataAction;
use crate::widgets::work::Work;
use crate::widgets::{
    Icon, WIDE, empty_state, error_box, form_beside, hint, notice, primary_button, start_below,
};
use crate::words::analysis as words;

const FORM: f32 = 300.0;

/// Rows to look at: what they have in common, and which they are (0-based, ascending).
pub(super) struct Pick {
    pub(super) name: String,
    pub(super) rows: Vec<u64>,
}

impl Pick {
    /// Of 1-based rows in any order.
    fn new(name: impl Into<String>, rows: impl Iterator<Item = u64>) -> Self {
        let mut rows: Vec<u64> = rows.filter_map(|row| row.checked_sub(1)).collect();
        rows.sort_unstable();
        rows.dedup();
        Self { name: name.into(), rows }
    }
}

pub(super) fn push(ctx: &PanelCtx<'_>, action: AnalysisAction) {
    ctx.push(Action::Data(DataAction::Analysis(action)));
}

pub(super) fn ui(ui: &mut Ui, ctx: &PanelCtx<'_>, view: &mut View) {
    let mut pick = None;
    if ui.available_width() >= WIDE {
        let width = FORM.max(ui.available_width() * 0.2).min(420.0);
        form_beside(ui, "analysis-form", width, |ui| start(ui, ctx), |ui| form(ui, ctx));
        let area = ScrollArea::vertical().id_salt("analysis").auto_shrink(false);
        area.show(ui, |ui| results(ui, ctx, &mut pick));
    } else {
        start_below(ui, "analysis-form", |ui| start(ui, ctx));
        ScrollArea::vertical().id_salt("analysis").auto_shrink(false).show(ui, |ui| {
            form(ui, ctx);
            results(ui, ctx, &mut pick);
        });
    }
    if let Some(pick) = pick {
        view.show_picked(pick);
    }
}

fn form(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    ui.add_enabled_ui(!ctx.state.data.analysis.is_busy(), |ui| {
        checks::ui(ui, ctx);
        filter::ui(ui, ctx);
    });
}

fn start(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    let analysis = &ctx.state.data.analysis;
    let asks = analysis.checks.ask_the_model();
    let taken = asks && ctx.state.is_at_work() && !analysis.is_busy();
    let ready =
        !taken && ctx.state.engine.is_ready() && !analysis.is_busy() && request(ctx.state, None).is_some();
    if primary_button(ui, Some(Icon::Search), ctx.t(&words::START), ready).clicked() {
        push(ctx, AnalysisAction::Start);
    }
    if taken {
        hint(ui, ctx.t(&crate::words::work::ANOTHER));
    } else if asks {
        hint(ui, ctx.t(&words::ASKS_MODEL));
    }
}

fn results(ui: &mut Ui, ctx: &PanelCtx<'_>, pick: &mut Option<Pick>) {
    let analysis = &ctx.state.data.analysis;
    if analysis.is_busy() {
        let asks = analysis.asked.as_ref().is_some_and(|asked| asked.checks.ask_the_model());
        let waits = (asks && ctx.state.train.is_active()).then_some(&words::WAITS);
        let progress = analysis.work.progress.as_ref();
        let work = Work { progress, about: "", waits, stop: &words::STOP, stopping: analysis.stopping };
        if work.ui(ui, ctx) {
            push(ctx, AnalysisAction::Stop);
        }
    }
    if let Some(error) = &analysis.work.error {
        error_box(ui, ctx, error);
    }
    if analysis.stopped {
        notice(ui, ctx, &words::STOPPED);
    }
    match &analysis.work.value {
        Some(value) => {
            if analysis.is_stale(&ctx.state.project.config) {
                notice(ui, ctx, &words::STALE);
            }
            found::ui(ui, ctx, value, pick);
        }
        None if !analysis.is_busy() && analysis.work.error.is_none() => {
            empty_state(ui, Icon::Search, ctx.t(&words::EMPTY_TITLE), ctx.t(&words::EMPTY_HELP), |_| {});
        }
        None => {}
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn rows_to_look_at_are_counted_from_zero_and_are_there_once() {
        assert_eq!(super::Pick::new("", [5, 1, 5, 0].into_iter()).rows, [0, 4]);
    }
}
