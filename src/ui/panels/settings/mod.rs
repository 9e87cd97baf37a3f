//! Settings of the window itself.

mod about;
mod device;
mod hub;
mod looks;
mod shortcuts;

use egui::{Key, ScrollArea, Ui};
use protocol::Text;

use super::{Panel, PanelCtx, PanelInfo, StepState};
use crate::persisted::Preferences;
use crate::state::AppState;
use crate::widgets::icon::Icon;
use crate::widgets::{card, column, heading, section};

pub const PANEL: PanelInfo = PanelInfo {
    id: "settings",
    name: Text::fixed("Settings", "设置"),
    help: Text::fixed("Language, looks, device, shortcuts", "语言、外观、设备与快捷键"),
    icon: Icon::Settings,
    shortcut: Key::Comma,
    step: false,
    progress,
    new: || Box::new(View::default()),
};

fn progress(_state: &AppState) -> StepState {
    StepState::Open
}

#[derive(Default)]
struct View {
    token: hub::TokenDraft,
}

impl Panel for View {
    fn ui(&mut self, ui: &mut Ui, ctx: &PanelCtx<'_>) {
        heading(ui, ctx.t(&PANEL.name), ctx.t(&PANEL.help));
        let mut preferences = ctx.state.preferences.clone();
        ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
            if ui.available_width() > 700.0 {
                let width = (ui.available_width() - 16.0) / 2.0;
                ui.horizontal_top(|ui| {
                    column(ui, width, |ui| left(ui, ctx, &mut preferences, &mut self.token));
                    ui.add_space(8.0);
                    column(ui, width, |ui| shortcuts::table(ui, ctx));
                });
            } else {
                left(ui, ctx, &mut preferences, &mut self.token);
                shortcuts::table(ui, ctx);
            }
        });
        if preferences != ctx.state.preferences {
            ctx.push(crate::action::Action::Preferences(Box::new(preferences)));
        }
    }
}

fn left(ui: &mut Ui, ctx: &PanelCtx<'_>, preferences: &mut Preferences, token: &mut hub::TokenDraft) {
    looks::appearance(ui, ctx, preferences);
    looks::runs(ui, ctx, preferences);
    device::device(ui, ctx);
    hub::hubs(ui, ctx, preferences, token);
    about::about(ui, ctx);
}

/// A titled card.
fn part(ui: &mut Ui, title: &str, contents: impl FnOnce(&mut Ui)) {
    section(ui, title);
    card(ui, contents);
    ui.add_space(6.0);
}
