//! What an analysis found, a card each.

use egui::{Rect, RichText, Sense, Ui, Vec2, pos2};
use protocol::{Analysis, Histogram, LanguageShare, RoleLengths};

use super::{Pick, filter, ifd, lists};
use crate::panels::PanelCtx;
use crate::theme::{Tokens, UiTokens};
use crate::widgets::token_view::told::role_name;
use crate::widgets::{Icon, button, card, notice, number, section_line};
use crate::words::analysis as words;

/// From this width on, beginnings and endings stand side by side.
const TWO: f32 = 520.0;

pub(super) fn ui(ui: &mut Ui, ctx: &PanelCtx<'_>, found: &Analysis, pick: &mut Option<Pick>) {
    if let Some(report) = &found.filtered {
        filter::report(ui, ctx, report);
    }
    for note in &found.notes {
        notice(ui, ctx, note);
    }
    if let Some(near) = &found.near_duplicates {
        lists::near(ui, ctx, near, found.near_duplicate_rows, pick);
    }
    if let Some(leaks) = &found.leaks {
        lists::overlaps(ui, ctx, &words::LEAKS, (leaks, found.leaked_rows), pick);
    }
    if let Some(contaminated) = &found.contamination {
        lists::overlaps(ui, ctx, &words::CONTAMINATION, (contaminated, found.contaminated_rows), pick);
    }
    lengths(ui, ctx, found);
    languages(ui, ctx, found, pick);
    let openings = |ui: &mut Ui, pick: &mut Option<Pick>| {
        lists::frequent(ui, ctx, &words::OPENINGS, &found.openings, pick);
    };
    let endings = |ui: &mut Ui, pick: &mut Option<Pick>| {
        lists::frequent(ui, ctx, &words::ENDINGS, &found.endings, pick);
    };
    if ui.available_width() >= TWO {
        ui.columns(2, |uis| {
            if let [left, right] = uis {
                openings(left, pick);
                endings(right, pick);
            }
        });
    } else {
        openings(ui, pick);
        endings(ui, pick);
    }
    if let Some(report) = &found.ifd {
        ifd::ui(ui, ctx, report, pick);
    }
    if let Some(rows) = &found.diverse {
        diverse(ui, ctx, rows, pick);
    }
    ui.add_space(8.0);
}

/// `400 rows · 2 cannot be used`
fn totals(ctx: &PanelCtx<'_>, found: &Analysis) -> String {
    let (rows, unusable) = (number::count(found.rows), number::count(found.unusable));
    let text = match found.unusable {
        0 => protocol::text!("{rows} rows", "{rows} 行"),
        _ => protocol::text!("{rows} rows · {unusable} cannot be used", "{rows} 行 · {unusable} 行无法使用"),
    };
    ctx.t(&text).to_owned()
}

fn lengths(ui: &mut Ui, ctx: &PanelCtx<'_>, found: &Analysis) {
    card(ui, |ui| {
        section_line(ui, ctx.t(&words::LENGTHS), &totals(ctx, found));
        for role in &found.lengths {
            ui.horizontal(|ui| one_role(ui, ctx, role));
        }
    });
}

/// `■ assistant  330 turns · 5 558 tokens · longest 61   ▁▃▇▅▂`
fn one_role(ui: &mut Ui, ctx: &PanelCtx<'_>, lengths: &RoleLengths) {
    let tokens = ui.tokens();
    let colour = tokens.role(lengths.role);
    let (swatch, _) = ui.allocate_exact_size(Vec2::splat(9.0), Sense::hover());
    ui.painter().rect_filled(swatch, 2.0, colour);
    ui.allocate_ui(Vec2::new(66.0, 20.0), |ui| {
        ui.set_min_width(66.0);
        ui.label(RichText::new(ctx.t(role_name(lengths.role))).color(tokens.text_strong));
    });
    let (turns, all, longest) =
        (number::count(lengths.turns), number::short(lengths.tokens), number::count(lengths.longest));
    let mean = lengths.tokens / lengths.turns.max(1);
    let figures = protocol::text!(
        "{turns} turns · {all} tokens · mean {mean} · longest {longest}",
        "{turns} 轮 · {all} 词元 · 平均 {mean} · 最长 {longest}"
    );
    let room = 116.0_f32.min(ui.available_width() * 0.3);
    ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
        mini(ui, Vec2::new(room, 20.0), &lengths.lengths, colour);
        ui.with_layout(egui::Layout::left_to_right(egui::Align::Center), |ui| {
            let text = RichText::new(ctx.t(&figures)).small().color(tokens.text_weak);
            ui.add(egui::Label::new(text).truncate()).on_hover_text(ctx.t(&figures));
        });
    });
}

