//! The arms of a comparison: one run file, and what each arm changes in it.

use std::path::{Path, PathBuf};

use engine::files::read_run_file;
use protocol::config::parse_run_file;
use protocol::{Result, Text, UserError, text};
use serde::Deserialize;
use toml::{Table, Value};

use crate::cli::flags::absolute;

/// A comparison's file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// The run that every arm begins with, relative to this file.
    run: PathBuf,
    arms: Vec<Given>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    name: String,
    /// Takes the place of the run's `[method]`: another method has other settings.
    method: Table,
    /// Change single keys of these sections.
    #[serde(default)]
    train: Table,
    #[serde(default)]
    model: Table,
    #[serde(default)]
    data: Table,
}

/// One run of a comparison.
pub struct Arm {
    pub name: String,
    /// Folder below the comparison's.
    pub folder: String,
    pub base: PathBuf,
    /// The whole run file.
    pub source: String,
}

/// Reads a comparison; every arm is checked before the first one runs.
///
/// # Errors
/// When a file cannot be read, an arm sets what nobody knows, or two arms have one name.
pub fn load(path: &Path) -> Result<Vec<Arm>> {
    let source = read_run_file(path)?;
    let file: File = toml::from_str(&source).map_err(|err| cannot_read(&err, path))?;
    let path = absolute(path)?;
    let run = path.parent().unwrap_or(Path::new("")).join(&file.run);
    let run_source = read_run_file(&run)?;
    parse_run_file(&run_source, &run)?;
    let table: Table = toml::from_str(&run_source).map_err(|err| cannot_read(&err, &run))?;
    let base = run.parent().map_or_else(PathBuf::new, Path::to_path_buf);
    let arm = |given: Given| arm(given, &table, &base).map_err(|err| err.in_file(&path));
    let arms: Vec<Arm> = file.arms.into_iter().map(arm).collect::<Result<_>>()?;
    refuse_twins(&arms).map_err(|err| err.in_file(&path))?;
    Ok(arms)
}

fn cannot_read(err: &toml::de::Error, file: &Path) -> UserError {
    let words = err.message();
    UserError::bad_input(text!("The comparison cannot be read: {words}", "无法读取对比文件：{words}"))
        .in_file(file)
        .mend(Text::fixed(
            "it holds `run = \"…\"` and [[arms]] with a name and a [arms.method]",
            "应包含 `run = \"…\"` 以及带名称和 [arms.method] 的 [[arms]]",
        ))
}

fn arm(given: Given, run: &Table, base: &Path) -> Result<Arm> {
    let mut table = run.clone();
    table.remove("about");
    table.insert("method".into(), Value::Table(given.method));
    for (section, changes) in [("train", given.train), ("model", given.model), ("data", given.data)] {
        let entry = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
        if let Value::Table(old) = entry {
            old.extend(changes);
        }
    }
    let name = given.name;
    let source = table.to_string();
    parse_run_file(&source, Path::new("")).map_err(|err| err.at_item(format!("arms, {name}")))?;
    let folder = name.chars().map(|it| if it.is_alphanumeric() { it.to_ascii_lowercase() } else { '-' });
    Ok(Arm { folder: folder.collect(), name, base: base.to_owned(), source })
}

fn refuse_twins(arms: &[Arm]) -> Result<()> {
    let twin = arms.iter().enumerate().find(|(at, arm)| arms[..*at].iter().any(|it| it.folder == arm.folder));
    let Some((_, Arm { name, .. })) = twin else { return Ok(()) };
    Err(UserError::bad_input(text!("Two arms are called `{name}`", "有两项同名：`{name}`"))
        .at_item("arms.name")
        .mend(Text::fixed("give each its own name", "请使用不同的名称")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loaded(arms: &str) -> Result<Vec<Arm>> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(
            dir.path().join("run.toml"),
            "[method]\nkind = \"lora\"\nrank = 4\n[train]\nseed = 7\n",
        )
        .unwrap();
        let file = dir.path().join("compare.toml");
        std::fs::write(&file, format!("run = \"run.toml\"\n{arms}")).unwrap();
        load(&file)
    }

    #[test]
    fn an_arm_changes_what_it_says_and_nothing_else() {
        let arms = loaded(
            "[[arms]]\nname = \"BitFit, fast\"\nmethod = { kind = \"bitfit\" }\ntrain = { learning_rate = 0.5 }\n",
        );
        let arms = arms.unwrap();
        assert_eq!(arms[0].folder, "bitfit--fast");
        let config = parse_run_file(&arms[0].source, Path::new("")).unwrap();
        assert_eq!(config.method.kind, "bitfit");
        assert!(config.method.params.is_empty(), "the rank belongs to LoRA");
        assert_eq!((config.train.seed, config.train.learning_rate), (7, 0.5));
    }

    #[test]
    fn mistakes_name_the_arm() {
        let error =
            loaded("[[arms]]\nname = \"A\"\nmethod = { kind = \"lora\" }\ntrain = { learnin_rate = 1.0 }\n");
        assert!(error.err().unwrap().to_string().contains("nobody knows"));
        assert!(loaded("[[arms]]\nname = \"A\"\n").is_err());
        let twins = "[[arms]]\nname = \"A b\"\nmethod = { kind = \"full\" }\n[[arms]]\nname = \"a-b\"\nmethod = { kind = \"full\" }\n";
        assert!(loaded(twins).err().unwrap().to_string().contains("a-b"));
    }
}
