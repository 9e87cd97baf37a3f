//! Reading a run file: every unknown key is named at once, with the nearest known one.

use std::path::Path;

use toml::{Table, Value};

use crate::{Result, RunConfig, Text, UserError, text};

/// Sections whose keys are free: their owner checks them.
const OPEN_SECTIONS: [&str; 6] = [
    "method",
    "model.overrides",
    "data.columns",
    "data.weights",
    "train.optimizer_settings",
    "train.scheduler_settings",
];
/// What a run file may say of itself: `name` and `help`, each with `en` and `zh`. Nothing follows from it.
const ABOUT: &str = "about";

/// Reads the text of a run file. `file` is named in errors only.
pub fn parse_run_file(source: &str, file: &Path) -> Result<RunConfig> {
    let table: Table = toml::from_str(source).map_err(|err| syntax_error(&err, source, file))?;
    let known = Table::try_from(RunConfig::default())
        .map_err(|err| UserError::failure(Text::new(err.to_string(), err.to_string())))?;
    let unknown = unknown_keys(&table, &known, "");
    if !unknown.is_empty() {
        let names = unknown.join(", ");
        return Err(UserError::bad_input(text!(
            "The run file has keys nobody knows",
            "运行文件中有无法识别的键"
        ))
        .details(unknown.iter().map(|key| describe_unknown(key, &known)))
        .at_item(names)
        .mend(Text::fixed("correct or remove them", "请更正或删除这些键"))
        .in_file(file));
    }
    toml::from_str(source).map_err(|err| syntax_error(&err, source, file))
}

/// Name and help that a run file or column map gives itself in `[about]`.
pub fn about(source: &str) -> Option<(Text, Text)> {
    let table: Table = toml::from_str(source).ok()?;
    let about = table.get(ABOUT)?;
    let text = |key: &str| {
        let word = |language: &str| about.get(key)?.get(language)?.as_str().map(str::to_owned);
        Some(Text::new(word("en")?, word("zh")?))
    };
    Some((text("name")?, text("help")?))
}

/// The candidate most like `word`, if one is near enough to be a slip of the finger.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(word, candidate), candidate))
        .filter(|(likeness, _)| *likeness > 0.7)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

fn syntax_error(err: &toml::de::Error, source: &str, file: &Path) -> UserError {
    let message = err.message().to_owned();
    let error =
        UserError::bad_input(text!("The run file cannot be read: {message}", "无法读取运行文件：{message}"))
            .in_file(file)
            .mend(Text::fixed("correct the file there", "请更正文件中的该处"));
    match err.span() {
        Some(span) => {
            let before = source.get(..span.start).unwrap_or(source);
            error.at_row(before.matches('\n').count() as u64 + 1)
        }
        None => error,
    }
}

/// Dotted names of keys in `table` that `known` lacks.
fn unknown_keys(table: &Table, known: &Table, prefix: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (key, value) in table {
        let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        match (known.get(key), value) {
            (None, Value::Table(_)) if path == ABOUT => {}
            (None, _) => found.push(path),
            (Some(Value::Table(inner)), Value::Table(given)) if !OPEN_SECTIONS.contains(&path.as_str()) => {
                found.extend(unknown_keys(given, inner, &path));
            }
            _ => {}
        }
    }
    found
}

fn describe_unknown(path: &str, known: &Table) -> String {
    let (section, key) = path.rsplit_once('.').unwrap_or(("", path));
    let mut table = known;
    for part in section.split('.').filter(|part| !part.is_empty()) {
        if let Some(Value::Table(inner)) = table.get(part) {
            table = inner;
        }
    }
    match nearest(key, table.keys().map(String::as_str)) {
        Some(near) => format!("`{path}`: did you mean `{near}`?"),
        None => {
            let all: Vec<_> = table.keys().map(String::as_str).collect();
            format!("`{path}`: known here are {}", all.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(source: &str) -> Result<RunConfig> {
        parse_run_file(source, Path::new("run.toml"))
    }

    #[test]
    fn an_empty_file_is_all_defaults() {
        assert_eq!(parse("").unwrap(), RunConfig::default());
    }

    #[test]
    fn method_settings_are_left_to_the_method() {
        let config = parse("[method]\nkind = \"lora\"\nrank = 4\ntargets = [\"q\"]").unwrap();
        assert_eq!(config.method.params["rank"], 4);
    }

    #[test]
    fn all_unknown_keys_are_named_with_the_nearest() {
        let err = parse("[train]\nlerning_rate = 1.0\n[data]\nmax_len = 3\n[modl]\npath = 'x'").unwrap_err();
        let said = err.to_string();
        for near in ["`learning_rate`", "`max_length`", "`model`"] {
            assert!(said.contains(near), "{said}");
        }
        assert_eq!(err.exit_code(), 2);
    }

    #[test]
    fn a_run_file_may_say_what_it_is() {
        let source = "[about]\nname = { en = \"A\", zh = \"甲\" }\nhelp = { en = \"b\", zh = \"乙\" }\n";
        assert_eq!(parse(source).unwrap(), RunConfig::default());
        assert_eq!(about(source), Some((Text::fixed("A", "甲"), Text::fixed("b", "乙"))));
        assert_eq!(about("[train]"), None);
    }

    #[test]
    fn a_wrong_type_names_its_line() {
        let err = parse("[train]\n\nbatch_size = \"four\"").unwrap_err();
        assert_eq!(err.place.row, Some(3));
    }

    #[test]
    fn a_loss_scale_is_a_word_or_a_number() {
        use crate::config::LossScale;
        let scale = |value: &str| Ok(parse(&format!("[train]\nloss_scale = {value}"))?.train.loss_scale);
        assert_eq!(scale("\"dynamic\"").unwrap(), LossScale::Dynamic);
        assert_eq!(scale("1024").unwrap(), LossScale::Static(1024.0));
        let wrong: UserError = scale("\"dynamc\"").unwrap_err();
        assert!(wrong.to_string().contains("\"dynamic\" or a number"), "{wrong}");
        assert!(scale("[1]").is_err());
    }

    #[test]
    fn settings_of_optimizer_and_schedule_are_left_to_them() {
        let source =
            "[train]\nscheduler_settings = { power = 2 }\n[train.optimizer_settings]\nmomentum = 0.8";
        let train = parse(source).unwrap().train;
        assert_eq!(
            (&train.scheduler_settings["power"], &train.optimizer_settings["momentum"]),
            (&2.into(), &0.8.into())
        );
        assert!(
            parse("[train]\noptimizer_setings = {}")
                .unwrap_err()
                .to_string()
                .contains("`optimizer_settings`")
        );
    }

    #[test]
    fn weights_are_numbers_by_path() {
        let weights = parse("[data.weights]\n\"a b.jsonl\" = 0.5\n\"c/d.csv\" = 2").unwrap().data.weights;
        assert_eq!((weights["a b.jsonl"], weights["c/d.csv"]), (0.5, 2.0));
        assert_eq!(parse("[data]\nweights = { \"a\" = \"two\" }").unwrap_err().place.row, Some(2));
    }

    #[test]
    fn validation_is_a_fraction_or_files() {
        use crate::config::Validation;
        assert_eq!(parse("[data]\nvalidation = 0.5").unwrap().data.validation, Validation::Fraction(0.5));
        assert_eq!(
            parse("[data]\nvalidation = [\"a.jsonl\"]").unwrap().data.validation,
            Validation::Files(vec!["a.jsonl".into()])
        );
    }
}
