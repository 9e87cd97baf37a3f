//! How long the rows are, with the longest length as a line to drag.

use egui::{
    Align2, CursorIcon, FontId, Key, Painter, Pos2, Rect, Response, RichText, Sense, Shape, Stroke, Ui, Vec2,
    WidgetInfo, pos2,
};
use protocol::Histogram;

use crate::panels::PanelCtx;
use crate::theme::{Tokens, UiTokens};
use crate::widgets::histogram::{axis_end, longer_than, snapped, ticks};
use crate::widgets::{number, section};
use crate::words::data as words;

/// Room for the numbers below the bars.
const AXIS: f32 = 16.0;

#[derive(Default)]
pub struct Lengths {
    /// Counts on a logarithmic scale.
    pub log: bool,
    /// The length under the pointer while the line is dragged, and the axis it was begun on.
    dragged: Option<(u64, u64)>,
}

/// Where lengths lie on the screen.
struct Axis {
    rect: Rect,
    end: u64,
}

impl Axis {
    fn x(&self, length: u64) -> f32 {
        let part = length as f32 / self.end.max(1) as f32;
        self.rect.left() + self.rect.width() * part.min(1.0)
    }

    /// Beyond the right edge lengths go on.
    fn length(&self, x: f32) -> u64 {
        snapped(f64::from((x - self.rect.left()) / self.rect.width().max(1.0)) * self.end as f64)
    }
}

