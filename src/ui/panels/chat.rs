//! Talk to the result beside the original

use egui::{Key, Ui};
use protocol::Text;

use super::{Panel, PanelCtx, PanelInfo, StepState};
use crate::state::AppState;
use crate::widgets::icon::Icon;

pub const PANEL: PanelInfo = PanelInfo {
    id: "chat",
    name: Text::fixed("Chat", "对话"),
    help: Text::fixed("Talk to the result beside the original", "与微调前后的模型对话"),
    icon: Icon::Chat,
    shortcut: Key::Num5,
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
