//! The plots: linked along the axis, each with its newest or its hovered value.

use std::ops::RangeInclusive;

use egui::{
    Align2, Color32, FontId, Id, PointerButton, Pos2, Rect, Response, RichText, Sense, Ui, UiBuilder, Vec2,
    pos2, vec2,
};
use egui_plot::{AxisHints, Plot, PlotMemory, PlotTransform, PlotUi, Points};

use super::figures::{Axis, Figure, RunCurves};
use super::labels::{axis_label, format, height_label};
use super::shown::Shown;
use super::{marks, readout};
use crate::panels::PanelCtx;
use crate::state::train::RunPhase;
use crate::theme::{Tokens, UiTokens, semibold};
use crate::widgets::plot::grid::{Scale, marks as grid_marks};
use crate::words::train as words;

/// Space between plots.
const GAP: f32 = 8.0;
/// Below this width the plots lie in one column.
pub const NARROW: f32 = 560.0;

/// How the plots look now.
pub struct Look {
    pub axis: Axis,
    pub log: bool,
    /// Everything is to be shown again.
    pub reset: bool,
    /// Where the pointer was on the axis in the last frame.
    pub hover: Option<f64>,
    /// The part of the axis to look at from now on.
    pub part: Option<RangeInclusive<f64>>,
    /// Where a box was begun.
    pub from: Option<Pos2>,
}

/// What came of drawing the plots.
#[derive(Default)]
pub struct Drawn {
    pub hover: Option<f64>,
    /// The user looks at a part.
    pub zoomed: bool,
    /// A box without height was drawn: a part of the axis, with the heights that lie in it.
    pub part: Option<RangeInclusive<f64>>,
    pub from: Option<Pos2>,
    /// Where all the plots lie.
    pub area: Option<Rect>,
}

/// Draws all plots into what is available, `height` points high.
pub fn ui(ui: &mut Ui, ctx: &PanelCtx<'_>, look: &Look, runs: &mut [Shown<'_>], height: f32) -> Drawn {
    let size = vec2(ui.available_width(), height);
    let (area, _) = ui.allocate_exact_size(size, Sense::hover());
    let mut drawn = Drawn { area: Some(area), ..Drawn::default() };
    for (figure, rect) in Figure::ALL.into_iter().zip(places(area)) {
        ui.painter().rect_filled(rect, 8.0, ui.tokens().card);
        let inner = rect.shrink2(vec2(10.0, 7.0));
        let mut child = ui.new_child(UiBuilder::new().max_rect(inner).id_salt(figure));
        child.set_clip_rect(rect.intersect(ui.clip_rect()));
        chart(&mut child, ctx, look, figure, runs, &mut drawn);
    }
    drawn
}

/// Loss at the left, the others in a square at the right; or below, where it is narrow.
fn places(area: Rect) -> [Rect; 5] {
    let narrow = area.width() < NARROW;
    let (large, rest) = if narrow {
        let split = area.top() + area.height() * 0.5;
        (
            Rect::from_min_max(area.min, pos2(area.right(), split - GAP / 2.0)),
            Rect::from_min_max(pos2(area.left(), split + GAP / 2.0), area.max),
        )
    } else {
        let split = area.left() + area.width() * 0.54;
        (
            Rect::from_min_max(area.min, pos2(split - GAP / 2.0, area.bottom())),
            Rect::from_min_max(pos2(split + GAP / 2.0, area.top()), area.max),
        )
    };
    let size = (rest.size() - Vec2::splat(GAP)) / 2.0;
    let cell = |column: f32, row: f32| {
        Rect::from_min_size(rest.min + vec2(column * (size.x + GAP), row * (size.y + GAP)), size)
    };
    [large, cell(0.0, 0.0), cell(1.0, 0.0), cell(0.0, 1.0), cell(1.0, 1.0)]
}

