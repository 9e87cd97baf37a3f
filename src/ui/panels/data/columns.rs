//! Which column of the file plays which part.

use egui::{ComboBox, Label, RichText, TextEdit, Ui};
use protocol::{Descriptor, ParamKind, ParamSpec, Preset, PreviewRow, RunConfig};

use super::source::{effective_format, format_name};
use crate::panels::PanelCtx;
use crate::theme::UiTokens;
use crate::widgets::{Icon, button, hint, section};
use crate::words::data as words;

/// Width of the parts' names.
const NAME_WIDTH: f32 = 104.0;
/// Characters of a value that are shown beside its column.
const SHOWN_CHARS: usize = 120;

pub fn ui(ui: &mut Ui, ctx: &PanelCtx<'_>, row: Option<&PreviewRow>) {
    let mut config = ctx.state.project.config.clone();
    let format = effective_format(ctx).unwrap_or_else(|| "columns".to_owned());
    let formats = &ctx.state.engine.catalog.formats;
    let described = formats.iter().find(|known| known.id == format);
    let columns = columns(ctx, row);
    ui.horizontal(|ui| {
        section(ui, &format!("{} · {}", ctx.t(&words::FORMAT), format_name(ctx, &format)));
        buttons(ui, ctx, &mut config, described, &columns);
    });
    match described.filter(|format| !format.params.is_empty()) {
        None => {
            hint(ui, ctx.t(&words::NO_FIELDS));
        }
        Some(described) => {
            for field in &described.params {
                ui.horizontal(|ui| line(ui, ctx, &mut config, field, &columns, row));
            }
            hint(ui, ctx.t(&words::EXPRESSION_HELP));
        }
    }
    ctx.edit(config);
}

/// The columns' names: those of all rows looked at, else those of this row.
fn columns(ctx: &PanelCtx<'_>, row: Option<&PreviewRow>) -> Vec<String> {
    let known =
        ctx.state.data.page.value.as_ref().map(|page| page.source.columns.clone()).unwrap_or_default();
    if known.is_empty()
        && let Some(row) = row
    {
        return row.fields.iter().map(|(name, _)| name.clone()).collect();
    }
    known
}

fn buttons(
    ui: &mut Ui,
    ctx: &PanelCtx<'_>,
    config: &mut RunConfig,
    format: Option<&Descriptor>,
    columns: &[String],
) {
    ui.menu_button(ctx.t(&words::COLUMN_PRESETS), |ui| {
        for preset in &ctx.state.engine.catalog.column_maps {
            if ui.button(ctx.t(&preset.name)).on_hover_text(ctx.t(&preset.help)).clicked() {
                apply_preset(config, preset);
                ui.close();
            }
        }
    });
    if let Some(format) = format
        && button(ui, Some(Icon::Bolt), ctx.t(&words::BEST_GUESS)).clicked()
    {
        for field in &format.params {
            if let Some(column) = guess(&field.key, columns) {
                config.data.columns.insert(field.key.clone(), column.to_owned());
            }
        }
    }
    if !config.data.columns.is_empty() && button(ui, Some(Icon::Close), ctx.t(&words::CLEAR)).clicked() {
        config.data.columns.clear();
    }
}

/// Takes the format and the map of a preset's `[data]`.
fn apply_preset(config: &mut RunConfig, preset: &Preset) {
    let Ok(table) = preset.source.parse::<toml::Table>() else { return };
    let Some(data) = table.get("data").and_then(toml::Value::as_table) else { return };
    if let Some(format) = data.get("format").and_then(toml::Value::as_str) {
        config.data.format = format.to_owned();
    }
    let map = data.get("columns").and_then(toml::Value::as_table).into_iter().flatten();
    let map = map.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())));
    config.data.columns = map.collect();
}

/// One part: its column or expression, and what the row has there.
fn line(
    ui: &mut Ui,
    ctx: &PanelCtx<'_>,
    config: &mut RunConfig,
    field: &ParamSpec,
    columns: &[String],
    row: Option<&PreviewRow>,
) {
    let tokens = ui.tokens();
    let given = config.data.columns.get(&field.key).cloned();
    let default = match &field.kind {
        ParamKind::Text { default } => default.as_str(),
        _ => "",
    };
    let label = ui
        .allocate_ui(egui::vec2(NAME_WIDTH, ui.spacing().interact_size.y), |ui| {
            ui.set_min_width(NAME_WIDTH);
            let name = RichText::new(&field.key).monospace().color(tokens.text);
            ui.add(Label::new(name).truncate()).on_hover_text(ctx.t(&field.help))
        })
        .inner;
    let is_expression = given.as_deref().is_some_and(|given| given.contains("{{") || given.contains("{%"));
    let shown = match &given {
        None if default.is_empty() => "—".to_owned(),
        None => ctx.t(&protocol::text!("By default: {default}", "默认：{default}")).to_owned(),
        Some(_) if is_expression => ctx.t(&words::EXPRESSION).to_owned(),
        Some(column) => column.clone(),
    };
    let mut chosen = given.clone();
    let combo = ComboBox::from_id_salt(&field.key).selected_text(shown).width(205.0).show_ui(ui, |ui| {
        ui.selectable_value(&mut chosen, None, ctx.t(&words::BY_DEFAULT));
        for column in columns {
            ui.selectable_value(&mut chosen, Some(column.clone()), column);
        }
        if ui.selectable_label(is_expression, ctx.t(&words::EXPRESSION)).clicked() && !is_expression {
            chosen = Some(expression_of(given.as_deref().or(columns.first().map(String::as_str))));
        }
    });
    combo.response.labelled_by(label.id);
    if is_expression && let Some(text) = &mut chosen {
        let edit = TextEdit::singleline(text).code_editor().desired_width(f32::INFINITY);
        ui.add(edit).labelled_by(label.id);
        // An expression that has lost its braces would be taken for a column's name.
        if !(text.contains("{{") || text.contains("{%")) {
            chosen.clone_from(&given);
        }
    } else {
        let name = given.as_deref().unwrap_or(default);
        ui.add(Label::new(value(ui, ctx, name, given.is_some(), row)).truncate());
    }
    match chosen {
        Some(chosen) => config.data.columns.insert(field.key.clone(), chosen),
        None => config.data.columns.remove(&field.key),
    };
}