impl Lengths {
    pub fn ui(&mut self, ui: &mut Ui, ctx: &PanelCtx<'_>) {
        let verdict = ctx.state.data.newest_verdict();
        let set = ctx.state.project.config.data.max_length;
        let limit = self.dragged.map_or(set, |(length, _)| length);
        ui.horizontal(|ui| {
            section(ui, ctx.t(&words::LENGTHS));
            if let Some(verdict) = verdict {
                let colour =
                    if self.dragged.is_some() { ui.tokens().text_strong } else { ui.tokens().text_weak };
                ui.label(RichText::new(cut_text(ctx, &verdict.lengths, limit)).small().color(colour));
            }
            ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                let text = RichText::new(ctx.t(&words::LOG_COUNTS)).small();
                let response =
                    ui.selectable_label(self.log, text).on_hover_text(ctx.t(&words::LOG_COUNTS_HELP));
                if response.clicked() {
                    self.log = !self.log;
                }
            });
        });
        match verdict.map(|verdict| &verdict.lengths).filter(|lengths| !lengths.counts.is_empty()) {
            Some(lengths) => self.plot(ui, ctx, lengths, set),
            None => {
                crate::widgets::hint(ui, ctx.t(&words::NO_LENGTHS));
            }
        }
    }

    fn plot(&mut self, ui: &mut Ui, ctx: &PanelCtx<'_>, lengths: &Histogram, set: u64) {
        let (whole, response) = ui.allocate_exact_size(ui.available_size(), Sense::click_and_drag());
        let rect = Rect::from_min_max(whole.min + Vec2::Y * 12.0, whole.max - Vec2::Y * AXIS);
        let end = self.dragged.map_or_else(|| axis_end(lengths, set), |(_, end)| end);
        let axis = Axis { rect, end };
        self.drag(ui, ctx, &axis, &response, set);
        let limit = self.dragged.map_or(set, |(length, _)| length);
        let name = format!("{} · {}", ctx.t(&words::MAX_LENGTH), cut_text(ctx, lengths, limit));
        response.widget_info(|| WidgetInfo::slider(true, limit as f64, &name));
        let painter = ui.painter_at(whole);
        self.bars(&painter, ui.tokens(), &axis, lengths, limit);
        scale(&painter, ui.tokens(), &axis);
        context(&painter, ctx, ui.tokens(), &axis);
        line(&painter, ui.tokens(), &axis, limit, response.hovered() || self.dragged.is_some());
        if response.has_focus() {
            let stroke = Stroke::new(1.0, ui.tokens().accent);
            ui.painter().rect_stroke(whole.shrink(0.5), 4.0, stroke, egui::StrokeKind::Inside);
        }
        self.tooltip(ui, ctx, &axis, lengths, response);
    }

    /// Follows the pointer; the setting changes when it lets go.
    fn drag(&mut self, ui: &Ui, ctx: &PanelCtx<'_>, axis: &Axis, response: &Response, set: u64) {
        if response.hovered() || response.dragged() {
            ui.ctx().set_cursor_icon(CursorIcon::ResizeHorizontal);
        }
        if response.dragged()
            && let Some(at) = response.interact_pointer_pos()
        {
            self.dragged = Some((axis.length(at.x), axis.end));
        }
        if response.drag_stopped()
            && let Some((length, _)) = self.dragged.take()
        {
            write(ctx, length);
        }
        // A click alone changes nothing: it only takes the keys.
        if response.clicked() {
            response.request_focus();
        }
        if !response.dragged() && !response.drag_stopped() {
            self.dragged = None;
        }
        if response.has_focus() {
            let filter = egui::EventFilter { horizontal_arrows: true, ..egui::EventFilter::default() };
            ui.memory_mut(|memory| memory.set_focus_lock_filter(response.id, filter));
            let pressed = |key| ui.input(|input| input.num_presses(key)) as i64;
            let steps = pressed(Key::ArrowRight) - pressed(Key::ArrowLeft);
            if steps != 0 {
                let size = if set < 2048 { 8 } else { 64 };
                write(ctx, set.saturating_add_signed(steps * size).max(1));
            }
        }
    }

    fn bars(&self, painter: &Painter, tokens: &Tokens, axis: &Axis, lengths: &Histogram, limit: u64) {
        let height = |count: u64| if self.log { (count as f32).ln_1p() } else { count as f32 };
        let most = lengths.counts.iter().copied().max().unwrap_or(0).max(1);
        let rect = axis.rect;
        for (count, edges) in
            lengths.counts.iter().zip(lengths.edges.windows(2)).filter(|(count, _)| **count > 0)
        {
            let (left, right) = (axis.x(edges[0]), axis.x(edges[1]));
            let tall = (rect.height() * height(*count) / height(most)).max(1.5);
            let gap = if right - left > 4.0 { 1.0 } else { 0.0 };
            let bar = Rect::from_min_max(
                pos2(left, rect.bottom() - tall),
                pos2((right - gap).max(left + 0.5), rect.bottom()),
            );
            let cut = axis.x(limit);
            let kept = tokens.text_faint;
            let beyond = Tokens::wash(tokens.warning, 0.8);
            if edges[1] <= limit.saturating_add(1) || bar.right() <= cut {
                painter.rect_filled(bar, 1.0, kept);
            } else if edges[0] > limit {
                painter.rect_filled(bar, 1.0, beyond);
            } else {
                painter.rect_filled(bar.with_max_x(cut), 0.0, kept);
                painter.rect_filled(bar.with_min_x(cut), 0.0, beyond);
            }
        }
        painter.hline(rect.x_range(), rect.bottom() + 0.5, Stroke::new(1.0, tokens.line));
    }

    /// What lies under the pointer.
    fn tooltip(&self, ui: &Ui, ctx: &PanelCtx<'_>, axis: &Axis, lengths: &Histogram, response: Response) {
        if self.dragged.is_some() {
            return;
        }
        let Some(at) = ui.input(|input| input.pointer.hover_pos()).filter(|_| response.hovered()) else {
            return;
        };
        let length = ((at.x - axis.rect.left()) / axis.rect.width().max(1.0)).max(0.0) * axis.end as f32;
        let bar = lengths.edges.partition_point(|edge| *edge as f32 <= length).checked_sub(1);
        let Some((bar, count)) = bar.and_then(|bar| Some((bar, *lengths.counts.get(bar)?))) else { return };
        let Some(&[from, to]) = lengths.edges.get(bar..bar + 2) else { return };
        let (from, to) = (number::count(from), number::count(to.saturating_sub(1)));
        let count = number::count(count);
        let text =
            protocol::text!("{count} rows of {from} to {to} tokens", "{count} 行，长 {from} 到 {to} 个词元");
        response.on_hover_text_at_pointer(ctx.t(&text));
    }
}

