//! Write a model that others load

mod choices;
mod load;
mod outcome;
mod source;

use egui::{Key, ScrollArea, Ui};
use protocol::Text;

use super::{Panel, PanelCtx, PanelInfo, StepState};
use crate::action::Action;
use crate::state::AppState;
use crate::state::tuned::TunedKind;
use crate::widgets::icon::Icon;
use crate::widgets::{empty_state, heading};
use crate::words::export as words;

pub const PANEL: PanelInfo = PanelInfo {
    id: "export",
    name: Text::fixed("Export", "导出"),
    help: Text::fixed("Write a model that others load", "导出其他程序可加载的模型"),
    icon: Icon::Export,
    shortcut: Key::Num6,
    step: true,
    progress,
    new: || Box::new(View::default()),
};

fn progress(state: &AppState) -> StepState {
    let export = &state.export.export;
    let failed =
        |report: &protocol::ExportReport| report.verify.as_ref().is_some_and(|verify| !verify.passed);
    match (&export.request, &export.error, &export.value) {
        (Some(_), ..) => StepState::Busy,
        (None, Some(_), _) => StepState::Problem,
        (None, None, Some(report)) if failed(report) => StepState::Problem,
        (None, None, Some(_)) => StepState::Done,
        (None, None, None) => StepState::Open,
    }
}

#[derive(Default)]
struct View {
    /// The name as it is being written; None: as suggested.
    name: Option<String>,
}

/// Wider forms are hard to read.
const WIDEST: f32 = 720.0;

impl Panel for View {
    fn ui(&mut self, ui: &mut Ui, ctx: &PanelCtx<'_>) {
        ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
            heading(ui, ctx.t(&PANEL.name), ctx.t(&PANEL.help));
            if is_empty(ctx.state) {
                return empty(ui, ctx);
            }
            ui.set_max_width(ui.available_width().min(WIDEST));
            let export = &ctx.state.export;
            if export.export.value.is_some() && !export.is_busy() {
                return outcome::ui(ui, ctx);
            }
            ui.add_enabled_ui(!export.is_busy(), |ui| {
                source::ui(ui, ctx);
                if export.source.as_ref().is_some_and(|source| source.kind != TunedKind::Live) {
                    choices::ui(ui, ctx, &mut self.name);
                }
            });
            ui.add_space(8.0);
            outcome::ui(ui, ctx);
            ui.add_space(16.0);
        });
    }
}

/// Nothing was trained, and nothing was chosen.
fn is_empty(state: &AppState) -> bool {
    let trained = state.runs.runs.iter().any(|run| run.result.is_some() || !run.checkpoints.is_empty());
    let chosen = [&state.export.source, &state.chat.tuned].into_iter().flatten();
    let chosen = chosen.filter(|tuned| tuned.kind != TunedKind::Live).count();
    !trained && chosen == 0
}

fn empty(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    let help = if ctx.state.train.is_active() { &words::EMPTY_LIVE } else { &words::EMPTY_HELP };
    empty_state(ui, Icon::Export, ctx.t(&words::EMPTY_TITLE), ctx.t(help), |ui| {
        if ui.button(ctx.t(&words::TO_TRAIN)).clicked() {
            ctx.push(Action::Open(crate::panels::train::PANEL.panel_id()));
        }
    });
}
