//! Where one writes: Enter sends, Shift + Enter begins a new line, and Enter that ends a composition does neither.

use egui::{
    Align, Event, ImeEvent, Key, KeyboardShortcut, Layout, Modifiers, TextEdit, Ui, Vec2, WidgetInfo,
};

use super::{View, has_model};
use crate::action::Action;
use crate::panels::PanelCtx;
use crate::state::chat::ChatAction;
use crate::theme::UiTokens;
use crate::widgets::{Icon, primary_button};
use crate::words::chat as words;

/// Seconds in which the key that ended a composition may still arrive.
const SETTLES: f64 = 0.3;
/// Lines that the field shows before it scrolls.
const MOST_LINES: usize = 8;
/// Width of the button beside it, with the space between.
const BUTTON: f32 = 104.0;

/// Knows whether an input method is at work, so that the Enter which chooses its words does not send them. Systems
/// differ in the order in which they tell the key and the chosen words, so the frame after the words counts, too.
#[derive(Default)]
pub(super) struct ImeGuard {
    composing: bool,
    /// Frame and time of the last word of the input method.
    last: Option<(u64, f64)>,
}

impl ImeGuard {
    /// Reads a frame's events; call once a frame.
    pub(super) fn observe(&mut self, ui: &Ui) {
        let (frame, time) = (ui.ctx().cumulative_frame_nr(), ui.input(|input| input.time));
        ui.input(|input| {
            for event in &input.events {
                let Event::Ime(event) = event else { continue };
                // Some systems tell empty compositions and commit plain letters: neither is a composition.
                let (matters, composing) = match event {
                    ImeEvent::Preedit { text, .. } => (self.composing || !text.is_empty(), !text.is_empty()),
                    ImeEvent::Commit(_) => (self.composing, false),
                    _ => (false, self.composing),
                };
                self.composing = composing;
                if matters {
                    self.last = Some((frame, time));
                }
            }
        });
    }

    /// Whether Enter belongs to the input method now.
    fn owns_enter(&self, ui: &Ui) -> bool {
        let (frame, time) = (ui.ctx().cumulative_frame_nr(), ui.input(|input| input.time));
        let just_ended = |(then, at): (u64, f64)| frame <= then + 1 && time - at <= SETTLES;
        self.composing || self.last.is_some_and(just_ended)
    }
}

/// A field for a message. True when it is to be sent.
pub(super) fn field(ui: &mut Ui, ime: &ImeGuard, text: &mut String, name: &str, hint: &str) -> bool {
    let lines = text.lines().count().clamp(1, MOST_LINES);
    let edit = TextEdit::multiline(text)
        .hint_text(hint)
        .desired_rows(lines)
        .desired_width(ui.available_width())
        .margin(egui::Margin::symmetric(10, 7))
        .return_key(KeyboardShortcut::new(Modifiers::SHIFT, Key::Enter));
    let output = edit.show(ui);
    let response = output.response.response;
    response.widget_info(|| {
        let mut info = WidgetInfo::labeled(egui::Role::MultilineTextInput, ui.is_enabled(), name);
        info.current_text_value = Some(text.clone());
        info
    });
    let pressed = |event: &Event| {
        matches!(event, Event::Key { key: Key::Enter, pressed: true, repeat: false, modifiers, .. }
            if modifiers.is_none())
    };
    let enter = response.has_focus() && ui.input(|input| input.events.iter().any(pressed));
    enter && !ime.owns_enter(ui) && !text.trim().is_empty()
}

impl View {
    pub(super) fn composer(&mut self, ui: &mut Ui, ctx: &PanelCtx<'_>) {
        let busy = ctx.state.chat.conversation.is_busy();
        let narrow = ui.available_width() < super::bar::NARROW;
        let hint = if narrow { &words::MESSAGE_SHORT } else { &words::MESSAGE_HINT };
        ui.add_space(8.0);
        ui.horizontal_top(|ui| {
            let sent = ui.allocate_ui(Vec2::new(ui.available_width() - BUTTON, 0.0), |ui| {
                ui.add_enabled_ui(has_model(ctx), |ui| {
                    let fill = ui.tokens().field;
                    egui::Frame::new().fill(fill).corner_radius(8).show(ui, |ui| {
                        field(ui, &self.ime, &mut self.draft, ctx.t(&words::MESSAGE), ctx.t(hint))
                    })
                })
            });
            let sent = sent.inner.inner.inner;
            let size = Vec2::new(ui.available_width(), 0.0);
            let justified = Layout::top_down_justified(Align::Center);
            let clicked =
                ui.allocate_ui_with_layout(size, justified, |ui| self.send_button(ui, ctx, busy)).inner;
            if (sent || clicked) && !busy {
                let text = std::mem::take(&mut self.draft);
                self.editing = None;
                ctx.push(Action::Chat(ChatAction::Send(text.trim().to_owned())));
            }
        });
    }

    /// Sends, or stops what is being answered. True when it is to send.
    fn send_button(&self, ui: &mut Ui, ctx: &PanelCtx<'_>, busy: bool) -> bool {
        if busy {
            if primary_button(ui, Some(Icon::Stop), ctx.t(&words::STOP), true).clicked() {
                ctx.push(Action::Chat(ChatAction::Stop));
            }
            return false;
        }
        let ready = has_model(ctx) && !self.draft.trim().is_empty();
        primary_button(ui, Some(Icon::Send), ctx.t(&words::SEND), ready).clicked()
    }
}
