//! What the folder holds, and how it is loaded.

use egui::{RichText, TextEdit, Ui};
use protocol::{ModelReport, RunConfig};
use serde_json::{Map, Value};

use crate::panels::PanelCtx;
use crate::theme::UiTokens;
use crate::widgets::fact::{fact, missing};
use crate::widgets::{card, field, hint, input, notice, number, section, segmented, toggle};
use crate::words::model as words;

/// What the engine computes in.
const DTYPES: [&str; 4] = ["auto", "f32", "bf16", "f16"];
/// How the engine can keep frozen matrices.
const QUANTIZATIONS: [&str; 4] = ["none", "nf4", "nf4-double", "int8"];

/// A card of facts.
pub fn facts(ui: &mut Ui, ctx: &PanelCtx<'_>, report: &ModelReport) {
    section(ui, ctx.t(&words::FACTS));
    card(ui, |ui| {
        ui.spacing_mut().item_spacing.y = 5.0;
        let family = ctx.state.engine.catalog.families.iter().find(|family| family.id == report.family);
        let family = family.map_or(report.family.as_str(), |family| ctx.t(&family.name));
        fact(ui, ctx.t(&words::FAMILY), family);
        fact(ui, ctx.t(&words::CLASS), &report.class);
        if let Some(variant) = &report.variant {
            fact(ui, ctx.t(&words::VARIANT), ctx.t(variant));
        }
        let exact = number::count(report.parameters);
        let parameters = match report.parameters {
            0..10_000 => exact,
            many => format!("{} ({exact})", number::short(many)),
        };
        fact(ui, ctx.t(&words::PARAMETERS), &parameters);
        fact(ui, ctx.t(&words::FILE_SIZE), &number::bytes(report.file_bytes));
        fact(ui, ctx.t(&words::DTYPES), &dtypes(report));
        ui.add_space(4.0);
        let length = number::count(report.context_length);
        let tokens = protocol::text!("{length} tokens", "{length} 个词元");
        fact(ui, ctx.t(&words::CONTEXT), ctx.t(&tokens));
        fact(ui, ctx.t(&words::LAYERS), &number::count(report.layers));
        fact(ui, ctx.t(&words::HIDDEN), &number::count(report.hidden_size));
        fact(ui, ctx.t(&words::VOCAB), &number::count(report.vocab_size));
        let tied = if report.tied_head { &words::TIED_YES } else { &words::TIED_NO };
        fact(ui, ctx.t(&words::TIED), ctx.t(tied));
        ui.add_space(4.0);
        found(ui, ctx, ctx.t(&words::TOKENIZER), report.tokenizer.as_deref());
        found(ui, ctx, ctx.t(&words::TEMPLATE), report.template.as_deref());
        if let Some(reason) = &report.template_reason {
            hint(ui, ctx.t(reason));
        }
        let licences = report.licence_files.join(", ");
        found(ui, ctx, ctx.t(&words::LICENCE), Some(licences.as_str()).filter(|text| !text.is_empty()));
    });
    ui.add_space(4.0);
}

/// `bf16`, or `f32 × 3, bf16 × 288` (tensors).
fn dtypes(report: &ModelReport) -> String {
    let mut sorted: Vec<_> = report.dtypes.iter().collect();
    sorted.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    match sorted.as_slice() {
        [(only, _)] => (*only).clone(),
        many => many.iter().map(|(name, count)| format!("{name} × {count}")).collect::<Vec<_>>().join(", "),
    }
}

fn found(ui: &mut Ui, ctx: &PanelCtx<'_>, name: &str, value: Option<&str>) {
    match value {
        Some(value) => fact(ui, name, value),
        None => missing(ui, name, ctx.t(&words::NOT_FOUND)),
    }
}

/// What was typed into the overrides and is no table yet.
#[derive(Default)]
pub struct OverridesDraft(Option<String>);

/// Precision, quantization, overrides.
pub fn loading(ui: &mut Ui, ctx: &PanelCtx<'_>, draft: &mut OverridesDraft) {
    section(ui, ctx.t(&words::COMPUTE));
    let mut config = ctx.state.project.config.clone();
    card(ui, |ui| {
        dtype(ui, ctx, &mut config);
        quantization(ui, ctx, &mut config);
        let given = !config.model.overrides.is_empty() || config.model.from_scratch;
        if ctx.state.preferences.expert || given {
            toggle(ui, &mut config.model.from_scratch, ctx.t(&words::SCRATCH))
                .on_hover_text(ctx.t(&words::SCRATCH_HELP));
            overrides(ui, ctx, &mut config, draft);
        }
    });
    ctx.edit(config);
}

