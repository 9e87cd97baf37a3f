//! The tokens of a row as chips: who wrote them, what is learned, where the row is cut.

pub mod heat;
mod layout;
mod paint;
pub mod piece;
pub mod told;

use egui::{Event, EventFilter, FontId, Key, Rect, Response, Role, ScrollArea, Sense, Ui, Vec2, WidgetInfo};
use protocol::config::TrainOn;
use protocol::{PreviewRow, TokenLosses};

use self::layout::Layout;
use self::piece::{piece, visible};
use crate::panels::PanelCtx;
use crate::theme::UiTokens;
use crate::words::data as words;

/// Which row is drawn: the page's serial number, and the row's index.
pub type RowKey = (u64, u64);

/// Chips that are laid out, and which one is picked.
#[derive(Default)]
pub struct TokenView {
    key: Option<(RowKey, u32, u32)>,
    layout: Layout,
    /// The token that was clicked.
    pub selected: Option<usize>,
    scroll_to: Option<usize>,
}

/// What the user did with the chips.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TokenAction {
    /// By the arrow keys: to the row before (-1) or after (1).
    pub step: i64,
}

/// The font of chips.
pub fn font() -> FontId {
    FontId::monospace(12.5)
}

impl TokenView {
    /// Selects a token and shows it.
    pub fn select(&mut self, token: Option<usize>) {
        self.selected = token;
        self.scroll_to = token;
    }

    /// `fresh` is false while the row stands in for another one. With `heat`, colours say how hard each token is
    /// instead of who wrote it.
    pub fn ui(
        &mut self,
        ui: &mut Ui,
        ctx: &PanelCtx<'_>,
        row: &PreviewRow,
        key: RowKey,
        (fresh, heat): (bool, Option<&TokenLosses>),
    ) -> TokenAction {
        let mut action = TokenAction::default();
        let mut area = ScrollArea::vertical().id_salt("tokens").auto_shrink(false);
        if self.key.is_none_or(|(known, _, _)| known.1 != key.1) {
            area = area.vertical_scroll_offset(0.0);
        }
        area.show_viewport(ui, |ui, viewport| {
            self.lay_out(ui, ctx, row, key);
            let height = self.layout.height().max(layout::PITCH);
            let (rect, response) =
                ui.allocate_exact_size(Vec2::new(ui.available_width(), height), Sense::click());
            self.scroll(ui, rect);
            let hovered = response.hover_pos().and_then(|at| self.layout.hit(at - rect.min));
            if response.clicked() {
                let hit = response.interact_pointer_pos().and_then(|at| self.layout.hit(at - rect.min));
                let token = hit.filter(|index| *index < row.ids.len());
                self.selected = if token == self.selected { None } else { token };
                response.request_focus();
            }
            response.widget_info(|| WidgetInfo::labeled(Role::Label, true, told::summary(ctx, row)));
            action = self.keys(ui, &response, row.ids.len());
            let seen = self.layout.between(viewport.top(), viewport.bottom());
            let painter = paint::Painter {
                ui,
                ctx,
                row,
                heat,
                origin: rect.min,
                selected: self.selected,
                hovered,
                faint: !fresh,
            };
            painter.chips(&self.layout, seen);
            if response.has_focus() {
                focus_ring(ui, rect);
            }
            tooltip(ctx, (row, heat), hovered, response);
        });
        action
    }

    /// Lays the chips out, once for a row, a width and a scale.
    fn lay_out(&mut self, ui: &Ui, ctx: &PanelCtx<'_>, row: &PreviewRow, key: RowKey) {
        let width = ui.available_width();
        let now = (key, width.to_bits(), ui.ctx().pixels_per_point().to_bits());
        if self.key == Some(now) {
            return;
        }
        if self.key.is_none_or(|(known, _, _)| known.1 != key.1) {
            self.selected = None;
        }
        self.selected = self.selected.filter(|index| *index < row.ids.len());
        self.key = Some(now);
        let font = font();
        let cut = row.truncated_from.map(|_| paint::cut_label(ctx, row));
        self.layout = ui.fonts_mut(|fonts| {
            let mut width_of = |text: &str| text.chars().map(|c| fonts.glyph_width(&font, c)).sum::<f32>();
            let mut texts: Vec<_> = (0..row.ids.len())
                .map(|index| {
                    let shown = visible(&piece(row, index));
                    (width_of(&shown.text), shown.breaks)
                })
                .collect();
            texts.extend(cut.map(|label| (width_of(&label) + paint::CUT_ROOM, false)));
            Layout::new(texts, width)
        });
    }

