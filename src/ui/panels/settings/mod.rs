//! Settings of the window itself.

mod about;
mod device;
mod hosting;
mod hub;
mod looks;
mod shortcuts;

use egui::{Key, ScrollArea, Ui};
use protocol::Text;

use super::{Panel, PanelCtx, PanelInfo, StepState};
use crate::hosting::Hosting;
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
    new: || Box::<View>::default(),
};

fn progress(_state: &AppState) -> StepState {
    StepState::Open
}

#[derive(Default)]
struct View {
    /// Where the engine is to run, not used yet.
    hosting: Option<Hosting>,
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
                    column(ui, width, |ui| self.left(ui, ctx, &mut preferences));
                    ui.add_space(8.0);
                    column(ui, width, |ui| shortcuts::table(ui, ctx));
                });
            } else {
                self.left(ui, ctx, &mut preferences);
                shortcuts::table(ui, ctx);
            }
        });
        if preferences != ctx.state.preferences {
            ctx.push(crate::action::Action::Preferences(Box::new(preferences)));
        }
    }
}

impl View {
    fn left(&mut self, ui: &mut Ui, ctx: &PanelCtx<'_>, preferences: &mut Preferences) {
        looks::appearance(ui, ctx, preferences);
        hosting::hosting(ui, ctx, &mut self.hosting);
        looks::runs(ui, ctx, preferences);
        device::device(ui, ctx);
        hub::hubs(ui, ctx, preferences, &mut self.token);
        about::about(ui, ctx);
    }
}

/// A titled card.
fn part(ui: &mut Ui, title: &str, contents: impl FnOnce(&mut Ui)) {
    section(ui, title);
    card(ui, contents);
    ui.add_space(6.0);
}
