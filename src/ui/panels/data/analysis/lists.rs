//! Lists of what was found, of which only the lines in sight are drawn, and from which one goes to the rows.

use std::path::Path;

use egui::{Align2, Color32, FontId, Rect, Role, ScrollArea, Sense, Ui, Vec2, WidgetInfo, pos2};
use protocol::{Frequent, NearDuplicates, Overlap};

use super::Pick;
use crate::panels::PanelCtx;
use crate::theme::UiTokens;
use crate::widgets::{Icon, card, hint, number, section_line};
use crate::words::analysis as words;

pub(super) const LINE: f32 = 24.0;
/// Lines before a list scrolls.
const SHOWN: usize = 8;

/// A line of a list.
struct Entry<'a> {
    /// At the right, in tabular figures.
    figure: String,
    text: std::borrow::Cow<'a, str>,
    /// After the text, fainter.
    detail: String,
    /// How much of the line is filled.
    part: f32,
    pick: Box<dyn Fn() -> Pick + 'a>,
}

/// How answers begin or end.
pub(super) fn frequent(
    ui: &mut Ui,
    ctx: &PanelCtx<'_>,
    title: &protocol::Text,
    found: &[Frequent],
    pick: &mut Option<Pick>,
) {
    let most = found.first().map_or(1, |it| it.count.max(1));
    let name = ctx.t(title);
    list(ui, ctx, (name, String::new()), found.len(), pick, |index| {
        let it = &found[index];
        Entry {
            figure: number::count(it.count),
            text: visible(&it.text).into(),
            detail: String::new(),
            part: it.count as f32 / most as f32,
            pick: Box::new(move || Pick::new(visible(&it.text), it.rows.iter().copied())),
        }
    });
}

/// Groups of rows, the largest; `rows` of all groups are too many.
pub(super) fn near(
    ui: &mut Ui,
    ctx: &PanelCtx<'_>,
    found: &[NearDuplicates],
    rows: u64,
    pick: &mut Option<Pick>,
) {
    let rows = number::count(rows);
    let detail = protocol::text!("{rows} rows too many", "多出 {rows} 行");
    let detail = if found.is_empty() { String::new() } else { ctx.t(&detail).to_owned() };
    let name = ctx.t(&words::NEAR);
    list(ui, ctx, (name, detail), found.len(), pick, |index| {
        let group = &found[index];
        Entry {
            figure: format!("{} × · {:.2}", number::count(group.count), group.similarity),
            text: visible(&group.text).into(),
            detail: rows_named(ctx, &group.rows),
            part: 0.0,
            pick: Box::new(move || Pick::new(name, group.rows.iter().copied())),
        }
    });
}

pub(super) fn overlaps(
    ui: &mut Ui,
    ctx: &PanelCtx<'_>,
    title: &protocol::Text,
    (found, rows): (&[Overlap], u64),
    pick: &mut Option<Pick>,
) {
    let name = ctx.t(title);
    let count = number::count(rows);
    let detail = if found.is_empty() {
        String::new()
    } else {
        ctx.t(&protocol::text!("{count} rows", "{count} 行")).to_owned()
    };
    list(ui, ctx, (name, detail), found.len(), pick, |index| {
        let it = &found[index];
        let (row, place) = (number::count(it.row), place(&it.file, it.file_row));
        let detail = protocol::text!("row {row} → {place}", "第 {row} 行 → {place}");
        Entry {
            figure: format!("{:.2}", it.similarity),
            text: visible(&it.text).into(),
            detail: ctx.t(&detail).to_owned(),
            part: 0.0,
            pick: Box::new(move || Pick::new(name, std::iter::once(it.row))),
        }
    });
}

/// `ceval-law.csv:12`
fn place(file: &Path, row: u64) -> String {
    format!("{}:{row}", file.file_name().unwrap_or(file.as_os_str()).to_string_lossy())
}

/// `rows 3, 17, 204 …`
fn rows_named(ctx: &PanelCtx<'_>, rows: &[u64]) -> String {
    let first: Vec<_> = rows.iter().take(4).map(|row| number::count(*row)).collect();
    let more = if rows.len() > first.len() { " …" } else { "" };
    let named = first.join(", ");
    ctx.t(&protocol::text!("rows {named}{more}", "第 {named} 行{more}")).to_owned()
}

/// White space that ends a line, made visible.
pub(super) fn visible(text: &str) -> String {
    text.replace('\n', "⏎").replace(['\r', '\t'], " ")
}

/// A card with a list; what is clicked goes into `pick`.
fn list<'a>(
    ui: &mut Ui,
    ctx: &PanelCtx<'_>,
    (name, detail): (&str, String),
    len: usize,
    pick: &mut Option<Pick>,
    entry: impl Fn(usize) -> Entry<'a>,
) {
    card(ui, |ui| {
        section_line(ui, name, &detail);
        if len == 0 {
            ui.horizontal(|ui| {
                Icon::Check.ui(ui, 14.0, ui.tokens().success);
                hint(ui, ctx.t(&words::NOTHING_FOUND));
            });
            return;
        }
        ui.spacing_mut().item_spacing.y = 2.0;
        let height = (LINE + 2.0) * len.min(SHOWN) as f32;
        let area =
            ScrollArea::vertical().id_salt(("list", name)).max_height(height).auto_shrink([false, true]);
        area.show_rows(ui, LINE, len, |ui, rows| {
            for index in rows {
                let entry = entry(index);
                if line(ui, ctx, &entry) {
                    *pick = Some((entry.pick)());
                }
            }
        });
    });
}

fn line(ui: &mut Ui, ctx: &PanelCtx<'_>, entry: &Entry<'_>) -> bool {
    let tokens = ui.tokens();
    let (rect, response) = ui.allocate_exact_size(Vec2::new(ui.available_width(), LINE), Sense::click());
    response.widget_info(|| {
        let name = format!("{} {} {}", entry.text, entry.detail, entry.figure);
        WidgetInfo::labeled(Role::Button, true, name)
    });
    let lit = response.hovered() || response.has_focus();
    ui.painter().rect_filled(rect, 4.0, if lit { tokens.hover } else { Color32::TRANSPARENT });
    if entry.part > 0.0 {
        let bar = Rect::from_min_size(rect.min, Vec2::new(rect.width() * entry.part.min(1.0), rect.height()));
        ui.painter().rect_filled(bar, 4.0, tokens.field.gamma_multiply(0.9));
    }
    let figure =
        text(ui, pos2(rect.right() - 6.0, rect.center().y), Align2::RIGHT_CENTER, &entry.figure, tokens.text);
    let right = if entry.detail.is_empty() {
        figure.left()
    } else {
        let at = pos2(figure.left() - 12.0, rect.center().y);
        text(ui, at, Align2::RIGHT_CENTER, &entry.detail, tokens.text_weak).left()
    };
    let room = Rect::from_min_max(rect.min, pos2((right - 10.0).max(rect.left() + 20.0), rect.bottom()));
    let painter = ui.painter_at(room);
    let at = pos2(rect.left() + 6.0, rect.center().y);
    painter.text(at, Align2::LEFT_CENTER, &entry.text, FontId::proportional(13.0), tokens.text_strong);
    response.on_hover_text(format!("{}\n{}", entry.text, ctx.t(&words::SHOW_ROWS))).clicked()
}

fn text(ui: &Ui, at: egui::Pos2, align: Align2, text: &str, colour: Color32) -> Rect {
    ui.painter().text(at, align, text, FontId::proportional(11.5), colour)
}
