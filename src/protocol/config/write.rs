//! Writing a run file: what differs from the defaults, and what nobody should have to guess.

use serde_json::Value as Json;
use toml::{Table, Value};

use crate::{Result, RunConfig, Text, UserError, text};

/// Written even where they are the defaults.
const ESSENTIAL: [(&str, &str); 3] = [("model", "path"), ("data", "train"), ("method", "kind")];

/// The text of a run file that [`parse_run_file`](super::parse_run_file) reads back to the same settings.
///
/// # Errors
/// When TOML has no word for a value: `null`, whole numbers above 2⁶³, paths that are not Unicode.
pub fn run_file_text(config: &RunConfig) -> Result<String> {
    let given = table(config)?;
    let defaults = table(&RunConfig::default())?;
    let mut sections = Vec::new();
    for (section, keys) in order(config)? {
        let (Some(Value::Table(given)), Some(Value::Table(usual))) =
            (given.get(&section), defaults.get(&section))
        else {
            continue;
        };
        let lines: String = keys
            .iter()
            .filter_map(|key| Some((key, given.get(key)?)))
            .filter(|(key, value)| {
                usual.get(key.as_str()) != Some(*value)
                    || ESSENTIAL.contains(&(section.as_str(), key.as_str()))
            })
            .map(|(key, value)| format!("{} = {value}\n", written_key(key)))
            .collect();
        if !lines.is_empty() {
            sections.push(format!("[{section}]\n{lines}"));
        }
    }
    Ok(sections.join("\n"))
}

fn table(config: &RunConfig) -> Result<Table> {
    let nulls = nulls(config);
    if !nulls.is_empty() {
        let what = Text::fixed(
            "A run file has no word for `null`, which these settings have",
            "运行文件无法表示 `null`，而以下设置含有它",
        );
        let mend = Text::fixed("remove them, or give them a value", "请删除它们，或给出具体的值");
        return Err(UserError::bad_input(what).at_item(nulls.join(", ")).details(nulls).mend(mend));
    }
    Table::try_from(config).map_err(|err| {
        UserError::bad_input(text!(
            "The settings cannot be written as a run file: {err}",
            "这些设置无法写成运行文件：{err}"
        ))
    })
}

/// Sections and their keys, in the order of the declarations.
fn order(config: &RunConfig) -> Result<Vec<(String, Vec<String>)>> {
    let json = serde_json::to_value(config)
        .map_err(|err| UserError::failure(Text::new(err.to_string(), err.to_string())))?;
    let Json::Object(sections) = json else { return Ok(Vec::new()) };
    let keys = |section: &Json| section.as_object().into_iter().flat_map(|it| it.keys().cloned()).collect();
    Ok(sections.iter().map(|(name, section)| (name.clone(), keys(section))).collect())
}

/// Dotted names of the free settings that are or hold `null`.
fn nulls(config: &RunConfig) -> Vec<String> {
    let mut found = Vec::new();
    let free = [
        ("model.overrides", &config.model.overrides),
        ("method", &config.method.params),
        ("train.optimizer_settings", &config.train.optimizer_settings),
        ("train.scheduler_settings", &config.train.scheduler_settings),
    ];
    for (prefix, map) in free {
        for (key, value) in map.iter().filter(|(_, value)| holds_null(value)) {
            found.push(format!("{prefix}.{key} = {value}"));
        }
    }
    found
}

fn holds_null(value: &Json) -> bool {
    match value {
        Json::Null => true,
        Json::Array(items) => items.iter().any(holds_null),
        Json::Object(map) => map.values().any(holds_null),
        _ => false,
    }
}

