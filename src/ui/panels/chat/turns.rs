//! The conversation so far, one turn below the other.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use egui::{Align, Frame, Label, Layout, Margin, Rect, RichText, ScrollArea, Ui, Vec2};

use super::answer::{self, Drawn, Tints};
use super::{View, columns, composer};
use crate::action::Action;
use crate::panels::PanelCtx;
use crate::state::chat::{AnswerState, ChatAction, Side, Turn};
use crate::theme::UiTokens;
use crate::widgets::{Icon, button, icon_button, primary_button};
use crate::words::chat as words;

/// How high each turn was when it was last drawn: what lies outside the view is not drawn again.
#[derive(Default)]
pub(super) struct Heights {
    known: Vec<(u64, f32)>,
    pub(super) tints: Tints,
}

impl Heights {
    fn of(&self, turn: usize, key: u64) -> Option<f32> {
        self.known.get(turn).filter(|(known, _)| *known == key).map(|(_, height)| *height)
    }

    fn learn(&mut self, turn: usize, key: u64, height: f32) {
        if self.known.len() <= turn {
            self.known.resize(turn + 1, (0, 0.0));
        }
        self.known[turn] = (key, height);
    }
}

impl View {
    pub(super) fn turns(&mut self, ui: &mut Ui, ctx: &PanelCtx<'_>) {
        let turns = &ctx.state.chat.conversation.turns;
        ScrollArea::vertical().auto_shrink(false).stick_to_bottom(true).show(ui, |ui| {
            for (index, turn) in turns.iter().enumerate() {
                let last = index + 1 == turns.len();
                let key = self.key(ui, ctx, index, turn, last);
                if let Some(height) = self.heights.of(index, key) {
                    let size = Vec2::new(ui.available_width(), height);
                    if !ui.is_rect_visible(Rect::from_min_size(ui.cursor().min, size)) {
                        ui.allocate_space(size);
                        continue;
                    }
                }
                let drawn = ui.push_id(index, |ui| self.turn(ui, ctx, index, turn, last)).response;
                self.heights.learn(index, key, drawn.rect.height());
            }
            ui.add_space(8.0);
        });
    }

    /// Everything that a turn's height depends on.
    fn key(&self, ui: &Ui, ctx: &PanelCtx<'_>, index: usize, turn: &Turn, last: bool) -> u64 {
        let mut key = DefaultHasher::new();
        ui.available_width().to_bits().hash(&mut key);
        (turn.user.len(), last, ctx.language as u8, ctx.state.chat.columns as u8).hash(&mut key);
        (self.kept.formatted, self.kept.tinted).hash(&mut key);
        self.editing
            .as_ref()
            .filter(|(edited, _)| *edited == index)
            .map(|(_, text)| text.len())
            .hash(&mut key);
        for side in Side::BOTH {
            let answer = turn.answer(side);
            answer.map(|answer| (answer.request, answer.text.len(), answer.stats.is_some())).hash(&mut key);
            let state = answer.map(|answer| std::mem::discriminant::<AnswerState>(&answer.state));
            state.hash(&mut key);
        }
        key.finish()
    }

    fn turn(&mut self, ui: &mut Ui, ctx: &PanelCtx<'_>, index: usize, turn: &Turn, last: bool) {
        ui.add_space(6.0);
        self.user(ui, ctx, index, turn);
        ui.add_space(4.0);
        let sides = columns(ctx);
        ui.columns(sides.len(), |uis| {
            for (ui, side) in uis.iter_mut().zip(&sides) {
                let frame = Frame::new()
                    .fill(ui.tokens().card)
                    .corner_radius(8)
                    .inner_margin(Margin::symmetric(12, 9));
                frame.show(ui, |ui| {
                    ui.set_width(ui.available_width());
                    // Columns stretch their lines; words are set to the left.
                    ui.with_layout(Layout::top_down(Align::LEFT), |ui| {
                        let drawn = Drawn { index, turn, side: *side, last };
                        let tints = &mut self.heights.tints;
                        ui.push_id(*side, |ui| {
                            answer::ui(ui, ctx, &drawn, &self.kept, &mut self.prose, tints);
                        });
                    });
                });
            }
        });
    }

    fn user(&mut self, ui: &mut Ui, ctx: &PanelCtx<'_>, index: usize, turn: &Turn) {
        if self.editing.as_ref().is_some_and(|(edited, _)| *edited == index) {
            return self.edit(ui, ctx, index);
        }
        let tokens = ui.tokens();
        ui.horizontal_top(|ui| {
            let lowered = |ui: &mut Ui, by: f32, contents: &mut dyn FnMut(&mut Ui)| {
                ui.vertical(|ui| {
                    ui.add_space(by);
                    contents(ui);
                });
            };
            // The words' first line is level with the button, which is higher than a line.
            lowered(ui, 6.0, &mut |ui| {
                Icon::User.ui(ui, 15.0, tokens.text_weak);
            });
            let width = (ui.available_width() - 40.0).max(40.0);
            ui.scope(|ui| {
                ui.set_max_width(width);
                lowered(ui, 4.0, &mut |ui| {
                    let text = RichText::new(&turn.user).color(tokens.text_strong);
                    ui.add(Label::new(text).wrap().selectable(true));
                });
            });
            if icon_button(ui, Icon::Edit, ctx.t(&words::EDIT)).clicked() {
                self.editing = Some((index, turn.user.clone()));
            }
        });
    }

    fn edit(&mut self, ui: &mut Ui, ctx: &PanelCtx<'_>, index: usize) {
        let Some((_, text)) = &mut self.editing else { return };
        let fill = ui.tokens().field;
        let mut send = Frame::new()
            .fill(fill)
            .corner_radius(8)
            .show(ui, |ui| composer::field(ui, &self.ime, text, ctx.t(&words::EDIT), ""))
            .inner;
        let mut cancel = false;
        ui.horizontal(|ui| {
            send |= primary_button(ui, None, ctx.t(&words::ASK_AGAIN), !text.trim().is_empty()).clicked();
            cancel = button(ui, None, ctx.t(&words::CANCEL)).clicked();
        });
        if send {
            let text = text.trim().to_owned();
            ctx.push(Action::Chat(ChatAction::Edit { turn: index, text }));
        }
        if send || cancel {
            self.editing = None;
        }
    }
}
