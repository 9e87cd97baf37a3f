//! Before the first word: what this is for, and three things to say.

use egui::{RichText, Ui};
use protocol::{PreviewRow, TokenRole};

use super::{has_model, has_tuned};
use crate::action::Action;
use crate::panels::PanelCtx;
use crate::state::chat::ChatAction;
use crate::theme::UiTokens;
use crate::widgets::{Icon, empty_state};
use crate::words::chat as words;

/// How many things to say are offered.
const OFFERED: usize = 3;
/// Characters of one that are shown.
const SHOWN: usize = 60;
/// Characters of a row's words that are worth repeating.
const LONGEST: usize = 300;

pub(super) fn ui(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    if !has_model(ctx) {
        let (title, help) = (ctx.t(&words::NO_MODEL_TITLE), ctx.t(&words::NO_MODEL_HELP));
        empty_state(ui, Icon::Chat, title, help, |ui| {
            if ui.button(ctx.t(&words::TO_MODEL)).clicked() {
                ctx.push(Action::Open(crate::panels::model::PANEL.panel_id()));
            }
        });
        return;
    }
    let help = if has_tuned(ctx) { &words::EMPTY_HELP } else { &words::EMPTY_ONE_HELP };
    empty_state(ui, Icon::Chat, ctx.t(&words::EMPTY_TITLE), ctx.t(help), |ui| {
        ui.add_space(6.0);
        for text in suggestions(ctx) {
            let shown = short(&text);
            let label = RichText::new(shown.as_str()).color(ui.tokens().text);
            let button = egui::Button::new(label).corner_radius(14).min_size(egui::vec2(0.0, 28.0));
            if ui.add(button).clicked() {
                ctx.push(Action::Chat(ChatAction::Send(text)));
            }
        }
    });
}

fn short(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut shown: String = line.chars().take(SHOWN).collect();
    if shown.len() < line.len() {
        shown.push('…');
    }
    shown
}

/// The run's own sample prompts, else what users say in the first rows, else words for any model.
fn suggestions(ctx: &PanelCtx<'_>) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut offer = |text: &str| {
        let text = text.trim();
        if found.len() < OFFERED && !text.is_empty() && found.iter().all(|known| known != text) {
            found.push(text.to_owned());
        }
    };
    for sample in &ctx.state.project.config.train.samples {
        offer(sample);
    }
    let rows = ctx.state.data.page.value.iter().flat_map(|page| &page.rows);
    for row in rows.take(8) {
        offer(first_user_words(row).unwrap_or_default());
    }
    for word in [&words::SUGGEST_1, &words::SUGGEST_2, &words::SUGGEST_3] {
        offer(ctx.t(word));
    }
    found
}

/// What the user says first in a row, if it is short enough to say again.
fn first_user_words(row: &PreviewRow) -> Option<&str> {
    let is_user = |role: &TokenRole| *role == TokenRole::User;
    let first = row.roles.iter().position(is_user)?;
    let count = row.roles[first..].iter().take_while(|role| is_user(role)).count();
    let (start, _) = row.offsets.get(first)?;
    let (_, end) = row.offsets.get(first + count - 1)?;
    let text = row.rendered.get(usize::try_from(*start).ok()?..usize::try_from(*end).ok()?)?;
    (text.chars().count() <= LONGEST).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(offsets: Vec<(u64, u64)>) -> PreviewRow {
        PreviewRow {
            row: 1,
            file: "a.jsonl".into(),
            rendered: "<u>你 are? who</u>".into(),
            ids: vec![1, 2, 3],
            tokens: vec![String::new(); 3],
            offsets,
            loss_mask: vec![false; 3],
            roles: vec![TokenRole::Template, TokenRole::User, TokenRole::User],
            truncated_from: None,
            piece: None,
            pieces: None,
            notes: Vec::new(),
            error: None,
            fields: Vec::new(),
        }
    }

    #[test]
    fn the_users_words_are_cut_out_of_a_row_and_bad_offsets_harm_nobody() {
        assert_eq!(first_user_words(&row(vec![(0, 3), (3, 6), (6, 11)])), Some("你 are?"));
        for bad in [
            vec![],
            vec![(0, 3), (4, 6), (6, 7)],
            vec![(0, 0), (9, 9), (2, 3)],
            vec![(0, 3), (3, 6), (6, 99)],
        ] {
            assert_eq!(first_user_words(&row(bad)), None);
        }
    }
}