fn chart(
    ui: &mut Ui,
    ctx: &PanelCtx<'_>,
    look: &Look,
    figure: Figure,
    runs: &mut [Shown<'_>],
    drawn: &mut Drawn,
) {
    title(ui, ctx, look, figure, runs);
    if runs.iter().all(|shown| shown.curves.extent().is_none()) {
        if figure == Figure::Loss && ctx.state.train.phase == RunPhase::Training {
            let text = ctx.t(&words::FIRST_STEP);
            small_text(
                ui.painter(),
                ui.max_rect().center(),
                Align2::CENTER_CENTER,
                text,
                ui.tokens().text_weak,
            );
        }
        return;
    }
    let log = look.log && figure.may_be_log();
    let id = Id::unique(("train-plot", figure as usize));
    let axis = visible(ui, id, look, runs);
    let pixels = (ui.available_width() * ui.ctx().pixels_per_point()) as usize;
    for shown in runs.iter_mut() {
        shown.curves.look(shown.history, figure, &axis, pixels, log);
    }
    let runs: &[Shown<'_>] = runs;
    let tokens = ui.tokens();
    let response = plot(ui, id, figure, look, log).show(ui, |plot| {
        navigate(plot, look);
        for shown in runs.iter().rev() {
            lines(plot, tokens, figure, shown);
        }
        plot.auto_bounds()
    });
    drawn.zoomed |= !response.inner.x && !look.reset;
    let pointer = response.response.hover_pos().filter(|_| response.response.contains_pointer());
    flat_box(&response.response, &response.transform, look, drawn);
    let painter = ui.painter().with_clip_rect(*response.transform.frame());
    if let Some(main) = runs.iter().find(|shown| shown.main) {
        marks::ui(&painter, tokens, figure, main, &response.transform, log);
    }
    if let Some(pointer) = pointer {
        let x = response.transform.value_from_position(pointer).x;
        drawn.hover = Some(x);
        readout::tooltip(&response.response, ctx, x, runs);
    }
    if let Some(x) = look.hover.filter(|_| pointer.is_none()) {
        cursor(&painter, tokens, &response.transform, x);
    }
}

/// A drag along the axis is a box without height, of which egui_plot makes nothing or too much.
fn flat_box(response: &Response, transform: &PlotTransform, look: &Look, drawn: &mut Drawn) {
    const FLAT: f32 = 14.0;
    let Some(at) = response.interact_pointer_pos() else { return };
    if response.drag_started_by(PointerButton::Primary) {
        drawn.from = Some(at);
    } else if response.dragged_by(PointerButton::Primary) {
        drawn.from = look.from;
    } else if let Some(from) = look.from.filter(|_| response.drag_stopped())
        && (at.y - from.y).abs() < FLAT
        && (at.x - from.x).abs() > FLAT / 2.0
    {
        let x = |pos: Pos2| transform.frame().x_range().clamp(pos.x);
        let value = |pos: Pos2| transform.value_from_position(pos2(x(pos), pos.y)).x;
        let (a, b) = (value(from), value(at));
        drawn.part = (a != b).then(|| a.min(b)..=a.max(b));
    }
}

/// The line below the pointer, in the plots where it is not.
fn cursor(painter: &egui::Painter, tokens: &Tokens, transform: &PlotTransform, x: f64) {
    let x = transform.position_from_point(&egui_plot::PlotPoint::new(x, 0.0)).x;
    let frame = transform.frame();
    if frame.x_range().contains(x) {
        painter.vline(x, frame.y_range(), (1.0, tokens.text_faint));
    }
}

/// Name, and the value of the run under way: the newest, or the one below the pointer.
fn title(ui: &mut Ui, ctx: &PanelCtx<'_>, look: &Look, figure: Figure, runs: &[Shown<'_>]) {
    let tokens = ui.tokens();
    ui.horizontal(|ui| {
        ui.set_height(18.0);
        let name = RichText::new(ctx.t(figure.name())).small().family(semibold()).color(tokens.text_weak);
        ui.label(name).on_hover_text(ctx.t(figure.help()));
        let Some(main) = runs.iter().find(|shown| shown.main) else { return };
        let index = match look.hover {
            Some(x) => main.curves.nearest(x),
            None => main.history.steps.len().checked_sub(1),
        };
        let Some(step) = index.and_then(|index| main.history.steps.get(index)) else { return };
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            let value = format(figure, figure.value(step));
            ui.add(egui::Label::new(RichText::new(value).color(tokens.text_strong)).truncate());
        });
    });
}