/// What the row has in a column.
fn value(ui: &Ui, ctx: &PanelCtx<'_>, name: &str, chosen: bool, row: Option<&PreviewRow>) -> RichText {
    let tokens = ui.tokens();
    let Some(row) = row.filter(|row| !row.fields.is_empty()) else { return RichText::new("") };
    let found = row.fields.iter().find(|(column, _)| column == name).map(|(_, value)| value);
    match found {
        Some(value) => {
            let text: String = value.chars().take(SHOWN_CHARS).collect();
            RichText::new(text.replace(['\n', '\r', '\t'], " ")).small().color(tokens.text_weak)
        }
        None if chosen => RichText::new(ctx.t(&words::NOT_IN_ROW)).small().color(tokens.warning),
        None => RichText::new(""),
    }
}

/// A column as an expression.
fn expression_of(column: Option<&str>) -> String {
    match column {
        Some(name) if is_identifier(name) => format!("{{{{ {name} }}}}"),
        Some(name) => format!("{{{{ row[{}] }}}}", serde_json::Value::from(name)),
        None => "{{ row }}".to_owned(),
    }
}

fn is_identifier(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_alphabetic() || c == '_')
        && chars.all(|c| c.is_alphanumeric() || c == '_')
}

/// Names under which datasets have the parts, most telling first.
const NAMES: &[(&str, &[&str])] = &[
    (
        "prompt",
        &["prompt", "question", "query", "instruction", "input", "inputs", "source", "title", "问题", "提问"],
    ),
    ("query", &["context", "passage", "input"]),
    (
        "response",
        &[
            "response",
            "answer",
            "best answer",
            "output",
            "completion",
            "target",
            "targets",
            "summary",
            "回答",
            "答案",
        ],
    ),
    ("completion", &["completion", "text", "response", "answer", "output", "target", "body"]),
    ("instruction", &["instruction", "prompt", "question", "query", "问题"]),
    ("input", &["input", "context", "passage"]),
    ("output", &["output", "response", "answer", "completion", "target", "回答", "答案"]),
    ("system", &["system", "system_prompt", "系统"]),
    ("history", &["history", "conversation_history", "历史"]),
    ("messages", &["messages", "conversation", "conversations", "dialog", "dialogue"]),
    ("conversations", &["conversations", "conversation", "messages", "dialog"]),
    ("tools", &["tools", "functions"]),
    ("text", &["text", "content", "body", "document", "正文"]),
    ("input_ids", &["input_ids", "ids", "tokens"]),
    ("labels", &["labels", "label_ids"]),
];

/// The column that most likely plays a part.
fn guess<'a>(field: &str, columns: &'a [String]) -> Option<&'a str> {
    let (_, names) = NAMES.iter().find(|(part, _)| *part == field)?;
    let plain = |name: &str| name.trim().to_lowercase().replace(['-', '_'], " ");
    names
        .iter()
        .find_map(|name| columns.iter().find(|column| plain(column) == plain(name)))
        .map(String::as_str)
}

#[cfg(test)]
mod tests {
    use protocol::Text;

    use super::*;

    #[test]
    fn columns_are_guessed_by_their_names() {
        let columns = ["ID".to_owned(), "Question".into(), "Best Answer".into()];
        assert_eq!(guess("prompt", &columns), Some("Question"));
        assert_eq!(guess("response", &columns), Some("Best Answer"));
        assert_eq!(guess("system", &columns), None);
        assert_eq!(guess("nobody", &columns), None);
    }

    #[test]
    fn a_preset_sets_the_format_and_the_map_and_a_broken_one_nothing() {
        let preset = |source: &str| Preset {
            id: "x".into(),
            name: Text::fixed("", ""),
            help: Text::fixed("", ""),
            source: source.into(),
        };
        let mut config = RunConfig::default();
        apply_preset(&mut config, &preset("[data"));
        assert_eq!(config, RunConfig::default());
        let source = "[data]\nformat = \"completion\"\n[data.columns]\nprompt = \"# {{ title }}\"";
        apply_preset(&mut config, &preset(source));
        assert_eq!(config.data.format, "completion");
        assert_eq!(config.data.columns["prompt"], "# {{ title }}");
    }

    #[test]
    fn a_column_becomes_an_expression_whatever_its_name() {
        assert_eq!(expression_of(Some("title")), "{{ title }}");
        assert_eq!(expression_of(Some("Best \"Answer\"")), "{{ row[\"Best \\\"Answer\\\"\"] }}");
    }
}
