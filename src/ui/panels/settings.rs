//! Language, looks, folders

use egui::{Key, Ui};
use protocol::Text;

use super::{Panel, PanelCtx, PanelInfo, StepState};
use crate::state::AppState;
use crate::widgets::icon::Icon;

pub const PANEL: PanelInfo = PanelInfo {
    id: "settings",
    name: Text::fixed("Settings", "设置"),
    help: Text::fixed("Language, looks, folders", "语言、外观与文件夹"),
    icon: Icon::Settings,
    shortcut: Key::Num8,
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