fn write(ctx: &PanelCtx<'_>, length: u64) {
    let mut config = ctx.state.project.config.clone();
    config.data.max_length = length;
    ctx.edit(config);
}

/// `at most 1 024: 17 rows longer`
fn cut_text(ctx: &PanelCtx<'_>, lengths: &Histogram, limit: u64) -> String {
    let longer = longer_than(lengths, limit);
    let (limit, rows) = (number::count(limit), number::count(longer));
    let text = match longer {
        0 => protocol::text!("no row longer than {limit}", "没有超过 {limit} 的行"),
        _ => protocol::text!("about {rows} rows longer than {limit}", "约 {rows} 行超过 {limit}"),
    };
    ctx.t(&text).to_owned()
}

fn scale(painter: &Painter, tokens: &Tokens, axis: &Axis) {
    let room = (axis.rect.width() / 64.0).max(1.0) as u64;
    for tick in ticks(axis.end, room) {
        let x = axis.x(tick);
        if x + 18.0 < axis.rect.right() {
            let at = pos2(x, axis.rect.bottom() + 3.0);
            painter.text(
                at,
                Align2::CENTER_TOP,
                number::count(tick),
                FontId::proportional(10.5),
                tokens.text_faint,
            );
        }
    }
}

/// The line that is dragged.
fn line(painter: &Painter, tokens: &Tokens, axis: &Axis, limit: u64, strong: bool) {
    let x = axis.x(limit).min(axis.rect.right() - 1.0);
    let width = if strong { 2.5 } else { 1.5 };
    let top = axis.rect.top() - 12.0;
    painter.vline(x, top..=axis.rect.bottom(), Stroke::new(width, tokens.accent));
    painter.circle_filled(pos2(x, top + 5.0), if strong { 5.0 } else { 4.0 }, tokens.accent);
    let beyond = limit > axis.end;
    let text = if beyond { format!("{} ›", number::count(limit)) } else { number::count(limit) };
    label(painter, axis, pos2(x, top), &text, tokens.accent);
}

/// Words beside a line, on the side with room.
fn label(painter: &Painter, axis: &Axis, at: Pos2, text: &str, colour: egui::Color32) {
    let galley = painter.layout_no_wrap(text.to_owned(), FontId::proportional(10.5), colour);
    let left = at.x + 9.0 + galley.size().x > axis.rect.right();
    let x = if left { at.x - 9.0 - galley.size().x } else { at.x + 9.0 };
    painter.galley(pos2(x, at.y - 1.0), galley, colour);
}

/// The longest text that the model takes.
fn context(painter: &Painter, ctx: &PanelCtx<'_>, tokens: &Tokens, axis: &Axis) {
    let Some(context) = ctx.state.model.value.as_ref().map(|model| model.context_length).filter(|it| *it > 0)
    else {
        return;
    };
    let text = format!("{} {}", ctx.t(&words::CONTEXT), number::count(context));
    let y = axis.rect.top() + 3.0;
    if context <= axis.end {
        let x = axis.x(context);
        let ends = [pos2(x, axis.rect.top()), pos2(x, axis.rect.bottom())];
        painter.extend(Shape::dashed_line(&ends, Stroke::new(1.0, tokens.text_weak), 4.0, 3.0));
        label(painter, axis, pos2(x, y), &text, tokens.text_weak);
    } else {
        let at = pos2(axis.rect.right(), y);
        painter.text(
            at,
            Align2::RIGHT_TOP,
            format!("{text} ›"),
            FontId::proportional(10.5),
            tokens.text_faint,
        );
    }
}
