//! How tokens are drawn, and what the model is told beforehand.

use egui::{TextEdit, Ui};

use crate::action::Action;
use crate::panels::PanelCtx;
use crate::state::chat::ChatAction;
use crate::widgets::sampling::sampling as drawing;
use crate::widgets::{card, section, toggle};
use crate::words::chat as words;

pub(super) fn ui(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    let mut sampling = ctx.state.chat.sampling.clone();
    card(ui, |ui| {
        ui.columns(2, |uis| {
            if let [left, right] = uis {
                drawing(left, ctx, &mut sampling);
                system(right, ctx);
            }
        });
    });
    ui.add_space(4.0);
    if sampling != ctx.state.chat.sampling {
        ctx.push(Action::Chat(ChatAction::Sampling(Box::new(sampling))));
    }
}

fn system(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    section(ui, ctx.t(&words::SYSTEM));
    let mut system = ctx.state.chat.system.clone();
    let edit = TextEdit::multiline(&mut system)
        .hint_text(ctx.t(&words::SYSTEM_HINT))
        .desired_rows(4)
        .desired_width(ui.available_width());
    let response = ui.add(edit);
    response.widget_info(|| {
        let mut info =
            egui::WidgetInfo::labeled(egui::Role::MultilineTextInput, ui.is_enabled(), ctx.t(&words::SYSTEM));
        info.current_text_value = Some(system.clone());
        info
    });
    if response.changed() {
        ctx.push(Action::Chat(ChatAction::System(system)));
    }
    ui.add_space(4.0);
    let mut first = ctx.state.chat.tuned_first;
    if toggle(ui, &mut first, ctx.t(&words::TUNED_FIRST)).changed() {
        ctx.push(Action::Chat(ChatAction::TunedFirst(first)));
    }
}
