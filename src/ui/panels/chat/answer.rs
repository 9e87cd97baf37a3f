//! One answer: its words, and what can be done with them.

use std::collections::BTreeMap;
use std::ops::Range;

use egui::{RichText, Ui};
use protocol::{GenerateStats, RequestId};

use super::bar::finish;
use super::{Kept, has_tuned};
use crate::action::Action;
use crate::panels::PanelCtx;
use crate::state::chat::{Answer, AnswerState, ChatAction, Side, Turn};
use crate::theme::UiTokens;
use crate::widgets::diff::{self, Differences};
use crate::widgets::prose::{Look, Prose};
use crate::widgets::{Icon, error_box, icon_button, number, progress_line};
use crate::words::chat as words;

/// Differences of answers that are done, found once.
#[derive(Default)]
pub(super) struct Tints(BTreeMap<(RequestId, RequestId), Differences>);

/// How many pairs are remembered.
const REMEMBERED: usize = 400;

impl Tints {
    /// Byte ranges of one side's answer that the other does not have; none while one is being written.
    pub(super) fn of(&mut self, turn: &Turn, side: Side) -> &[Range<usize>] {
        let done = |side| turn.answer(side).filter(|answer| !answer.is_open() && answer.said().is_some());
        let (Some(base), Some(tuned)) = (done(Side::Base), done(Side::Tuned)) else { return &[] };
        if self.0.len() > REMEMBERED {
            self.0.clear();
        }
        let found = self
            .0
            .entry((base.request, tuned.request))
            .or_insert_with(|| diff::words(&base.text, &tuned.text));
        match side {
            Side::Base => &found.left,
            Side::Tuned => &found.right,
        }
    }
}

/// What one answer is drawn with.
pub(super) struct Drawn<'a> {
    pub index: usize,
    pub turn: &'a Turn,
    pub side: Side,
    /// Only the last turn can be answered again.
    pub last: bool,
}

pub(super) fn ui(
    ui: &mut Ui,
    ctx: &PanelCtx<'_>,
    drawn: &Drawn<'_>,
    kept: &Kept,
    prose: &mut Prose,
    tints: &mut Tints,
) {
    let tokens = ui.tokens();
    let Some(answer) = drawn.turn.answer(drawn.side) else {
        let queued = ctx.state.chat.conversation.is_queued(drawn.index, drawn.side);
        let text = if queued { &words::WAITING } else { &words::NOT_ASKED };
        ui.label(RichText::new(ctx.t(text)).color(tokens.text_faint));
        if !queued && drawn.last && (drawn.side == Side::Base || has_tuned(ctx)) {
            actions(ui, ctx, drawn, None);
        }
        return;
    };
    if !answer.text.is_empty() {
        let (bar, tint) = match drawn.side {
            Side::Base => (tokens.info, crate::theme::Tokens::wash(tokens.info, 0.17)),
            Side::Tuned => (tokens.accent, crate::theme::Tokens::wash(tokens.accent, 0.19)),
        };
        let tinted = if kept.tinted { tints.of(drawn.turn, drawn.side) } else { &[] };
        let look = Look { markdown: kept.formatted, tinted, tint, bar, colour: tokens.text };
        ui.push_id(answer.request.0, |ui| prose.ui(ui, &answer.text, look));
    }
    state(ui, ctx, answer);
    if !answer.is_open() {
        actions(ui, ctx, drawn, Some(answer));
    }
}

fn state(ui: &mut Ui, ctx: &PanelCtx<'_>, answer: &Answer) {
    let tokens = ui.tokens();
    let mut line = |text: &protocol::Text| {
        ui.label(RichText::new(ctx.t(text)).small().color(tokens.text_weak));
    };
    match &answer.state {
        AnswerState::Waiting(None) => line(&words::WAITING),
        AnswerState::Waiting(Some(progress)) => progress_line(ui, ctx, progress),
        AnswerState::Writing => line(&words::WRITING),
        AnswerState::Stopped => line(&words::STOPPED),
        AnswerState::Failed(error) => error_box(ui, ctx, error),
        AnswerState::Done if answer.text.is_empty() => line(&words::EMPTY_ANSWER),
        AnswerState::Done => {}
    }
}

/// Figures at the left, buttons at the right of them.
fn actions(ui: &mut Ui, ctx: &PanelCtx<'_>, drawn: &Drawn<'_>, answer: Option<&Answer>) {
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing.x = 2.0;
        ui.spacing_mut().button_padding.x = 5.0;
        if let Some(answer) = answer.filter(|answer| !answer.text.is_empty())
            && icon_button(ui, Icon::Copy, ctx.t(&words::COPY)).clicked()
        {
            ui.ctx().copy_text(answer.text.clone());
        }
        let busy = ctx.state.chat.conversation.is_busy();
        if drawn.last && !busy && icon_button(ui, Icon::Refresh, ctx.t(&words::REGENERATE)).clicked() {
            ctx.push(Action::Chat(ChatAction::Regenerate(vec![drawn.side])));
        }
        if answer.is_some_and(|answer| answer.asked.is_some())
            && icon_button(ui, Icon::Code, ctx.t(&words::RAW)).clicked()
        {
            ctx.push(Action::Chat(ChatAction::Render { turn: drawn.index, side: drawn.side }));
        }
        if let Some(stats) = answer.and_then(|answer| answer.stats.as_ref()) {
            ui.add_space(6.0);
            let text = RichText::new(figures(ctx, stats)).small().color(ui.tokens().text_weak);
            let prefill = (stats.prefill_seconds * 1e3).round();
            let prompt = stats.prompt_tokens;
            let more = protocol::text!(
                "{prompt} tokens of prompt, read in {prefill} ms",
                "提示共 {prompt} 个词元，读取用时 {prefill} 毫秒"
            );
            ui.label(text).on_hover_text(ctx.t(&more));
        }
    });
}

/// `128 tokens · 34.1 tokens/s · ended by itself`
fn figures(ctx: &PanelCtx<'_>, stats: &GenerateStats) -> String {
    let count = number::count(stats.new_tokens);
    let mut parts = vec![ctx.t(&protocol::text!("{count} tokens", "{count} 个词元")).to_owned()];
    let rate = stats.new_tokens as f64 / stats.decode_seconds;
    if rate.is_finite() && stats.new_tokens > 0 {
        parts.push(ctx.t(&protocol::text!("{rate:.1} tokens/s", "{rate:.1} 词元/秒")).to_owned());
    }
    parts.push(finish(&stats.finish).map_or_else(|| stats.finish.clone(), |text| ctx.t(text).to_owned()));
    parts.join(" · ")
}
