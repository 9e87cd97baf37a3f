//! What was set differently in the runs shown.

use egui::{RichText, ScrollArea, Ui};
use protocol::RunConfig;
use serde_json::Value;

use super::shown;
use crate::panels::PanelCtx;
use crate::state::project::changed_keys;
use crate::theme::{UiTokens, semibold};
use crate::words::train as words;

/// A table: a line a setting that differs, a column a run.
pub fn ui(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    let tokens = ui.tokens();
    let others: Vec<_> = shown::compared(ctx).filter_map(|dir| ctx.state.runs.find(dir)).collect();
    if others.is_empty() {
        let text = RichText::new(ctx.t(&words::NOTHING_COMPARED)).color(tokens.text_weak);
        ui.add(egui::Label::new(text).wrap());
        return;
    }
    let (mine, name) = own(ctx);
    let mut keys: Vec<String> = others.iter().flat_map(|run| changed_keys(&mine, &run.config)).collect();
    keys.sort();
    keys.dedup();
    if keys.is_empty() {
        ui.label(RichText::new(ctx.t(&words::SAME_SETTINGS)).color(tokens.text_weak));
        return;
    }
    let columns: Vec<(String, egui::Color32, Value)> =
        std::iter::once((name, tokens.series[0], serde_json::to_value(&mine)))
            .chain(others.iter().map(|run| {
                let colour = shown::colour(ctx, tokens, &run.dir, false);
                (run.name.clone(), colour, serde_json::to_value(&run.config))
            }))
            .map(|(name, colour, value)| (name, colour, value.unwrap_or_default()))
            .collect();
    ScrollArea::both().auto_shrink(false).show(ui, |ui| {
        ui.spacing_mut().interact_size.y = 16.0;
        egui::Grid::new("setting-differences").num_columns(columns.len() + 1).spacing([18.0, 5.0]).show(
            ui,
            |ui| {
                ui.label(RichText::new(ctx.t(&words::SETTING)).small().color(tokens.text_weak));
                for (name, colour, _) in &columns {
                    ui.label(RichText::new(name).small().family(semibold()).color(*colour));
                }
                ui.end_row();
                for key in &keys {
                    ui.label(RichText::new(key).small().monospace().color(tokens.text_weak));
                    let own = shown_value(&columns[0].2, key);
                    for (index, (_, _, value)) in columns.iter().enumerate() {
                        let text = shown_value(value, key);
                        let differs = index > 0 && text != own;
                        let colour = if differs { tokens.text_strong } else { tokens.text };
                        let cell = RichText::new(&text).small().monospace().color(colour);
                        let cell = if differs { cell.background_color(tokens.warning_wash) } else { cell };
                        ui.label(cell).on_hover_text(&text);
                    }
                    ui.end_row();
                }
            },
        );
    });
}

/// The settings of the run under way; of the project, where there is none.
fn own(ctx: &PanelCtx<'_>) -> (RunConfig, String) {
    let state = ctx.state;
    let run = state.train.dir.as_ref().and_then(|dir| state.runs.find(dir));
    let name = state.train.run.as_ref().map(|run| run.0.clone());
    match run {
        Some(run) => ((*run.config).clone(), run.name.clone()),
        None => (state.project.config.clone(), name.unwrap_or_else(|| ctx.t(&words::THIS_RUN).to_owned())),
    }
}

/// The value of a dotted key, on one line.
pub fn shown_value(config: &Value, key: &str) -> String {
    let mut value = config;
    for part in key.split('.') {
        value = value.get(part).unwrap_or(&Value::Null);
    }
    let text = match value {
        Value::Null => "–".to_owned(),
        Value::Array(items) if !items.is_empty() && items.iter().all(Value::is_string) => {
            items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
        }
        Value::String(text) if text.is_empty() => "\"\"".to_owned(),
        Value::String(text) => text.clone(),
        Value::Number(number) => match number.as_f64() {
            Some(value) if number.is_f64() => crate::widgets::number::scientific(value),
            _ => number.to_string(),
        },
        other => other.to_string(),
    };
    let line = text.replace(['\n', '\r', '\t'], " ");
    shortened(&line)
}

/// Of a long path the end is kept, of another text the beginning.
fn shortened(line: &str) -> String {
    const MOST: usize = 36;
    let count = line.chars().count();
    if count <= MOST {
        line.to_owned()
    } else if line.contains(['/', '\\']) {
        std::iter::once('…').chain(line.chars().skip(count + 1 - MOST)).collect()
    } else {
        line.chars().take(MOST - 1).chain(['…']).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_short_and_plain() {
        let config = serde_json::json!({
            "data": { "train": ["a.jsonl", "b.jsonl"], "template": "" },
            "train": { "learning_rate": 2e-4, "seed": 42 },
            "model": { "path": "/a/very/long/path/to/some/models/Qwen2.5-0.5B-Instruct" },
        });
        let shown = |key| shown_value(&config, key);
        assert_eq!(shown("data.train"), "a.jsonl, b.jsonl");
        assert_eq!(shown("data.template"), "\"\"");
        assert_eq!(shown("train.learning_rate"), "2e-4");
        assert_eq!(shown("train.seed"), "42");
        assert_eq!(shown("train.missing"), "–");
        assert_eq!(shown("model.path"), "…o/some/models/Qwen2.5-0.5B-Instruct");
    }
}