/// The part of the axis that is looked at.
fn visible(ui: &Ui, id: Id, look: &Look, runs: &[Shown<'_>]) -> RangeInclusive<f64> {
    match PlotMemory::load(ui.ctx(), id) {
        Some(memory) if !memory.auto_bounds.x && !look.reset => memory.bounds().range_x(),
        _ => {
            let ends = runs.iter().filter_map(|shown| shown.curves.extent());
            let (low, high) =
                ends.fold((f64::MAX, f64::MIN), |(low, high), end| (low.min(end.0), high.max(end.1)));
            low..=high
        }
    }
}

fn plot<'a>(ui: &Ui, id: Id, figure: Figure, look: &Look, log: bool) -> Plot<'a> {
    let tokens = ui.tokens();
    let large = figure == Figure::Loss;
    let scale = match figure {
        Figure::Memory => Scale::Bytes,
        _ if log => Scale::Log,
        _ => Scale::Linear,
    };
    let font = FontId::proportional(10.5);
    let axis = look.axis;
    let hints =
        |hints: AxisHints<'a>| hints.tick_label_color(tokens.text_faint).tick_label_font(font.clone());
    let x = hints(AxisHints::new_x())
        .min_thickness(15.0)
        .label_spacing(20.0..=30.0)
        .formatter(move |mark, _| axis_label(axis, mark));
    let y = hints(AxisHints::new_y())
        .min_thickness(if large { 34.0 } else { 30.0 })
        .label_spacing(10.0..=14.0)
        .formatter(move |mark, _| height_label(figure, mark, log));
    let (across, up) = if large { (76.0, 34.0) } else { (44.0, 24.0) };
    Plot::new(figure)
        .id(id)
        .link_axis(Id::unique("train-axis"), [true, false])
        .show_background(false)
        .show_y(false)
        .show_axes([true, true])
        .grid_color(tokens.line)
        .grid_fade(0.0)
        .grid_spacing(8.0..=9.0)
        .x_grid_spacer(grid_marks(axis.scale(), across))
        .y_grid_spacer(grid_marks(scale, up))
        .custom_x_axes(vec![x])
        .custom_y_axes(vec![y])
        .cursor_color(tokens.text_faint)
        .set_margin_fraction(vec2(0.012, 0.08))
        .allow_scroll(false)
        .allow_zoom([true, false])
        .allow_drag([true, false])
        .allow_axis_zoom_drag(false)
        .boxed_zoom_pointer_button(PointerButton::Primary)
        .pan_pointer_button(PointerButton::Secondary)
}

/// Scrolling zooms around the pointer along the axis; heights then fit what is seen.
fn navigate(plot: &mut PlotUi<'_>, look: &Look) {
    if look.reset {
        plot.set_auto_bounds(true);
        return;
    }
    if let Some(part) = &look.part {
        plot.set_plot_bounds_x(part.clone());
        plot.set_auto_bounds([false, true]);
    }
    if !plot.response().contains_pointer() {
        return;
    }
    let scroll = plot.ctx().input_mut(|input| std::mem::take(&mut input.smooth_scroll_delta));
    if scroll.y != 0.0 {
        plot.zoom_bounds_around_hovered(vec2((scroll.y / 200.0).exp(), 1.0));
        plot.set_auto_bounds([false, true]);
    }
}

fn lines<'a>(plot: &mut PlotUi<'a>, tokens: &Tokens, figure: Figure, shown: &'a Shown<'_>) {
    if shown.hidden {
        return;
    }
    let colour = shown.colour;
    let curves: &RunCurves = shown.curves;
    let bold = if shown.main { 2.0 } else { 1.5 };
    if !figure.is_noisy() {
        curves.raw(figure).draw(plot, colour, bold, false);
        return;
    }
    if shown.main {
        curves.raw(figure).draw(plot, Tokens::wash(colour, 0.32), 1.0, false);
    }
    curves.smoothed(figure).draw(plot, colour, bold, false);
    if figure == Figure::Loss {
        validation(plot, tokens, shown, colour);
    }
}

/// The loss on the validation set: dashed, with a point for each evaluation while they are few.
fn validation<'a>(plot: &mut PlotUi<'a>, tokens: &Tokens, shown: &'a Shown<'_>, colour: Color32) {
    let evals = shown.curves.evals();
    evals.draw(plot, colour, 1.3, true);
    let points = evals.points();
    if (1..=200).contains(&points.len()) {
        let dots =
            |radius: f32, colour| Points::new("", points).radius(radius).color(colour).allow_hover(false);
        plot.points(dots(3.6, colour));
        plot.points(dots(2.0, tokens.card));
    }
}

/// A word among the curves.
pub fn small_text(painter: &egui::Painter, at: egui::Pos2, align: Align2, text: &str, colour: Color32) {
    painter.text(at, align, text, FontId::proportional(10.5), colour);
}
