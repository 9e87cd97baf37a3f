//! Which file, who answers, how rows become prompts, and what an answer may be.

use egui::{Align, CollapsingHeader, ComboBox, Label, Layout, RichText, Ui};

use super::{output, pick_input};
use crate::action::Action;
use crate::desktop::Purpose;
use crate::panels::PanelCtx;
use crate::state::predict::{PredictAction, PredictChoices, request};
use crate::state::tuned::Tuned;
use crate::theme::UiTokens;
use crate::widgets::column_map::ColumnMap;
use crate::widgets::sampling::{longest_answer, sampling};
use crate::widgets::source::Source;
use crate::widgets::{Icon, button, card, field, hint, input, number, primary_button, section, segmented};
use crate::words::predict as words;

pub(super) fn ui(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    let mut choices = ctx.state.predict.choices.clone();
    file(ui, ctx, &choices);
    card(ui, |ui| {
        section(ui, ctx.t(&words::MODEL));
        who(ui, ctx);
    });
    card(ui, |ui| prompt(ui, ctx, &mut choices));
    card(ui, |ui| answer(ui, ctx, &mut choices));
    card(ui, |ui| output::ui(ui, ctx, &mut choices));
    let more = CollapsingHeader::new(ctx.t(&words::MORE)).id_salt("predict-more");
    more.show(ui, |ui| settings(ui, ctx, &mut choices));
    if choices != ctx.state.predict.choices {
        ctx.push(Action::Predict(PredictAction::Choose(Box::new(choices))));
    }
}

/// The button, and what it will do or why it cannot.
pub(super) fn start(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    let state = ctx.state;
    let done = state.predict.done_before();
    let all = state.predict.plan.value.as_ref().and_then(|plan| plan.total).filter(|all| *all <= done);
    let broken = state.predict.plan.error.is_some();
    let at_work = state.is_at_work();
    let able = state.engine.is_ready() && !at_work;
    let ready = able && !broken && all.is_none_or(|all| all == 0) && request(state).is_some();
    let text = if done > 0 { &words::GO_ON } else { &words::START };
    ui.horizontal(|ui| {
        if primary_button(ui, Some(Icon::Play), ctx.t(text), ready).clicked() {
            ctx.push(Action::Predict(PredictAction::Start));
        }
        let rows = number::count(done);
        let said = match (done, state.train.is_active()) {
            _ if at_work => crate::words::work::ANOTHER.clone(),
            (0, true) => words::WAITS_BEFORE.clone(),
            (0, false) => return,
            (..) if all.is_some() => protocol::text!(
                "The file has all {rows} rows already: choose another name",
                "文件中已有全部 {rows} 行：请换一个文件名"
            ),
            (..) => protocol::text!("The file has {rows} rows already", "文件中已有 {rows} 行"),
        };
        ui.add(Label::new(RichText::new(ctx.t(&said)).small().color(ui.tokens().text_weak)).wrap());
    });
}

fn file(ui: &mut Ui, ctx: &PanelCtx<'_>, choices: &PredictChoices) {
    let tokens = ui.tokens();
    card(ui, |ui| {
        ui.horizontal(|ui| {
            Icon::File.ui(ui, 15.0, tokens.text_weak);
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                if button(ui, None, ctx.t(&words::CHANGE)).clicked() {
                    pick_input(ctx);
                }
                ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                    let name = choices.input.file_name().unwrap_or_default().to_string_lossy();
                    let name = RichText::new(name.as_ref()).color(tokens.text_strong);
                    ui.add(Label::new(name).truncate()).on_hover_text(choices.input.display().to_string());
                });
            });
        });
        if let Some(plan) = &ctx.state.predict.plan.value {
            let mut facts = Vec::new();
            facts.extend(plan.total.map(|rows| {
                let rows = number::count(rows);
                ctx.t(&protocol::text!("{rows} rows", "{rows} 行")).to_owned()
            }));
            facts.extend(Some(plan.columns.join(", ")).filter(|columns| !columns.is_empty()));
            let facts = facts.join(" · ");
            let label = Label::new(RichText::new(&facts).small().color(tokens.text_weak)).truncate();
            ui.add(label).on_hover_text(facts);
        }
    });
}

fn who(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    let chosen = Tuned::or_newest(ctx.state.predict.source.as_ref(), ctx.state);
    let choose = |tuned| Action::Predict(PredictAction::Use(Box::new(tuned)));
    Source {
        current: chosen.as_ref(),
        base: true,
        live: false,
        folder: Some(Purpose::PredictAdapter),
        choose: &choose,
    }
    .ui(ui, ctx);
}

