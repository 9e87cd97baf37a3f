//! Settings that a method, an optimizer or a schedule declares: unknown keys, wrong types and ranges, all reported at
//! once.

use protocol::config::nearest;
use protocol::{ParamKind, ParamSpec, Result, Text, UserError, text};
use serde_json::{Map, Value};

/// Fills in defaults and checks what is given. `section` is the table of the run file that holds them.
///
/// # Errors
/// When a setting is unknown, of the wrong type or out of range.
pub fn resolve(section: &str, specs: &[ParamSpec], given: &Map<String, Value>) -> Result<Map<String, Value>> {
    let mut problems = Vec::new();
    for key in given.keys().filter(|key| specs.iter().all(|spec| spec.key != **key)) {
        problems.push(match nearest(key, specs.iter().map(|spec| spec.key.as_str())) {
            Some(near) => format!("`{section}.{key}` is not known: did you mean `{near}`?"),
            None if specs.is_empty() => format!("`{section}.{key}` is not known; there are no settings here"),
            None => {
                let known: Vec<_> = specs.iter().map(|spec| spec.key.as_str()).collect();
                format!("`{section}.{key}` is not known; known are {}", known.join(", "))
            }
        });
    }
    let mut settings = Map::new();
    for spec in specs {
        let value = given.get(&spec.key).cloned().unwrap_or_else(|| spec.kind.default_value());
        if let Some(problem) = problem_with(&spec.kind, &value) {
            problems.push(format!("`{section}.{}` is {value}, wanted {problem}", spec.key));
        }
        settings.insert(spec.key.clone(), value);
    }
    if problems.is_empty() {
        return Ok(settings);
    }
    Err(UserError::bad_input(text!(
        "The settings in `{section}` cannot be used",
        "`{section}` 中的设置无法使用"
    ))
    .details(problems)
    .at_item(section)
    .mend(Text::fixed("correct or remove them", "请更正或删除这些设置")))
}

/// What was wanted, if `value` is not it.
fn problem_with(kind: &ParamKind, value: &Value) -> Option<String> {
    let texts = |value: &Value| value.as_array().is_some_and(|list| list.iter().all(Value::is_string));
    match kind {
        ParamKind::Integer { min, max, .. } => {
            let good = value.as_i64().is_some_and(|number| (*min..=*max).contains(&number));
            (!good).then(|| format!("a whole number from {min} to {max}"))
        }
        ParamKind::Number { min, max, .. } => {
            let good = value.as_f64().is_some_and(|number| (*min..=*max).contains(&number));
            (!good).then(|| format!("a number from {min} to {max}"))
        }
        ParamKind::Switch { .. } => (!value.is_boolean()).then(|| "true or false".into()),
        ParamKind::Choice { choices, .. } => {
            let good = value.as_str().is_some_and(|word| choices.iter().any(|choice| choice == word));
            (!good).then(|| format!("one of {}", choices.join(", ")))
        }
        ParamKind::Text { .. } => (!value.is_string()).then(|| "a text".into()),
        ParamKind::Targets { .. } => {
            (!value.is_string() && !texts(value)).then(|| "a word or a list of roles, names or globs".into())
        }
        ParamKind::Patterns => {
            let good = value
                .as_object()
                .is_some_and(|map| map.values().all(|v| v.as_f64().is_some_and(|n| n > 0.0)));
            (!good).then(|| "a table of patterns with positive numbers".into())
        }
    }
}
