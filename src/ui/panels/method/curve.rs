//! The learning rate over the run.

use egui::{RichText, Ui};
use egui_plot::{HoverPosition, Line, Plot, PlotPoints};

use crate::panels::PanelCtx;
use crate::theme::UiTokens;
use crate::widgets::number;
use crate::words::method as words;

const HEIGHT: f32 = 150.0;

pub fn curve(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    let estimate = ctx.state.estimate.value.as_deref();
    let Some(estimate) = estimate.filter(|estimate| estimate.learning_rates.len() > 1) else {
        ui.label(RichText::new(ctx.t(&words::CURVE_UNKNOWN)).small().color(ui.tokens().text_weak));
        return;
    };
    let tokens = ui.tokens();
    let last = (estimate.learning_rates.len() - 1) as f64;
    let steps = if estimate.steps > 1 { (estimate.steps - 1) as f64 } else { last };
    let points: PlotPoints<'_> = estimate
        .learning_rates
        .iter()
        .enumerate()
        .map(|(index, rate)| [index as f64 / last * steps + 1.0, *rate])
        .collect();
    let line =
        Line::new(ctx.t(&words::RATE), points).color(tokens.accent).width(2.0).fill(0.0).fill_alpha(0.08);
    let step = ctx.t(&words::STEP).to_owned();
    let plot = Plot::new("learning-rate")
        .height(HEIGHT)
        .allow_zoom(false)
        .allow_drag(false)
        .allow_scroll(false)
        .allow_boxed_zoom(false)
        .allow_double_click_reset(false)
        .include_y(0.0)
        .show_background(false)
        .grid_color(tokens.line)
        .y_axis_formatter(|mark, _| number::scientific(mark.value))
        .x_axis_formatter(|mark, _| number::count(mark.value.max(0.0) as u64))
        .y_axis_min_width(44.0)
        .label_formatter(move |position| {
            let HoverPosition::NearDataPoint { position, .. } = position else { return None };
            Some(format!(
                "{step} {}\n{}",
                number::count(position.x.max(0.0) as u64),
                number::scientific(position.y)
            ))
        });
    let response = plot.show(ui, |plot| plot.line(line)).response;
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Image, true, ctx.t(&words::CURVE)));
}
