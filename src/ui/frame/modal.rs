//! An open question: the object and the verb on each button.

use egui::{Button, Context, Id, Key, RichText};

use crate::action::Action;
use crate::panels::PanelCtx;
use crate::theme::{UiTokens, semibold};
use crate::words::frame as words;

pub fn ui(egui: &Context, ctx: &PanelCtx<'_>) {
    let Some(question) = &ctx.state.question else { return };
    let modal = egui::Modal::new(Id::unique("question")).show(egui, |ui| {
        ui.set_width(440.0);
        let tokens = ui.tokens();
        ui.label(
            RichText::new(ctx.t(&question.title)).family(semibold()).size(16.0).color(tokens.text_strong),
        );
        ui.add_space(4.0);
        ui.add(egui::Label::new(ctx.t(&question.body)).wrap());
        ui.add_space(12.0);
        ui.horizontal_wrapped(|ui| {
            for (index, choice) in question.choices.iter().enumerate() {
                let text = RichText::new(ctx.t(&choice.label));
                let button = match (choice.danger, index) {
                    (true, _) => Button::new(text.color(tokens.error)),
                    (false, 0) => {
                        Button::new(text.color(tokens.on_accent).family(semibold())).fill(tokens.accent)
                    }
                    (false, _) => Button::new(text),
                };
                if ui.add(button).clicked() {
                    ctx.push(Action::Answer(Some(index)));
                }
            }
            if ui.button(ctx.t(&words::CANCEL)).clicked() {
                ctx.push(Action::Answer(None));
            }
        });
    });
    if modal.backdrop_response.clicked() || egui.input(|input| input.key_pressed(Key::Escape)) {
        ctx.push(Action::Answer(None));
    }
}