fn dtype(ui: &mut Ui, ctx: &PanelCtx<'_>, config: &mut RunConfig) {
    let names = [ctx.t(&words::AUTO), "f32", "bf16", "f16"];
    let choices: Vec<_> = DTYPES.into_iter().zip(names).collect();
    let current = config.model.dtype.clone();
    field(ui, ctx.t(&words::DTYPE), ctx.t(&words::DTYPE_HELP), |ui| {
        let inner = ui.horizontal(|ui| segmented(ui, current.as_str(), &choices));
        if let Some(chosen) = inner.inner {
            chosen.clone_into(&mut config.model.dtype);
        }
        inner.response
    });
    if !DTYPES.contains(&config.model.dtype.as_str()) {
        unknown(ui, ctx, &config.model.dtype, &words::DTYPE_UNKNOWN);
    }
}

fn quantization(ui: &mut Ui, ctx: &PanelCtx<'_>, config: &mut RunConfig) {
    let names = [
        (&words::QUANTIZATION_NONE, &words::QUANTIZATION_NONE_HELP),
        (&words::NF4, &words::NF4_HELP),
        (&words::NF4_DOUBLE, &words::NF4_DOUBLE_HELP),
        (&words::INT8, &words::INT8_HELP),
    ];
    let choices =
        QUANTIZATIONS.into_iter().zip(names).map(|(id, (name, help))| (id, ctx.t(name), ctx.t(help)));
    let quantization = &mut config.model.quantization;
    field(ui, ctx.t(&words::QUANTIZATION), ctx.t(&words::QUANTIZATION_HELP), |ui| {
        input::choice(ui, "quantization", quantization, choices)
    });
    if !QUANTIZATIONS.contains(&quantization.as_str()) {
        unknown(ui, ctx, quantization, &words::QUANTIZATION_UNKNOWN);
    }
}

/// What a run file asks for is shown even if nobody knows it.
fn unknown(ui: &mut Ui, ctx: &PanelCtx<'_>, value: &str, what: &protocol::Text) {
    ui.label(RichText::new(value).color(ui.tokens().error));
    notice(ui, ctx, what);
}

fn overrides(ui: &mut Ui, ctx: &PanelCtx<'_>, config: &mut RunConfig, draft: &mut OverridesDraft) {
    let label = ui.label(RichText::new(ctx.t(&words::OVERRIDES)).color(ui.tokens().text_weak));
    let kept = toml::to_string(&config.model.overrides).unwrap_or_default();
    let mut text = draft.0.clone().unwrap_or_else(|| kept.trim_end().to_owned());
    let edit = TextEdit::multiline(&mut text).desired_rows(3).desired_width(f32::INFINITY);
    let response =
        ui.add(edit.font(egui::TextStyle::Monospace).margin(egui::vec2(8.0, 6.0))).labelled_by(label.id);
    hint(ui, ctx.t(&words::OVERRIDES_HELP));
    let table = parse_table(&text);
    if response.changed() {
        if let Some(table) = &table {
            config.model.overrides.clone_from(table);
        }
        draft.0 = Some(text);
    } else if !response.has_focus() && table.is_some() {
        draft.0 = None;
    }
    if draft.0.is_some() && table.is_none() {
        notice(ui, ctx, &words::OVERRIDES_BAD);
    }
}

/// JSON or TOML; an empty text is an empty table.
fn parse_table(text: &str) -> Option<Map<String, Value>> {
    let json = || serde_json::from_str(text).ok();
    toml::from_str(text).ok().or_else(json)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overrides_are_toml_or_json() {
        assert_eq!(parse_table("a = 1").unwrap()["a"], 1);
        assert_eq!(parse_table("{\"a\": {\"b\": 2}}").unwrap()["a"]["b"], 2);
        assert!(parse_table("").unwrap().is_empty());
        assert!(parse_table("a = ").is_none());
    }
}