    fn scroll(&mut self, ui: &Ui, rect: Rect) {
        if let Some(top) = self.scroll_to.take().and_then(|index| self.layout.top(index)) {
            let y = rect.top() + top;
            let line = Rect::from_x_y_ranges(rect.x_range(), y..=y + layout::PITCH);
            ui.scroll_to_rect(line, None);
        }
    }

    /// Left and right go to other rows, with Shift to other tokens.
    fn keys(&mut self, ui: &Ui, response: &Response, tokens: usize) -> TokenAction {
        if !response.has_focus() {
            return TokenAction::default();
        }
        let filter = EventFilter { horizontal_arrows: true, ..EventFilter::default() };
        ui.memory_mut(|memory| memory.set_focus_lock_filter(response.id, filter));
        let mut by = [0_i64; 2];
        ui.input(|input| {
            for event in &input.events {
                if let Event::Key { key, pressed: true, modifiers, .. } = event {
                    let step = match key {
                        Key::ArrowLeft => -1,
                        Key::ArrowRight => 1,
                        _ => continue,
                    };
                    by[usize::from(modifiers.shift)] += step;
                }
            }
        });
        let [rows, chips] = by;
        if chips != 0 && tokens > 0 {
            let next = match self.selected {
                Some(index) => index.saturating_add_signed(chips as isize).min(tokens - 1),
                None => 0,
            };
            self.select(Some(next));
        }
        TokenAction { step: rows }
    }
}

/// Everything about the token under the pointer.
fn tooltip(
    ctx: &PanelCtx<'_>,
    (row, heat): (&PreviewRow, Option<&TokenLosses>),
    hovered: Option<usize>,
    response: Response,
) {
    let Some(index) = hovered else { return };
    response.on_hover_ui_at_pointer(|ui| {
        if index < row.ids.len() {
            told::token(ui, ctx, row, index, heat);
        } else {
            ui.label(paint::cut_label(ctx, row));
        }
    });
}

/// Around the chips, where it covers none.
fn focus_ring(ui: &Ui, rect: Rect) {
    // The view is cut above and below only.
    let around = rect.intersect(ui.clip_rect()).expand2(Vec2::new(6.0, 3.0));
    let stroke = egui::Stroke::new(1.0, ui.tokens().accent.gamma_multiply(0.6));
    let mut painter = ui.painter().clone();
    painter.set_clip_rect(around.expand(2.0));
    painter.rect_stroke(around, 6.0, stroke, egui::StrokeKind::Inside);
}

/// Why a token is learned, or not.
pub fn why(row: &PreviewRow, index: usize, train_on: TrainOn) -> &'static protocol::Text {
    use protocol::TokenRole as R;
    let role = row.roles.get(index).copied().unwrap_or(R::Text);
    let learned = row.loss_mask.get(index).copied().unwrap_or(false);
    match (learned, role) {
        (true, _) if train_on == TrainOn::Everything => &words::WHY_EVERYTHING,
        (true, R::Text) => &words::WHY_PLAIN,
        (true, _) if piece::is_special(row, index) => &words::WHY_ENDS,
        (true, _) => &words::WHY_ANSWER,
        (false, R::Template) => &words::WHY_TEMPLATE,
        (false, R::System | R::User | R::Tool) => &words::WHY_ASKED,
        (false, R::Assistant) if train_on == TrainOn::LastResponse => &words::WHY_EARLIER,
        (false, R::Assistant | R::Text) => &words::WHY_MASKED,
    }
}
