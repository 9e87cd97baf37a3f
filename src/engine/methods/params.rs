//! A method's settings: unknown keys, wrong types and ranges, all reported at once.

use protocol::config::nearest;
use protocol::{ParamKind, ParamSpec, Result, Text, UserError};
use serde_json::{Map, Value};

/// Fills in defaults and checks what is given.
pub fn resolve(specs: &[ParamSpec], given: &Map<String, Value>) -> Result<Map<String, Value>> {
    let mut problems = Vec::new();
    for key in given.keys().filter(|key| specs.iter().all(|spec| spec.key != **key)) {
        problems.push(match nearest(key, specs.iter().map(|spec| spec.key.as_str())) {
            Some(near) => format!("`method.{key}` is not known: did you mean `{near}`?"),
            None => {
                let known: Vec<_> = specs.iter().map(|spec| spec.key.as_str()).collect();
                format!("`method.{key}` is not known; this method has {}", known.join(", "))
            }
        });
    }
    let mut settings = Map::new();
    for spec in specs {
        let value = given.get(&spec.key).cloned().unwrap_or_else(|| spec.kind.default_value());
        if let Some(problem) = problem_with(&spec.kind, &value) {
            problems.push(format!("`method.{}` is {value}, wanted {problem}", spec.key));
        }
        settings.insert(spec.key.clone(), value);
    }
    if problems.is_empty() {
        return Ok(settings);
    }
    Err(UserError::bad_input(Text::fixed("The method's settings cannot be used", "方法的设置无法使用"))
        .details(problems)
        .at_item("method")
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