/// A histogram the size of a word: counts on a logarithmic scale, so that rare lengths are seen.
fn mini(ui: &mut Ui, size: Vec2, histogram: &Histogram, colour: egui::Color32) {
    let (rect, _) = ui.allocate_exact_size(size, Sense::hover());
    let most = histogram.counts.iter().copied().max().unwrap_or(0).max(1) as f32;
    let end = histogram.edges.last().copied().unwrap_or(0).max(1) as f32;
    for (count, edges) in
        histogram.counts.iter().zip(histogram.edges.windows(2)).filter(|(count, _)| **count > 0)
    {
        let x = |edge: u64| rect.left() + rect.width() * edge as f32 / end;
        let tall = (rect.height() * (*count as f32).ln_1p() / most.ln_1p()).max(1.0);
        let right = (x(edges[1]) - 1.0).max(x(edges[0]) + 1.0);
        let bar = Rect::from_min_max(pos2(x(edges[0]), rect.bottom() - tall), pos2(right, rect.bottom()));
        ui.painter().rect_filled(bar, 1.0, colour.gamma_multiply(0.8));
    }
}

fn languages(ui: &mut Ui, ctx: &PanelCtx<'_>, found: &Analysis, pick: &mut Option<Pick>) {
    if found.languages.is_empty() {
        return;
    }
    card(ui, |ui| {
        section_line(ui, ctx.t(&words::LANGUAGES), "");
        let all: u64 = found.languages.iter().map(|language| language.rows).sum();
        stripe(ui, &found.languages, all);
        ui.horizontal_wrapped(|ui| {
            for (index, language) in found.languages.iter().enumerate() {
                if one_language(ui, ctx, language, index, all) {
                    *pick = Some(Pick::new(language_name(ctx, language), language.examples.iter().copied()));
                }
            }
        });
    });
}

fn language_name<'a>(ctx: &PanelCtx<'_>, language: &'a LanguageShare) -> &'a str {
    let known: &'a protocol::Text =
        if language.code.is_empty() { &words::UNKNOWN_LANGUAGE } else { &language.name };
    known.get(ctx.language)
}

fn language_colour(tokens: &Tokens, index: usize) -> egui::Color32 {
    tokens.series.get(index).copied().unwrap_or(tokens.text_faint)
}

/// All languages as parts of one line.
fn stripe(ui: &mut Ui, languages: &[LanguageShare], all: u64) {
    let tokens = ui.tokens();
    let (rect, _) = ui.allocate_exact_size(Vec2::new(ui.available_width(), 8.0), Sense::hover());
    let mut x = rect.left();
    for (index, language) in languages.iter().enumerate() {
        let width = rect.width() * language.rows as f32 / all.max(1) as f32;
        let part = Rect::from_min_size(pos2(x, rect.top()), Vec2::new((width - 1.0).max(1.0), rect.height()));
        ui.painter().rect_filled(part, 2.0, language_colour(tokens, index));
        x += width;
    }
}

/// Its colour, name, share and rows; true when it was clicked.
fn one_language(ui: &mut Ui, ctx: &PanelCtx<'_>, language: &LanguageShare, index: usize, all: u64) -> bool {
    let tokens = ui.tokens();
    let share = language.rows as f64 * 100.0 / all.max(1) as f64;
    let text = format!("{} {share:.1} %", language_name(ctx, language));
    let mark = Icon::Tag.image(11.0, language_colour(tokens, index));
    let label = RichText::new(&text).small().color(tokens.text);
    let button = egui::Button::image_and_text(mark, label).corner_radius(10).min_size(Vec2::new(0.0, 22.0));
    let rows = number::count(language.rows);
    let rows = protocol::text!("{rows} rows", "{rows} 行");
    ui.add(button).on_hover_text(ctx.t(&rows)).clicked()
}

fn diverse(ui: &mut Ui, ctx: &PanelCtx<'_>, rows: &[u64], pick: &mut Option<Pick>) {
    card(ui, |ui| {
        let count = number::count(rows.len() as u64);
        let detail = protocol::text!("{count} rows", "{count} 行");
        section_line(ui, ctx.t(&words::DIVERSE), ctx.t(&detail));
        if button(ui, Some(Icon::Eye), ctx.t(&words::SHOW_DIVERSE)).clicked() {
            *pick = Some(Pick::new(ctx.t(&words::DIVERSE), rows.iter().copied()));
        }
    });
}
