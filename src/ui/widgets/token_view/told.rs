//! Words about tokens: the legend, the counts, one token in full.

use egui::{Grid, RichText, Sense, Ui, Vec2};
use protocol::{PreviewRow, TokenLosses, TokenRole};

use super::paint::{ChipLook, paint_chip};
use super::piece::{self, Visible};
use super::why;
use crate::panels::PanelCtx;
use crate::theme::UiTokens;
use crate::widgets::number;
use crate::words::data as words;

/// `212 tokens · 61 learned · cut from 4 096`
pub fn counts(ctx: &PanelCtx<'_>, row: &PreviewRow) -> String {
    let learned = row.loss_mask.iter().filter(|learned| **learned).count();
    let (tokens, learned) = (number::count(row.ids.len() as u64), number::count(learned as u64));
    let mut text =
        protocol::text!("{tokens} tokens · {learned} learned", "{tokens} 个词元 · {learned} 个计入损失");
    if let Some(from) = row.truncated_from {
        let from = number::count(from);
        let (en, zh) = (text.en, text.zh);
        text = protocol::text!("{en} · cut from {from}", "{zh} · 由 {from} 截断");
    }
    ctx.t(&text).to_owned()
}

/// What people hear who do not see the chips.
pub fn summary(ctx: &PanelCtx<'_>, row: &PreviewRow) -> String {
    let (number, counts) = (row.row, counts(ctx, row));
    ctx.t(&protocol::text!("Tokens of row {number}: {counts}", "第 {number} 行的词元：{counts}")).to_owned()
}

pub fn role_name(role: TokenRole) -> &'static protocol::Text {
    match role {
        TokenRole::Template => &words::TEMPLATE_ROLE,
        TokenRole::System => &words::SYSTEM,
        TokenRole::User => &words::USER,
        TokenRole::Assistant => &words::ASSISTANT,
        TokenRole::Tool => &words::TOOL,
        TokenRole::Text => &words::TEXT,
    }
}

/// Everything about one token.
pub fn token(ui: &mut Ui, ctx: &PanelCtx<'_>, row: &PreviewRow, index: usize, heat: Option<&TokenLosses>) {
    let tokens = ui.tokens();
    ui.spacing_mut().interact_size.y = 0.0;
    let role = row.roles.get(index).copied().unwrap_or(TokenRole::Text);
    let learned = row.loss_mask.get(index).copied().unwrap_or(false);
    let verdict = if learned { &words::LEARNED } else { &words::NO_LOSS };
    let reason = why(row, index, ctx.state.project.config.data.train_on);
    let colour = if learned { tokens.role(role) } else { tokens.text_weak };
    ui.label(RichText::new(format!("{} · {}", ctx.t(verdict), ctx.t(reason))).color(colour));
    Grid::new("token").num_columns(2).spacing([14.0, 3.0]).show(ui, |ui| {
        let mut line = |name: &protocol::Text, value: String, mono: bool| {
            ui.label(RichText::new(ctx.t(name)).small().color(tokens.text_weak));
            let value = RichText::new(value).color(tokens.text);
            ui.label(if mono { value.monospace() } else { value });
            ui.end_row();
        };
        for (name, value) in heat.map(|heat| super::heat::told(heat, index)).unwrap_or_default() {
            line(name, value, false);
        }
        line(&words::ROLE, ctx.t(role_name(role)).to_owned(), false);
        line(&words::POSITION, number::count(index as u64), false);
        line(&words::ID, row.ids.get(index).map(u32::to_string).unwrap_or_default(), true);
        line(&words::PIECE, name(row, index), true);
        let hex = piece::hex(row, index);
        if !hex.is_empty() {
            line(&words::BYTES, hex, true);
        }
    });
}

/// The vocabulary's name of a token, white space made visible.
fn name(row: &PreviewRow, index: usize) -> String {
    let name = row.tokens.get(index).map_or("", String::as_str);
    piece::visible(&piece::Piece::Name(name)).text
}

/// The picked token in one line.
pub fn line(ctx: &PanelCtx<'_>, row: &PreviewRow, index: usize, heat: Option<&TokenLosses>) -> String {
    let role = row.roles.get(index).copied().unwrap_or(TokenRole::Text);
    let learned = row.loss_mask.get(index).copied().unwrap_or(false);
    let verdict = ctx.t(if learned { &words::LEARNED } else { &words::NO_LOSS });
    let reason = ctx.t(why(row, index, ctx.state.project.config.data.train_on));
    let id = row.ids.get(index).copied().unwrap_or_default();
    let (name, hex, role) = (name(row, index), piece::hex(row, index), ctx.t(role_name(role)));
    let id = format!("{} {id}", ctx.t(&words::ID));
    let hard = heat.map(|heat| super::heat::told(heat, index)).unwrap_or_default().into_iter();
    let hard = hard.map(|(name, value)| format!("{} {value}", ctx.t(name)));
    let parts = [format!("#{index}"), name].into_iter().chain(hard);
    let parts = parts.chain([id, hex, format!("{role} · {verdict} · {reason}")]);
    parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join("   ")
}

/// What the colours mean, for the roles that this row has.
pub fn legend(ui: &mut Ui, ctx: &PanelCtx<'_>, row: &PreviewRow) {
    use TokenRole as R;
    for role in [R::System, R::User, R::Assistant, R::Tool, R::Text, R::Template] {
        if row.roles.contains(&role) {
            swatch(ui, ctx, role_name(role), (role, false, false));
        }
    }
    let main = if row.roles.contains(&R::Text) { R::Text } else { R::Assistant };
    swatch(ui, ctx, &words::LEARNED, (main, true, false));
    swatch(ui, ctx, &words::SPECIAL, (R::Template, false, true));
}

fn swatch(
    ui: &mut Ui,
    ctx: &PanelCtx<'_>,
    name: &protocol::Text,
    (role, learned, special): (TokenRole, bool, bool),
) {
    let (rect, _) = ui.allocate_exact_size(Vec2::new(14.0, 12.0), Sense::hover());
    let look = ChipLook { role, heat: None, learned, special, selected: false, hovered: !learned };
    paint_chip(ui, rect, &Visible::default(), look, false);
    ui.add_space(-3.0);
    ui.label(RichText::new(ctx.t(name)).small().color(ui.tokens().text_weak));
}