/// Quoted if it must be. JSON's escapes are TOML's, but for DEL, which JSON leaves as it is.
fn written_key(key: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !key.is_empty() && key.chars().all(bare) {
        return key.to_owned();
    }
    Json::from(key).to_string().replace('\u{7f}', "\\u007F")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::*;
    use crate::config::{LossScale, OnTooLong, TrainOn, Validation, parse_run_file};

    #[track_caller]
    fn comes_back(config: &RunConfig) -> String {
        let text = run_file_text(config).unwrap();
        let back = parse_run_file(&text, Path::new("run.toml")).unwrap_or_else(|err| panic!("{err}\n{text}"));
        assert_eq!(&back, config, "{text}");
        text
    }

    #[test]
    fn only_what_differs_is_written() {
        let mut config = RunConfig::default();
        config.model.path = "model".into();
        config.data.train = vec!["a.jsonl".into()];
        config.train.seed = 7;
        let text = comes_back(&config);
        let wanted = "[model]\npath = \"model\"\n\n[data]\ntrain = [\"a.jsonl\"]\n\n[method]\nkind = \"lora\"\n\n\
            [train]\nseed = 7\n";
        assert_eq!(text, wanted);
    }

    /// Texts that tempt a writer: quotes, escapes, line ends, Han, control characters, an empty one.
    const TEXTS: [&str; 12] = [
        "",
        "plain",
        "with \"quotes\" and 'these'",
        "'''",
        "\"\"\"",
        "back\\slash\\",
        "two\nlines\r\nand a\ttab",
        "{% for m in messages %}\n{{ m.content }}\n{% endfor %}",
        "中文 “引号”",
        "\u{0}\u{1}\u{1b}\u{7f}",
        "# no comment",
        "a = b\n[section]",
    ];

    #[test]
    fn every_text_comes_back() {
        for one in TEXTS {
            for other in TEXTS {
                let mut config = RunConfig::default();
                config.model.path = one.into();
                config.data.train = vec![one.into(), other.into()];
                config.data.template = other.into();
                config.data.columns = [(one.to_owned(), other.to_owned())].into();
                config.method.kind = other.into();
                config.method.init_from = one.into();
                config.method.params = [("rank", json!(4)), ("targets", json!([one, other]))]
                    .map(|(key, value)| (key.to_owned(), value))
                    .into_iter()
                    .collect();
                config.method.params.insert(format!("x{one}"), json!({ other: { "deep": [1, 2.5, true] } }));
                config.model.overrides.insert(other.into(), json!({"a": [{"b": one}], "c": -3}));
                config.train.samples = vec![other.into(), one.into()];
                comes_back(&config);
            }
        }
    }

    #[test]
    fn every_number_and_choice_comes_back() {
        let numbers = [0.0, -0.0, 1.0, 2e-4, 1e-300, 1.7976931348623157e308, 0.1 + 0.2, f64::INFINITY, -1e16];
        let counts = [0, 1, u64::from(u32::MAX), i64::MAX as u64];
        for (at, number) in numbers.into_iter().enumerate() {
            let count = counts[at % counts.len()];
            let mut config = RunConfig::default();
            config.data.validation = match at % 2 {
                0 => Validation::Fraction(number),
                _ => Validation::Files(vec!["v.jsonl".into(), "w.csv".into()]),
            };
            config.data.on_too_long =
                [OnTooLong::Drop, OnTooLong::Error, OnTooLong::Split, OnTooLong::Truncate][at % 4];
            config.data.train_on = [TrainOn::Everything, TrainOn::LastResponse, TrainOn::Responses][at % 3];
            config.data.max_length = count;
            config.data.packing = at % 2 == 0;
            config.data.weights = [("a/b c.jsonl".into(), number), ("数据.csv".into(), 0.5)].into();
            config.train.learning_rate = number;
            config.train.loss_scale = [LossScale::Dynamic, LossScale::Static(number)][at % 2];
            config.train.optimizer_settings.insert("momentum".into(), json!(count));
            config.train.scheduler_settings.insert("decay".into(), json!("linear"));
            config.train.betas = [number, 0.5];
            config.train.epochs = number;
            config.train.seed = count;
            config.train.shuffle = at % 2 == 1;
            config.train.group_by_length = at % 3 == 0;
            config.method.params.insert("alpha".into(), json!(count));
            comes_back(&config);
        }
        let mut config = RunConfig::default();
        config.train.eps = f64::NAN;
        let text = run_file_text(&config).unwrap();
        assert!(parse_run_file(&text, Path::new("run.toml")).unwrap().train.eps.is_nan(), "{text}");
    }

    #[test]
    fn what_toml_cannot_say_is_named() {
        let mut config = RunConfig::default();
        config.model.overrides.insert("rope_scaling".into(), json!({"a": [null]}));
        config.method.params.insert("rank".into(), Json::Null);
        let said = run_file_text(&config).unwrap_err().to_string();
        assert!(said.contains("model.overrides.rope_scaling") && said.contains("method.rank"), "{said}");
        let mut config = RunConfig::default();
        config.train.seed = u64::MAX;
        assert_eq!(run_file_text(&config).unwrap_err().exit_code(), 2);
    }
}
