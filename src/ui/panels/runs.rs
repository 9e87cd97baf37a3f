//! Earlier runs: resume, compare, delete

use egui::{Key, Ui};
use protocol::Text;

use super::{Panel, PanelCtx, PanelInfo, StepState};
use crate::state::AppState;
use crate::widgets::icon::Icon;

pub const PANEL: PanelInfo = PanelInfo {
    id: "runs",
    name: Text::fixed("Runs", "历史"),
    help: Text::fixed("Earlier runs: resume, compare, delete", "历史训练：恢复、比较、删除"),
    icon: Icon::Runs,
    shortcut: Key::Num7,
    step: false,
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
