//! The prompt of an answer, to the letter: as text, and token by token.

use egui::{Align2, Context, Id, RichText, ScrollArea, TextStyle, Ui, Vec2};

use crate::action::Action;
use crate::panels::PanelCtx;
use crate::state::chat::{ChatAction, Rendered};
use crate::theme::UiTokens;
use crate::widgets::{button, error_box, hint, number, segmented};
use crate::words::chat as words;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Look {
    #[default]
    Text,
    Tokens,
}

pub(super) fn ui(egui: &Context, ctx: &PanelCtx<'_>, look: &mut Look) {
    let chat = &ctx.state.chat;
    if chat.looked_at.is_none() {
        return;
    }
    let mut open = true;
    let size = egui.content_rect().size();
    let window = egui::Window::new(ctx.t(&words::RAW))
        .id(Id::unique("raw-prompt"))
        .open(&mut open)
        .collapsible(false)
        .resizable(false)
        .anchor(Align2::CENTER_CENTER, Vec2::ZERO);
    window.fixed_size(Vec2::new((size.x * 0.6).clamp(320.0, 760.0), (size.y * 0.6).max(200.0))).show(
        egui,
        |ui| {
            hint(ui, ctx.t(&words::RAW_HELP));
            if let Some(error) = &chat.rendered.error {
                error_box(ui, ctx, error);
            }
            match &chat.rendered.value {
                Some(rendered) => contents(ui, ctx, rendered, look),
                None if chat.rendered.is_pending() => {
                    ui.label(RichText::new(ctx.t(&words::READING)).color(ui.tokens().text_weak));
                }
                None => {}
            }
        },
    );
    if !open || egui.input(|input| input.key_pressed(egui::Key::Escape)) {
        ctx.push(Action::Chat(ChatAction::CloseRendered));
    }
}

fn contents(ui: &mut Ui, ctx: &PanelCtx<'_>, rendered: &Rendered, look: &mut Look) {
    ui.horizontal(|ui| {
        let choices = [(Look::Text, ctx.t(&words::RAW_TEXT)), (Look::Tokens, ctx.t(&words::RAW_TOKENS))];
        if let Some(chosen) = segmented(ui, *look, &choices) {
            *look = chosen;
        }
        let count = number::count(rendered.ids.len() as u64);
        let text = protocol::text!("{count} tokens", "{count} 个词元");
        ui.label(RichText::new(ctx.t(&text)).small().color(ui.tokens().text_weak));
        if button(ui, None, ctx.t(&words::COPY_ALL)).clicked() {
            ui.ctx().copy_text(rendered.text.clone());
        }
    });
    ui.add_space(4.0);
    match look {
        Look::Text => {
            ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
                let text = RichText::new(&rendered.text).monospace();
                ui.add(egui::Label::new(text).wrap().selectable(true));
            });
        }
        Look::Tokens => tokens(ui, rendered),
    }
}

/// Only the rows in view are drawn.
fn tokens(ui: &mut Ui, rendered: &Rendered) {
    let height = ui.text_style_height(&TextStyle::Monospace);
    let count = rendered.ids.len();
    ScrollArea::vertical().auto_shrink(false).show_rows(ui, height, count, |ui, rows| {
        for (position, id) in rendered.ids.iter().enumerate().take(rows.end).skip(rows.start) {
            let piece = rendered.tokens.get(position).map_or("", String::as_str);
            ui.horizontal(|ui| {
                let faint = |text: String| RichText::new(text).monospace().color(ui.tokens().text_faint);
                let (position, id) = (faint(format!("{position:>5}")), faint(format!("{id:>7}")));
                ui.label(position);
                ui.label(id);
                ui.label(RichText::new(piece).monospace());
            });
        }
    });
}
