//! The exact figures at the pointer.

use egui::{Color32, PopupAnchor, Response, RichText, Ui};

use super::figures::Figure;
use super::labels::format;
use super::shown::Shown;
use crate::panels::PanelCtx;
use crate::theme::{UiTokens, semibold};
use crate::widgets::number;
use crate::words::train as words;

/// Shows what is known of the step nearest to `x`, of each run.
pub fn tooltip(response: &Response, ctx: &PanelCtx<'_>, x: f64, runs: &[Shown<'_>]) {
    let runs: Vec<&Shown<'_>> = runs.iter().filter(|shown| !shown.hidden).collect();
    if runs.iter().all(|shown| shown.curves.nearest(x).is_none()) {
        return;
    }
    let layer = response.layer_id;
    let tip =
        egui::Tooltip::always_open(response.ctx.clone(), layer, response.id, PopupAnchor::Pointer).gap(14.0);
    tip.show(|ui| {
        ui.spacing_mut().item_spacing = egui::vec2(14.0, 3.0);
        ui.spacing_mut().interact_size.y = 0.0;
        egui::Grid::new("readout").num_columns(2).show(ui, |ui| {
            for shown in runs {
                match shown.curves.nearest(x) {
                    Some(index) if shown.main => whole(ui, ctx, shown, index),
                    Some(index) => short(ui, ctx, shown, index),
                    None => {}
                }
            }
        });
    });
}

fn line(ui: &mut Ui, name: &str, value: String, colour: Color32) {
    ui.label(RichText::new(name).small().color(ui.tokens().text_weak));
    ui.label(RichText::new(value).small().color(colour));
    ui.end_row();
}

/// Every figure of the run under way.
fn whole(ui: &mut Ui, ctx: &PanelCtx<'_>, shown: &Shown<'_>, index: usize) {
    let Some(step) = shown.history.steps.get(index) else { return };
    let tokens = ui.tokens();
    let strong = tokens.text_strong;
    ui.label(RichText::new(ctx.t(&words::STEP)).small().color(tokens.text_weak));
    ui.label(RichText::new(number::count(step.step)).family(semibold()).color(strong));
    ui.end_row();
    line(ui, ctx.t(&words::EPOCH), format!("{:.3}", step.epoch), strong);
    line(ui, ctx.t(&words::TIME), ctx.t(&number::duration(step.seconds)).to_owned(), strong);
    for figure in Figure::ALL {
        line(ui, ctx.t(figure.name()), exact(figure, figure.value(step)), strong);
        if figure == Figure::Loss {
            if let Some(smoothed) = shown.curves.smoothed_at(figure, index) {
                line(ui, ctx.t(&words::SMOOTHED), exact(figure, smoothed), shown.colour);
            }
            if let Some(loss) = evaluated(shown, step.step) {
                line(ui, ctx.t(&words::VALIDATION), exact(figure, loss), shown.colour);
            }
        }
    }
    for note in notes(ctx, shown, index) {
        ui.label("");
        ui.label(RichText::new(note).small().color(tokens.info));
        ui.end_row();
    }
}

/// What happened at this step.
fn notes(ctx: &PanelCtx<'_>, shown: &Shown<'_>, index: usize) -> Vec<String> {
    let step = &shown.history.steps[index];
    let mut notes = Vec::new();
    if step.skipped {
        notes.push(ctx.t(&words::SKIPPED).to_owned());
    }
    if shown.history.saved.binary_search(&step.step).is_ok() {
        notes.push(ctx.t(&words::CHECKPOINT).to_owned());
    }
    if shown.history.best().is_some_and(|best| best.step == step.step) {
        notes.push(ctx.t(&words::BEST).to_owned());
    }
    if let Some((_, factor)) = shown.history.rate_changes.iter().rev().find(|(at, _)| *at == step.step) {
        notes.push(format!("{} ×{}", ctx.t(&words::RATE), number::scientific(*factor)));
    }
    notes
}

/// Name and loss of a compared run.
fn short(ui: &mut Ui, ctx: &PanelCtx<'_>, shown: &Shown<'_>, index: usize) {
    let Some(step) = shown.history.steps.get(index) else { return };
    ui.label(RichText::new(&shown.name).small().color(shown.colour));
    let mut text = exact(Figure::Loss, step.loss);
    if let Some(smoothed) = shown.curves.smoothed_at(Figure::Loss, index) {
        text += &format!("  ·  {} {}", ctx.t(&words::SMOOTHED), exact(Figure::Loss, smoothed));
    }
    ui.label(RichText::new(text).small().color(ui.tokens().text));
    ui.end_row();
}

/// The validation loss measured at this step.
fn evaluated(shown: &Shown<'_>, step: u64) -> Option<f64> {
    let evals = &shown.history.evals;
    evals.binary_search_by_key(&step, |eval| eval.step).ok().map(|index| evals[index].eval_loss)
}

fn exact(figure: Figure, value: f64) -> String {
    match figure {
        Figure::Loss | Figure::GradNorm if value.is_finite() => {
            let text = format!("{value:.6}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        Figure::Rate if value.is_finite() && value != 0.0 => {
            let text = format!("{value:.5e}");
            let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
            format!("{}e{exponent}", digits.trim_end_matches('0').trim_end_matches('.'))
        }
        _ => format(figure, value),
    }
}
