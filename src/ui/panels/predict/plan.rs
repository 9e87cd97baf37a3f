//! The first prompts as the model would get them, and what should be looked at before.

use egui::{Frame, Label, Margin, RichText, Ui};
use protocol::{PredictPlan, PredictPrompt};

use crate::panels::PanelCtx;
use crate::theme::UiTokens;
use crate::widgets::{error_whole, hint, notice, number, section_line};
use crate::words::predict as words;

pub(super) fn ui(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    let plan = &ctx.state.predict.plan;
    let detail = plan.value.as_ref().map(|plan| detail(ctx, plan)).unwrap_or_default();
    section_line(ui, ctx.t(&words::PLAN), &detail);
    ui.add_space(2.0);
    if let Some(error) = &plan.error {
        return error_whole(ui, ctx, error);
    }
    match &plan.value {
        Some(plan) => {
            for warning in &plan.warnings {
                notice(ui, ctx, warning);
            }
            if plan.prompts.is_empty() {
                hint(ui, ctx.t(&words::NO_ROWS));
            }
            for prompt in &plan.prompts {
                card(ui, ctx, prompt);
            }
        }
        None => {
            let text = if plan.is_pending() { &words::PLANNING } else { &words::NO_PLAN };
            hint(ui, ctx.t(text));
        }
    }
}

/// `Alpaca · chatml`
fn detail(ctx: &PanelCtx<'_>, plan: &PredictPlan) -> String {
    let format = ctx.state.engine.format_name(&plan.format, ctx.language);
    let parts = [Some(format), plan.template.as_deref()];
    parts.into_iter().flatten().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" · ")
}

fn card(ui: &mut Ui, ctx: &PanelCtx<'_>, prompt: &PredictPrompt) {
    let tokens = ui.tokens();
    let frame = Frame::new().fill(tokens.card).corner_radius(8).inner_margin(Margin::symmetric(12, 9));
    frame.show(ui, |ui| {
        ui.set_width(ui.available_width());
        ui.spacing_mut().item_spacing.y = 4.0;
        let (row, count) = (number::count(prompt.row), number::count(prompt.tokens));
        let head = protocol::text!("row {row} · {count} tokens", "第 {row} 行 · {count} 个词元");
        ui.label(RichText::new(ctx.t(&head)).small().color(tokens.text_weak));
        if !prompt.text.is_empty() {
            let text = RichText::new(end_shown(&prompt.text)).monospace().color(tokens.text);
            ui.add(Label::new(text).wrap().selectable(true));
        }
        if let Some(error) = &prompt.error {
            notice(ui, ctx, error);
        }
    });
}

/// Line ends at the very end are part of a prompt, and would not be seen.
fn end_shown(text: &str) -> String {
    let shown = text.trim_end_matches('\n');
    format!("{shown}{}", "⏎".repeat(text.len() - shown.len()))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_end_of_a_prompt_is_seen() {
        assert_eq!(super::end_shown("a\nb:\n\n"), "a\nb:⏎⏎");
        assert_eq!(super::end_shown("a"), "a");
    }
}
