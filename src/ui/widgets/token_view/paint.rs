//! Chips on the screen.

use std::ops::Range;

use egui::text::{LayoutJob, TextFormat};
use egui::{Color32, Pos2, Rect, Shape, Stroke, StrokeKind, Ui, Vec2, pos2};
use protocol::{PreviewRow, TokenLosses, TokenRole};

use super::layout::{CHIP_HEIGHT, Layout, PADDING};
use super::piece::{Visible, is_special, piece, visible};
use crate::panels::PanelCtx;
use crate::theme::{Tokens, UiTokens};
use crate::widgets::number;

/// Room of the dashed line before the words at the cut.
pub const CUT_ROOM: f32 = 10.0;

/// What the place of the cut says.
pub fn cut_label(ctx: &PanelCtx<'_>, row: &PreviewRow) -> String {
    let left = row.truncated_from.unwrap_or_default().saturating_sub(row.ids.len() as u64);
    let (at, left) = (number::count(row.ids.len() as u64), number::count(left));
    let text = protocol::text!("cut at {at}: {left} tokens left out", "在 {at} 处截断，舍去 {left} 个词元");
    ctx.t(&text).to_owned()
}

pub struct Painter<'a> {
    pub ui: &'a Ui,
    pub ctx: &'a PanelCtx<'a>,
    pub row: &'a PreviewRow,
    /// How hard each token is, where that is shown.
    pub heat: Option<&'a TokenLosses>,
    /// Top left of the layout.
    pub origin: Pos2,
    pub selected: Option<usize>,
    pub hovered: Option<usize>,
    /// An older row, until the wanted one is here.
    pub faint: bool,
}

/// How a chip looks.
#[derive(Clone, Copy)]
pub struct ChipLook {
    pub role: TokenRole,
    /// The loss in nats, where colours say that; None for a token without one.
    pub heat: Option<Option<f32>>,
    pub learned: bool,
    pub special: bool,
    pub selected: bool,
    pub hovered: bool,
}

impl Painter<'_> {
    pub fn chips(&self, layout: &Layout, seen: Range<usize>) {
        for index in seen {
            let Some(chip) = layout.chips.get(index) else { break };
            let top = layout.top(index).unwrap_or_default();
            let rect = Rect::from_min_max(
                self.origin + Vec2::new(chip.left, top),
                self.origin + Vec2::new(chip.right, top + CHIP_HEIGHT),
            );
            if index < self.row.ids.len() {
                self.chip(index, rect);
            } else {
                self.cut(rect);
            }
        }
    }

    fn chip(&self, index: usize, rect: Rect) {
        let look = ChipLook {
            role: self.row.roles.get(index).copied().unwrap_or(TokenRole::Text),
            heat: self.heat.map(|losses| losses.losses.get(index).copied().flatten()),
            learned: self.row.loss_mask.get(index).copied().unwrap_or(false),
            special: is_special(self.row, index),
            selected: self.selected == Some(index),
            hovered: self.hovered == Some(index),
        };
        paint_chip(self.ui, rect, &visible(&piece(self.row, index)), look, self.faint);
    }

    fn cut(&self, rect: Rect) {
        let colour = self.ui.tokens().warning;
        let line = [pos2(rect.left() + 4.0, rect.top() - 2.0), pos2(rect.left() + 4.0, rect.bottom() + 2.0)];
        self.ui.painter().extend(Shape::dashed_line(&line, Stroke::new(2.0, colour), 4.0, 3.0));
        let galley = self.ui.painter().layout_no_wrap(cut_label(self.ctx, self.row), super::font(), colour);
        let at = pos2(rect.left() + CUT_ROOM, rect.center().y - galley.size().y / 2.0);
        self.ui.painter().galley(at, galley, colour);
    }
}

/// A chip: filled with its role's colour, stronger and underlined where it is learned.
pub fn paint_chip(ui: &Ui, rect: Rect, shown: &Visible, look: ChipLook, faint: bool) {
    let tokens = ui.tokens();
    let dim = if faint { 0.45 } else { 1.0 };
    let lit = if look.hovered { 0.12 } else { 0.0 };
    let role = if look.heat.is_some() { tokens.text_faint } else { tokens.role(look.role) };
    let fill = match look.heat {
        Some(loss) => super::heat::colour(tokens, loss, lit),
        None => Tokens::wash(role, if look.learned { 0.34 } else { 0.11 } + lit),
    };
    ui.painter().rect_filled(rect, 3.0, fill.gamma_multiply(dim));
    if look.learned {
        let bar = Rect::from_min_max(pos2(rect.left() + 2.0, rect.bottom() - 2.0), rect.max - Vec2::X * 2.0);
        ui.painter().rect_filled(bar, 1.0, role.gamma_multiply(dim));
    }
    let outline = if look.selected {
        Some(Stroke::new(1.5, tokens.accent))
    } else {
        look.special.then(|| Stroke::new(1.0, role.gamma_multiply(0.75 * dim)))
    };
    if let Some(outline) = outline {
        ui.painter().rect_stroke(rect, 3.0, outline, StrokeKind::Inside);
    }
    let strong = if look.learned { tokens.text_strong } else { tokens.text_weak };
    let galley = ui.fonts_mut(|fonts| {
        fonts.layout_job(job(shown, strong.gamma_multiply(dim), role.gamma_multiply(0.8 * dim)))
    });
    let at = pos2(rect.left() + PADDING, rect.center().y - galley.size().y / 2.0);
    if galley.size().x > rect.width() {
        ui.painter().with_clip_rect(rect.intersect(ui.clip_rect())).galley(at, galley, strong);
    } else {
        ui.painter().galley(at, galley, strong);
    }
}

/// The text with its marks in another colour.
fn job(shown: &Visible, text: Color32, mark: Color32) -> LayoutJob {
    let mut job = LayoutJob::default();
    job.wrap.max_width = f32::INFINITY;
    let mut add = |range: Range<usize>, colour| {
        if let Some(part) = shown.text.get(range).filter(|part| !part.is_empty()) {
            job.append(part, 0.0, TextFormat::simple(super::font(), colour));
        }
    };
    let mut at = 0;
    for range in &shown.marks {
        add(at..range.start, text);
        add(range.clone(), mark);
        at = range.end;
    }
    add(at..shown.text.len(), text);
    job
}
