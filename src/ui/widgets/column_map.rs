//! Which column of a file plays which part: a column by its name, or an expression over several.

use std::collections::BTreeMap;

use egui::{ComboBox, Label, RichText, TextEdit, Ui};
use protocol::{ParamKind, ParamSpec};

use super::hint;
use crate::panels::PanelCtx;
use crate::theme::UiTokens;
use crate::words::data as words;

/// Width of the parts' names.
const NAME_WIDTH: f32 = 104.0;
/// Widest menu of columns.
const MENU_WIDTH: f32 = 205.0;
/// With less room than this beside the menu, an expression stands below it.
const EXPRESSION_WIDTH: f32 = 160.0;
/// Characters of a value that are shown beside its column.
const SHOWN_CHARS: usize = 120;

/// The parts of a format, and what a file has for them.
pub struct ColumnMap<'a> {
    pub fields: &'a [ParamSpec],
    /// Names of the file's columns.
    pub columns: &'a [String],
    /// A row of the file: column and value. Empty: unknown.
    pub row: &'a [(String, String)],
}

impl ColumnMap<'_> {
    /// A line for each part; what is chosen goes into `map`.
    pub fn ui(&self, ui: &mut Ui, ctx: &PanelCtx<'_>, map: &mut BTreeMap<String, String>) {
        for field in self.fields {
            self.line(ui, ctx, map, field);
        }
        hint(ui, ctx.t(&words::EXPRESSION_HELP));
    }

    /// Takes for each part the column that most likely plays it.
    pub fn guess(&self, map: &mut BTreeMap<String, String>) {
        for field in self.fields {
            if let Some(column) = guess(&field.key, self.columns) {
                map.insert(field.key.clone(), column.to_owned());
            }
        }
    }

    /// One part: its column or expression, and what the row has there.
    fn line(&self, ui: &mut Ui, ctx: &PanelCtx<'_>, map: &mut BTreeMap<String, String>, field: &ParamSpec) {
        let given = map.get(&field.key).cloned();
        let default = match &field.kind {
            ParamKind::Text { default } => default.as_str(),
            _ => "",
        };
        let mut chosen = given.clone();
        let is_expression = given.as_deref().is_some_and(is_expression);
        let left = ui
            .horizontal(|ui| {
                let label = part_name(ui, &field.key, ctx.t(&field.help));
                self.menu(ui, ctx, field, default, &mut chosen).labelled_by(label.id);
                let room = ui.available_width() >= EXPRESSION_WIDTH;
                if !is_expression {
                    let name = given.as_deref().unwrap_or(default);
                    ui.add(Label::new(self.value(ui, ctx, name, given.is_some())).truncate());
                } else if room {
                    expression(ui, &mut chosen, &given, label.id);
                }
                (!room).then_some(label.id)
            })
            .inner;
        if let Some(label) = left.filter(|_| is_expression) {
            expression(ui, &mut chosen, &given, label);
        }
        match chosen {
            Some(chosen) => map.insert(field.key.clone(), chosen),
            None => map.remove(&field.key),
        };
    }

    fn menu(
        &self,
        ui: &mut Ui,
        ctx: &PanelCtx<'_>,
        field: &ParamSpec,
        default: &str,
        chosen: &mut Option<String>,
    ) -> egui::Response {
        let given = chosen.clone();
        let expression = given.as_deref().is_some_and(is_expression);
        let shown = match &given {
            None if default.is_empty() => "—".to_owned(),
            None => ctx.t(&protocol::text!("By default: {default}", "默认：{default}")).to_owned(),
            Some(_) if expression => ctx.t(&words::EXPRESSION).to_owned(),
            Some(column) => column.clone(),
        };
        let width = MENU_WIDTH.min(ui.available_width() - 8.0).max(60.0);
        let combo = ComboBox::from_id_salt(&field.key).selected_text(shown).width(width);
        let shown = combo.show_ui(ui, |ui| {
            ui.selectable_value(chosen, None, ctx.t(&words::BY_DEFAULT));
            for column in self.columns {
                ui.selectable_value(chosen, Some(column.clone()), column);
            }
            if ui.selectable_label(expression, ctx.t(&words::EXPRESSION)).clicked() && !expression {
                *chosen = Some(expression_of(given.as_deref().or(self.columns.first().map(String::as_str))));
            }
        });
        shown.response
    }

    /// What the row has in a column.
    fn value(&self, ui: &Ui, ctx: &PanelCtx<'_>, name: &str, chosen: bool) -> RichText {
        let tokens = ui.tokens();
        if self.row.is_empty() {
            return RichText::new("");
        }
        match self.row.iter().find(|(column, _)| column == name).map(|(_, value)| value) {
            Some(value) => {
                let text: String = value.chars().take(SHOWN_CHARS).collect();
                RichText::new(text.replace(['\n', '\r', '\t'], " ")).small().color(tokens.text_weak)
            }
            None if chosen => RichText::new(ctx.t(&words::NOT_IN_ROW)).small().color(tokens.warning),
            None => RichText::new(""),
        }
    }
}

fn part_name(ui: &mut Ui, name: &str, help: &str) -> egui::Response {
    let size = egui::vec2(NAME_WIDTH, ui.spacing().interact_size.y);
    let inner = ui.allocate_ui(size, |ui| {
        ui.set_min_width(NAME_WIDTH);
        let name = RichText::new(name).monospace().color(ui.tokens().text);
        ui.add(Label::new(name).truncate()).on_hover_text(help)
    });
    inner.inner
}

fn expression(ui: &mut Ui, chosen: &mut Option<String>, given: &Option<String>, label: egui::Id) {
    let Some(text) = chosen.as_mut().filter(|text| is_expression(text)) else { return };
    let edit = TextEdit::singleline(text).code_editor().desired_width(f32::INFINITY);
    ui.add(edit).labelled_by(label);
    // An expression that has lost its braces would be taken for a column's name.
    if !is_expression(text) {
        chosen.clone_from(given);
    }
}

/// Whether this is no column's name.
pub fn is_expression(text: &str) -> bool {
    text.contains("{{") || text.contains("{%")
}

/// A column as an expression.
pub fn expression_of(column: Option<&str>) -> String {
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
    fn a_column_becomes_an_expression_whatever_its_name() {
        assert_eq!(expression_of(Some("title")), "{{ title }}");
        assert_eq!(expression_of(Some("Best \"Answer\"")), "{{ row[\"Best \\\"Answer\\\"\"] }}");
    }
}
