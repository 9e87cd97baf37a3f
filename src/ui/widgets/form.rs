//! A form drawn from descriptors: a new setting in the engine needs no change in the window.
//!
//! What the file holds stays as it is until somebody changes it, even where it is not what the setting wants.

use egui::{Response, RichText, Ui};
use protocol::{ParamKind, ParamSpec};
use serde_json::{Map, Value};

use super::field::field;
use super::{button, icon_button, input, toggle};
use crate::panels::PanelCtx;
use crate::theme::UiTokens;
use crate::widgets::icon::Icon;
use crate::words::method as words;

/// Widest field of a text.
const TEXT_WIDTH: f32 = 180.0;

fn text_width(ui: &Ui) -> f32 {
    (ui.available_width() - 18.0).clamp(60.0, TEXT_WIDTH)
}

/// A widget for each setting; what is changed goes into `values`.
pub fn settings<'a>(
    ui: &mut Ui,
    ctx: &PanelCtx<'_>,
    specs: impl Iterator<Item = &'a ParamSpec>,
    values: &mut Map<String, Value>,
) {
    for spec in specs {
        let before = values.get(&spec.key).cloned().unwrap_or_else(|| spec.kind.default_value());
        let mut value = before.clone();
        one(ui, ctx, spec, &mut value);
        if value != before {
            values.insert(spec.key.clone(), value);
        }
    }
}

fn one(ui: &mut Ui, ctx: &PanelCtx<'_>, spec: &ParamSpec, value: &mut Value) {
    let (name, help) = (ctx.t(&spec.name), ctx.t(&spec.help));
    match &spec.kind {
        ParamKind::Switch { .. } if value.is_boolean() => {
            let mut on = value.as_bool().unwrap_or_default();
            toggle(ui, &mut on, name).on_hover_text(help);
            *value = on.into();
        }
        ParamKind::Patterns if value.is_object() => patterns(ui, ctx, spec, value),
        kind => {
            field(ui, name, help, |ui| {
                widget(ui, kind, &spec.key, value).unwrap_or_else(|| as_written(ui, ctx, spec, value))
            });
        }
    }
}

/// The widget of a kind; None where the value is of another kind.
fn widget(ui: &mut Ui, kind: &ParamKind, salt: &str, value: &mut Value) -> Option<Response> {
    Some(match kind {
        ParamKind::Integer { min, max, .. } => {
            let mut number = value.as_i64()?;
            let field = egui::DragValue::new(&mut number).range(*min..=*max).speed(0.1);
            let field = field.update_while_editing(false).clamp_existing_to_range(false);
            let response = ui.add(field.min_size(egui::vec2(84.0, 26.0)));
            *value = number.into();
            response
        }
        ParamKind::Number { min, max, .. } => {
            let mut number = value.as_f64()?;
            let response = input::real(ui, &mut number, *min..=*max);
            if value.as_f64() != Some(number) {
                *value = number.into();
            }
            response
        }
        ParamKind::Choice { choices, .. } => {
            let mut word = value.as_str()?.to_owned();
            let named = choices.iter().map(|choice| (choice.as_str(), choice.as_str(), ""));
            let response = input::choice(ui, salt, &mut word, named);
            *value = word.into();
            response
        }
        ParamKind::Text { .. } => {
            let mut text = value.as_str()?.to_owned();
            let response = input::text(ui, salt, &mut text, "", text_width(ui));
            *value = text.into();
            response
        }
        ParamKind::Targets { .. } => {
            let shown = words_of(value)?;
            let (response, typed) = input::draft(ui, salt, &shown, "", text_width(ui));
            if let Some(typed) = typed {
                *value = targets_of(&typed);
            }
            response
        }
        ParamKind::Switch { .. } | ParamKind::Patterns => return None,
    })
}

/// A value of a kind that the setting does not take: as written, with a way back to the default.
fn as_written(ui: &mut Ui, ctx: &PanelCtx<'_>, spec: &ParamSpec, value: &mut Value) -> Response {
    let inner = ui.horizontal(|ui| {
        let text = RichText::new(value.to_string()).monospace().color(ui.tokens().error);
        let label = ui.add(egui::Label::new(text).truncate());
        if icon_button(ui, Icon::Undo, ctx.t(&words::TO_DEFAULT)).clicked() {
            *value = spec.kind.default_value();
        }
        label
    });
    inner.inner
}