fn prompt(ui: &mut Ui, ctx: &PanelCtx<'_>, choices: &mut PredictChoices) {
    ui.horizontal(|ui| {
        section(ui, ctx.t(&words::PROMPT));
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let kinds = [(true, ctx.t(&words::AS_TRAINED)), (false, ctx.t(&words::OWN))];
            choices.as_trained = segmented(ui, choices.as_trained, &kinds).unwrap_or(choices.as_trained);
        });
    });
    if choices.as_trained {
        hint(ui, ctx.t(&words::AS_TRAINED_HELP));
        return;
    }
    hint(ui, ctx.t(&words::OWN_HELP));
    format(ui, ctx, choices);
    template(ui, ctx, choices);
    let format = ctx.state.engine.format(&choices.format);
    let fields = format.map(|format| format.params.as_slice()).unwrap_or_default();
    let columns = columns(ctx);
    if !fields.is_empty() {
        ColumnMap { fields, columns, row: &[] }.ui(ui, ctx, &mut choices.columns);
    }
}

/// Columns of the input, as far as they are known.
pub(super) fn columns<'a>(ctx: &PanelCtx<'a>) -> &'a [String] {
    ctx.state.predict.plan.value.as_ref().map(|plan| plan.columns.as_slice()).unwrap_or_default()
}

fn format(ui: &mut Ui, ctx: &PanelCtx<'_>, choices: &mut PredictChoices) {
    let formats = &ctx.state.engine.catalog.formats;
    field(ui, ctx.t(&words::FORMAT), "", |ui| {
        let named = formats.iter().map(|it| (it.id.as_str(), ctx.t(&it.name), ctx.t(&it.help)));
        input::choice(ui, "predict-format", &mut choices.format, named)
    });
}

fn template(ui: &mut Ui, ctx: &PanelCtx<'_>, choices: &mut PredictChoices) {
    let presets = &ctx.state.engine.catalog.templates;
    field(ui, ctx.t(&words::TEMPLATE), "", |ui| {
        let own = [("auto", ctx.t(&words::TEMPLATE_AUTO), "")];
        let named = presets.iter().map(|it| (it.id.as_str(), ctx.t(&it.name), ctx.t(&it.help)));
        input::choice(ui, "predict-template", &mut choices.template, own.into_iter().chain(named))
    });
}

fn answer(ui: &mut Ui, ctx: &PanelCtx<'_>, choices: &mut PredictChoices) {
    let id = ui.scope_id().with("one of several");
    let asked: bool = ui.data(|data| data.get_temp(id)).unwrap_or_default();
    let several = asked || !choices.choices.is_empty();
    ui.horizontal(|ui| {
        section(ui, ctx.t(&words::ANSWER));
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let kinds = [(false, ctx.t(&words::WRITTEN)), (true, ctx.t(&words::ONE_OF))];
            if let Some(several) = segmented(ui, several, &kinds) {
                ui.data_mut(|data| data.insert_temp(id, several));
                if !several {
                    choices.choices.clear();
                }
            }
        });
    });
    if several {
        field(ui, ctx.t(&words::CHOICES), ctx.t(&words::CHOICES_HELP), |ui| {
            let shown = choices.choices.join(", ");
            let width = (ui.available_width() - 18.0).max(60.0);
            let (response, typed) = input::draft(ui, "choices", &shown, ctx.t(&words::CHOICES_HINT), width);
            if let Some(typed) = typed {
                choices.choices = listed(&typed);
            }
            response
        });
    } else {
        longest_answer(ui, ctx, &mut choices.sampling);
    }
    label(ui, ctx, choices);
}

/// `0, 1，2` → three choices.
fn listed(typed: &str) -> Vec<String> {
    let words = typed.split([',', '，']).map(str::trim).filter(|word| !word.is_empty());
    words.map(str::to_owned).collect()
}

fn label(ui: &mut Ui, ctx: &PanelCtx<'_>, choices: &mut PredictChoices) {
    field(ui, ctx.t(&words::LABEL), ctx.t(&words::LABEL_HELP), |ui| {
        let none = ctx.t(&words::NO_LABEL);
        let shown = if choices.label.is_empty() { none } else { choices.label.as_str() }.to_owned();
        let width = (ui.available_width() - 18.0).clamp(60.0, 160.0);
        let combo = ComboBox::from_id_salt("label").selected_text(shown).width(width);
        let shown = combo.show_ui(ui, |ui| {
            ui.selectable_value(&mut choices.label, String::new(), none);
            for column in columns(ctx) {
                ui.selectable_value(&mut choices.label, column.clone(), column);
            }
        });
        shown.response
    });
}

fn settings(ui: &mut Ui, ctx: &PanelCtx<'_>, choices: &mut PredictChoices) {
    card(ui, |ui| {
        sampling(ui, ctx, &mut choices.sampling);
        field(ui, ctx.t(&words::BATCH_TOKENS), ctx.t(&words::BATCH_TOKENS_HELP), |ui| {
            input::integer(ui, &mut choices.batch_tokens, 0..=1 << 24, "")
        });
    });
}

#[cfg(test)]
mod tests {
    #[test]
    fn choices_are_words_between_commas_of_both_kinds() {
        assert_eq!(super::listed(" 0, 1，是的 ,,"), ["0", "1", "是的"]);
        assert!(super::listed(" ， ").is_empty());
    }
}
