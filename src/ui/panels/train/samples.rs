//! What the model answers to the fixed prompts, evaluation by evaluation.

use egui::text::LayoutJob;
use egui::{ComboBox, FontId, RichText, ScrollArea, TextFormat, Ui, Vec2};
use protocol::SampleMetrics;

use crate::action::Action;
use crate::panels::PanelCtx;
use crate::state::history::History;
use crate::theme::{Tokens, UiTokens, semibold};
use crate::widgets::{Icon, number};
use crate::words::train as words;

/// Width of an answer.
const COLUMN: f32 = 230.0;
const GAP: f32 = 8.0;

/// The choice of the prompt, by its index; nothing where there are none.
pub fn chooser(ui: &mut Ui, ctx: &PanelCtx<'_>, chosen: &mut usize) {
    let prompts = ctx.state.train.history.prompts();
    if prompts.is_empty() {
        return;
    }
    *chosen = (*chosen).min(prompts.len() - 1);
    let label = ui.label(RichText::new(ctx.t(&words::PROMPT)).small().color(ui.tokens().text_weak));
    let width = (ui.available_width() - 8.0).clamp(80.0, 420.0);
    let combo = ComboBox::from_id_salt("sample-prompt")
        .width(width)
        .truncate()
        .selected_text(one_line(prompts[*chosen]));
    let combo = combo.show_ui(ui, |ui| {
        ui.set_max_width(420.0);
        for (index, prompt) in prompts.iter().enumerate() {
            ui.selectable_value(chosen, index, one_line(prompt));
        }
    });
    combo.response.labelled_by(label.id);
}

/// `prompt` is the index of the chosen prompt.
pub fn ui(ui: &mut Ui, ctx: &PanelCtx<'_>, prompt: &mut usize) {
    let history = &ctx.state.train.history;
    let prompts = history.prompts();
    if prompts.is_empty() {
        return nothing(ui, ctx);
    }
    *prompt = (*prompt).min(prompts.len() - 1);
    let answers: Vec<&SampleMetrics> = of_prompt(history, prompts[*prompt]);
    let size = Vec2::new(answers.len() as f32 * (COLUMN + GAP) - GAP, ui.available_height());
    ScrollArea::horizontal().stick_to_right(true).auto_shrink(false).show_viewport(ui, |ui, seen| {
        ui.set_min_size(Vec2::new(size.x, size.y - 10.0));
        let first = (seen.left() / (COLUMN + GAP)).floor().max(0.0) as usize;
        let last = ((seen.right() / (COLUMN + GAP)).ceil().max(0.0) as usize).min(answers.len());
        let origin = ui.max_rect().min;
        for index in first..last {
            let left = origin.x + index as f32 * (COLUMN + GAP);
            let rect =
                egui::Rect::from_min_size(egui::pos2(left, origin.y), Vec2::new(COLUMN, size.y - 12.0));
            let before = index.checked_sub(1).map(|before| answers[before].answer.as_str());
            let mut child = ui.new_child(egui::UiBuilder::new().max_rect(rect).id_salt(index));
            answer(&mut child, ctx, answers[index], before);
        }
    });
}

fn of_prompt<'a>(history: &'a History, prompt: &str) -> Vec<&'a SampleMetrics> {
    history.samples.iter().filter(|sample| sample.prompt == prompt).collect()
}

/// There are no answers: because there are no prompts, or because none was asked yet.
fn nothing(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    let tokens = ui.tokens();
    let asked = !ctx.state.project.config.train.samples.is_empty();
    ui.add_space(6.0);
    if asked {
        ui.label(RichText::new(ctx.t(&words::SAMPLES_COME)).color(tokens.text_weak));
        return;
    }
    ui.label(RichText::new(ctx.t(&words::NO_SAMPLES)).family(semibold()).color(tokens.text_strong));
    ui.add(egui::Label::new(RichText::new(ctx.t(&words::NO_SAMPLES_HELP)).color(tokens.text_weak)).wrap());
    if crate::widgets::button(ui, Some(Icon::Plus), ctx.t(&words::ADD_PROMPTS)).clicked() {
        ctx.push(Action::Open(crate::panels::method::PANEL.panel_id()));
    }
}

fn one_line(text: &str) -> String {
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() > 80 { line.chars().take(79).chain(['…']).collect() } else { line }
}

fn answer(ui: &mut Ui, ctx: &PanelCtx<'_>, sample: &SampleMetrics, before: Option<&str>) {
    let tokens = ui.tokens();
    ui.painter().rect_filled(ui.max_rect(), 6.0, tokens.field);
    let mut inner =
        ui.new_child(egui::UiBuilder::new().max_rect(ui.max_rect().shrink2(Vec2::new(10.0, 7.0))));
    let ui = &mut inner;
    let step = number::count(sample.step);
    let title = match sample.step {
        0 => ctx.t(&words::BEFORE).to_owned(),
        _ => ctx.t(&protocol::text!("step {step}", "第 {step} 步")).to_owned(),
    };
    ui.label(RichText::new(title).small().family(semibold()).color(tokens.text_weak));
    ScrollArea::vertical().id_salt(sample.step).auto_shrink(false).show(ui, |ui| {
        let job = highlighted(tokens, before, &sample.answer);
        ui.add(egui::Label::new(job).wrap().selectable(true));
    });
}

/// The answer, with what the one before did not have on a light ground.
fn highlighted(tokens: &Tokens, before: Option<&str>, answer: &str) -> LayoutJob {
    let plain =
        TextFormat { font_id: FontId::proportional(12.5), color: tokens.text, ..TextFormat::default() };
    let new = TextFormat {
        background: tokens.success_wash,
        color: tokens.text_strong,
        expand_bg: 1.0,
        ..plain.clone()
    };
    let mut job = LayoutJob::default();
    let mut end = 0;
    for range in crate::widgets::diff::words(before.unwrap_or(answer), answer).right {
        job.append(&answer[end..range.start], 0.0, plain.clone());
        job.append(&answer[range.clone()], 0.0, new.clone());
        end = range.end;
    }
    job.append(&answer[end..], 0.0, plain);
    job
}
