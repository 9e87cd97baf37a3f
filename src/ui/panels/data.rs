//! See what the model will learn from

use egui::{Key, Ui};
use protocol::Text;

use super::{Panel, PanelCtx, PanelInfo, StepState};
use crate::state::AppState;
use crate::widgets::icon::Icon;

pub const PANEL: PanelInfo = PanelInfo {
    id: "data",
    name: Text::fixed("Data", "数据"),
    help: Text::fixed("See what the model will learn from", "查看模型将要学习的内容"),
    icon: Icon::Data,
    shortcut: Key::Num2,
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
