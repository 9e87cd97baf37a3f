//! Choose how the model is changed

use egui::{Key, Ui};
use protocol::Text;

use super::{Panel, PanelCtx, PanelInfo, StepState};
use crate::state::AppState;
use crate::widgets::icon::Icon;

pub const PANEL: PanelInfo = PanelInfo {
    id: "method",
    name: Text::fixed("Method", "方法"),
    help: Text::fixed("Choose how the model is changed", "选择微调方法"),
    icon: Icon::Method,
    shortcut: Key::Num3,
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
