//! An open question: the object and the verb on each button.

use egui::{Button, Context, Label, RichText, Ui};

use crate::action::Action;
use crate::panels::PanelCtx;
use crate::state::question::Choice;
use crate::theme::UiTokens;
use crate::widgets::{Dialog, button, primary_button};
use crate::words::frame as words;

pub fn ui(egui: &Context, ctx: &PanelCtx<'_>) {
    let Some(question) = &ctx.state.question else { return };
    let body = |ui: &mut Ui| drop(ui.add(Label::new(ctx.t(&question.body)).wrap()));
    let buttons = |ui: &mut Ui| {
        for (index, choice) in question.choices.iter().enumerate() {
            if answer(ui, ctx, index, choice) {
                ctx.push(Action::Answer(Some(index)));
            }
        }
        if button(ui, None, ctx.t(&words::CANCEL)).clicked() {
            ctx.push(Action::Answer(None));
        }
    };
    if Dialog::new("question", ctx.t(&question.title), 440.0).show(egui, body, buttons) {
        ctx.push(Action::Answer(None));
    }
}

/// The first is what is meant, unless something is lost by it.
fn answer(ui: &mut Ui, ctx: &PanelCtx<'_>, index: usize, choice: &Choice) -> bool {
    let label = ctx.t(&choice.label);
    match (choice.danger, index) {
        (true, _) => ui.add(Button::new(RichText::new(label).color(ui.tokens().error))).clicked(),
        (false, 0) => primary_button(ui, None, label, true).clicked(),
        (false, _) => button(ui, None, label).clicked(),
    }
}
