//! What memory the run will need, part by part, and how a step goes with it; after the run, what it took.

use egui::{Align, Color32, Layout, RichText, Role, Sense, Ui, Vec2, WidgetInfo};
use protocol::{MemoryForecast, Text};

use crate::panels::PanelCtx;
use crate::theme::UiTokens;
use crate::widgets::{Icon, card, number, section};
use crate::words::frame as words;

const SQUARE: f32 = 8.0;

pub(super) fn ui(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    let verdict = ctx.state.data.verdict.value.as_ref().and_then(|verdict| verdict.forecast.as_ref());
    let Some(forecast) = verdict.or(ctx.state.estimate.value.as_ref().map(|estimate| &estimate.forecast))
    else {
        return;
    };
    section(ui, ctx.t(&words::FORECAST));
    card(ui, |ui| {
        total(ui, ctx, forecast);
        bar(ui, forecast);
        for ((name, bytes), colour) in parts(forecast).into_iter().zip(ui.tokens().series) {
            part(ui, ctx.t(name), bytes, colour);
        }
        one_by_one(ui, ctx, forecast);
        part(ui, ctx.t(&words::STREAMED), forecast.streamed, ui.tokens().text_faint);
        measured(ui, ctx, forecast);
        for line in &forecast.plan {
            let line = RichText::new(ctx.t(line)).small().color(ui.tokens().text_weak);
            ui.add(egui::Label::new(line).wrap());
        }
    });
    ui.add_space(4.0);
}

/// What it needs, of what there is, and whether that is enough.
fn total(ui: &mut Ui, ctx: &PanelCtx<'_>, forecast: &MemoryForecast) {
    let tokens = ui.tokens();
    let mut needed = number::bytes(forecast.total);
    if forecast.available > 0 {
        needed += &format!(" / {}", number::bytes(forecast.available));
    }
    ui.horizontal(|ui| {
        ui.label(RichText::new(needed).color(tokens.text_strong));
        let (word, colour) =
            if forecast.fits { (&words::FITS, tokens.success) } else { (&words::DOES_NOT_FIT, tokens.error) };
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            ui.label(RichText::new(ctx.t(word)).small().color(colour));
        });
    });
}

/// A line for a part that is there.
fn part(ui: &mut Ui, name: &str, bytes: u64, colour: Color32) {
    if bytes == 0 {
        return;
    }
    line(ui, |ui| {
        let (rect, _) = ui.allocate_exact_size(Vec2::splat(SQUARE), Sense::hover());
        ui.painter().rect_filled(rect, 2.0, colour);
        figure(ui, name, bytes);
    });
}

/// A name at the left and bytes at the right.
fn figure(ui: &mut Ui, name: &str, bytes: u64) {
    let weak = ui.tokens().text_weak;
    ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
        ui.label(RichText::new(number::bytes(bytes)).small().color(weak));
        ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
            let name = egui::Label::new(RichText::new(name).small().color(weak)).truncate();
            ui.add(name);
        });
    });
}

fn line(ui: &mut Ui, contents: impl FnOnce(&mut Ui)) {
    ui.spacing_mut().item_spacing.y = 2.0;
    ui.spacing_mut().interact_size.y = 17.0;
    ui.horizontal(contents);
}

/// What stays through a step, and what comes and goes at its peak: together the total.
fn parts(forecast: &MemoryForecast) -> [(&'static Text, u64); 6] {
    [
        (&words::WEIGHTS, forecast.weights),
        (&words::TRAINABLE, forecast.trainable),
        (&words::GRADIENTS, forecast.gradients),
        (&words::OPTIMIZER, forecast.optimizer),
        (&words::INPUTS, forecast.inputs),
        (&words::AT_WORK, forecast.at_work()),
    ]
}

/// What takes turns: of these the total holds those that meet at the peak.
fn turns(forecast: &MemoryForecast) -> [(&'static Text, u64); 4] {
    [
        (&words::GRAPHS, forecast.graphs),
        (&words::HEAD, forecast.head),
        (&words::KV_CACHE, forecast.kv_cache),
        (&words::EVALUATION, forecast.evaluation),
    ]
}

/// What takes turns, one by one, for those who ask.
fn one_by_one(ui: &mut Ui, ctx: &PanelCtx<'_>, forecast: &MemoryForecast) {
    let turns = turns(forecast);
    if turns.iter().all(|(_, bytes)| *bytes == 0) {
        return;
    }
    let id = ui.make_persistent_id("one-by-one");
    let mut open = ui.data(|data| data.get_temp::<bool>(id)).unwrap_or_default();
    if opener(ui, ctx, open).clicked() {
        open = !open;
        ui.data_mut(|data| data.insert_temp(id, open));
    }
    if open {
        for (name, bytes) in turns.into_iter().filter(|(_, bytes)| *bytes > 0) {
            line(ui, |ui| {
                ui.add_space(SQUARE + ui.spacing().item_spacing.x);
                figure(ui, ctx.t(name), bytes);
            });
        }
    }
}

/// A line that opens and closes what stands below it.
fn opener(ui: &mut Ui, ctx: &PanelCtx<'_>, open: bool) -> egui::Response {
    let weak = ui.tokens().text_weak;
    let icon = if open { Icon::ChevronDown } else { Icon::ChevronRight };
    let text = RichText::new(ctx.t(&words::ONE_BY_ONE)).small().color(weak);
    let button = egui::Button::image_and_text(icon.image(SQUARE + 2.0, weak), text)
        .frame(false)
        .min_size(Vec2::new(0.0, 17.0));
    let response = ui
        .scope(|ui| {
            ui.spacing_mut().button_padding = Vec2::ZERO;
            ui.add(button)
        })
        .inner
        .on_hover_text(ctx.t(&words::ONE_BY_ONE_HELP));
    response.widget_info(|| WidgetInfo::selected(Role::Button, true, open, ctx.t(&words::ONE_BY_ONE)));
    response
}

/// What the last run took, where this is its forecast still.
fn measured(ui: &mut Ui, ctx: &PanelCtx<'_>, forecast: &MemoryForecast) {
    let Some((peak, told)) = ctx.state.train.peak().filter(|(_, told)| *told == forecast.total) else {
        return;
    };
    let text = format!("{} ({})", ctx.t(&words::MEASURED), number::deviation(peak, told));
    line(ui, |ui| {
        Icon::Check.ui(ui, SQUARE + 2.0, ui.tokens().success);
        figure(ui, &text, peak);
    });
}

/// The parts of the forecast as one bar over what the device has.
fn bar(ui: &mut Ui, forecast: &MemoryForecast) {
    let tokens = ui.tokens();
    let (rect, _) = ui.allocate_exact_size(Vec2::new(ui.available_width(), SQUARE), Sense::hover());
    ui.painter().rect_filled(rect, 4.0, tokens.field);
    let whole = forecast.available.max(forecast.total).max(1) as f32;
    let mut x = rect.left();
    for ((_, bytes), colour) in parts(forecast).into_iter().zip(tokens.series) {
        let width = rect.width() * bytes as f32 / whole;
        let part = egui::Rect::from_min_size(egui::pos2(x, rect.top()), Vec2::new(width, rect.height()));
        ui.painter().rect_filled(part, 2.0, colour);
        x += width;
    }
}
