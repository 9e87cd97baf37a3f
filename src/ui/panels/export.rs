//! Write a model that others load

use egui::{Key, Ui};
use protocol::Text;

use super::{Panel, PanelCtx, PanelInfo, StepState};
use crate::state::AppState;
use crate::widgets::icon::Icon;

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

fn progress(_state: &AppState) -> StepState {
    StepState::Open
}

#[derive(Default)]
struct View {}

impl Panel for View {
    fn ui(&mut self, ui: &mut Ui, ctx: &PanelCtx<'_>) {
        ui.label(ctx.t(&PANEL.help));
    }
}