/// `q, v`, or the word that stands alone.
fn words_of(value: &Value) -> Option<String> {
    match value {
        Value::String(word) => Some(word.clone()),
        Value::Array(list) => {
            list.iter().map(Value::as_str).collect::<Option<Vec<_>>>().map(|words| words.join(", "))
        }
        _ => None,
    }
}

/// The reverse of [`words_of`]: one word alone for many is a text, others are a list.
pub fn targets_of(typed: &str) -> Value {
    let words: Vec<&str> =
        typed.split([',', '，', ' ']).map(str::trim).filter(|word| !word.is_empty()).collect();
    match words.as_slice() {
        [] => "".into(),
        [only @ ("auto" | "all-linear")] => (*only).into(),
        many => many.to_vec().into(),
    }
}

/// Pattern → number, a line each.
fn patterns(ui: &mut Ui, ctx: &PanelCtx<'_>, spec: &ParamSpec, value: &mut Value) {
    let name = ctx.t(&spec.name);
    ui.label(RichText::new(name).color(ui.tokens().text_weak)).on_hover_text(ctx.t(&spec.help));
    let Some(table) = value.as_object_mut() else { return };
    let mut removed = None;
    let mut renamed = None;
    for (index, (pattern, number)) in table.iter_mut().enumerate() {
        ui.horizontal(|ui| {
            let salt = format!("{}-{index}", spec.key);
            let width = (ui.available_width() - 146.0).max(60.0);
            let (response, typed) = input::committed(ui, &salt, pattern, width);
            response.widget_info(|| {
                egui::WidgetInfo::labeled(egui::Role::TextInput, true, format!("{name} {}", index + 1))
            });
            if let Some(typed) = typed {
                renamed = Some((pattern.clone(), typed));
            }
            if let Some(mut figure) = number.as_f64() {
                let label = format!("{name} · {pattern}");
                let response = input::real(ui, &mut figure, 1e-6..=1e6);
                input::name_number(ui, &response, &label, figure);
                if number.as_f64() != Some(figure) {
                    *number = number_of(figure);
                }
            }
            let remove = format!("{} {pattern}", ctx.t(&words::REMOVE));
            if icon_button(ui, Icon::Trash, &remove).clicked() {
                removed = Some(pattern.clone());
            }
        });
    }
    if let Some((old, new)) = renamed {
        rename(table, &old, new.trim());
    }
    if let Some(pattern) = removed {
        table.remove(&pattern);
    }
    let free = !table.contains_key("*");
    if free && button(ui, Some(Icon::Plus), ctx.t(&words::ADD_PATTERN)).clicked() {
        table.insert("*".into(), 8.into());
    }
}

/// Another pattern for a number, in its place; an empty one or one that is there already changes nothing.
fn rename(table: &mut Map<String, Value>, old: &str, new: &str) {
    if new.is_empty() || table.contains_key(new) {
        return;
    }
    let renamed = std::mem::take(table).into_iter();
    table.extend(renamed.map(|(key, value)| (if key == old { new.to_owned() } else { key }, value)));
}

/// Whole numbers are written without a point.
pub fn number_of(figure: f64) -> Value {
    if figure.fract() == 0.0 && figure.abs() < 1e15 { (figure as i64).into() } else { figure.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_renamed_once_and_never_over_another() {
        let mut table = serde_json::json!({"a": 1, "b": 2}).as_object().unwrap().clone();
        rename(&mut table, "a", "b");
        rename(&mut table, "a", "");
        assert_eq!(Value::Object(table.clone()), serde_json::json!({"a": 1, "b": 2}));
        rename(&mut table, "a", "c");
        assert_eq!(Value::Object(table), serde_json::json!({"c": 1, "b": 2}));
    }

    #[test]
    fn targets_are_a_word_or_a_list() {
        assert_eq!(targets_of("auto"), Value::from("auto"));
        assert_eq!(targets_of("q， v"), serde_json::json!(["q", "v"]));
        assert_eq!(targets_of("*.mlp.*"), serde_json::json!(["*.mlp.*"]));
        assert_eq!(targets_of(" "), Value::from(""));
        assert_eq!(words_of(&serde_json::json!(["q", 3])), None);
        assert_eq!((number_of(8.0), number_of(0.5)), (8.into(), 0.5.into()));
    }
}
