//! The data files below a folder.

use std::path::{Path, PathBuf};

use protocol::{Result, Text, UserError, text};

use super::Purpose;
use crate::sources::{bee, is_data_name};

/// Folders within each other that are looked into.
pub(super) const MAX_DEPTH: usize = 8;
/// More files are surely another folder than was meant.
pub(super) const MAX_FILES: usize = 10_000;
/// Files that describe a dataset.
const ABOUT: [&str; 4] = ["dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json"];
const ABOUT_BEGINNINGS: [&str; 3] = ["readme", "license", "licence"];

/// Splits by the words that name them, as the Python package `datasets` has them.
const SPLITS: [(Split, &[&str]); 3] = [
    (Split::Train, &["train", "training"]),
    (Split::Validation, &["validation", "valid", "val", "dev"]),
    (Split::Test, &["test", "testing", "eval", "evaluation"]),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Split {
    Train,
    Validation,
    Test,
}

/// Files in the order of their names, and a word about which; of a CPM-Bee dataset those that it lists.
///
/// # Errors
/// When there are none, or far too many, or the folder cannot be read.
pub(super) fn files(folder: &Path, purpose: Purpose) -> Result<(Vec<PathBuf>, Text)> {
    let found = all(folder)?;
    if bee::is_listed(folder) {
        let note = note(folder, (found.len(), found.len()), None);
        return Ok((found, note));
    }
    let splits: Vec<_> =
        found.iter().map(|path| split_of(path.strip_prefix(folder).unwrap_or(path))).collect();
    let count = found.len();
    let wanted = wanted(purpose, &splits);
    let chosen = found.into_iter().zip(&splits).filter(|(_, split)| wanted.is_none() || **split == wanted);
    let chosen: Vec<_> = chosen.map(|(path, _)| path).collect();
    let note = note(folder, (chosen.len(), count), wanted);
    Ok((chosen, note))
}

/// All data files, in the order of their names.
///
/// # Errors
/// As [`files`].
pub fn all(folder: &Path) -> Result<Vec<PathBuf>> {
    if let Some(files) = bee::files(folder)? {
        return if files.is_empty() { Err(none(folder)) } else { Ok(files) };
    }
    let mut found = Vec::new();
    walk(folder, MAX_DEPTH, &mut |path| {
        if path.file_name().and_then(|name| name.to_str()).is_some_and(is_data) {
            found.push(path);
        }
        if found.len() > MAX_FILES { Err(too_many(folder)) } else { Ok(()) }
    })?;
    if found.is_empty() {
        return Err(none(folder));
    }
    Ok(found)
}

/// Which split is taken; none: all files.
fn wanted(purpose: Purpose, splits: &[Option<Split>]) -> Option<Split> {
    let order: &[Split] = match purpose {
        Purpose::Train => &[Split::Train],
        Purpose::Validation => &[Split::Validation, Split::Test],
    };
    order.iter().copied().find(|split| splits.contains(&Some(*split)))
}

/// The split that a file's name says, or a folder's on the way to it.
fn split_of(path: &Path) -> Option<Split> {
    path.iter().rev().find_map(|part| {
        let part = part.to_str()?.to_ascii_lowercase();
        let mut words = part.split(|c: char| !c.is_ascii_alphabetic());
        words.find_map(|word| SPLITS.iter().find(|(_, names)| names.contains(&word)).map(|(split, _)| *split))
    })
}

fn is_data(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    is_data_name(&name)
        && !ABOUT.contains(&name.as_str())
        && !ABOUT_BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
}

/// Hands all files below a folder to `take`, hidden ones left out, in the order of their names.
pub(super) fn walk(folder: &Path, depth: usize, take: &mut dyn FnMut(PathBuf) -> Result<()>) -> Result<()> {
    for path in entries(folder)? {
        if !path.is_dir() {
            take(path)?;
        } else if depth > 1 {
            walk(&path, depth - 1, take)?;
        }
    }
    Ok(())
}

/// What lies in a folder and is not hidden, by name.
pub fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let unreadable = |err: std::io::Error| {
        UserError::io(Text::fixed("look into the data folder", "读取数据文件夹"), folder, &err)
    };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let hidden = |name: &str| name.starts_with(['.', '_']);
        if path.file_name().and_then(|name| name.to_str()).is_some_and(|name| !hidden(name)) {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn note(folder: &Path, (taken, all): (usize, usize), split: Option<Split>) -> Text {
    let folder = folder.display();
    match split {
        Some(split) => {
            let name = match split {
                Split::Train => "train",
                Split::Validation => "validation",
                Split::Test => "test",
            };
            text!(
                "{folder}: {taken} of {all} data files, those whose names say {name}",
                "{folder}：共 {all} 个数据文件，取名称标明 {name} 的 {taken} 个"
            )
        }
        None => text!("{folder}: all {all} data files", "{folder}：全部 {all} 个数据文件"),
    }
}

fn none(folder: &Path) -> UserError {
    UserError::bad_input(Text::fixed("The folder has no data files", "文件夹中没有数据文件"))
        .mend(Text::fixed(
            "data files end in .jsonl, .json, .csv, .tsv, .txt or .parquet, and may be packed as .gz or .zst",
            "数据文件的扩展名为 .jsonl、.json、.csv、.tsv、.txt 或 .parquet，可用 .gz 或 .zst 压缩",
        ))
        .in_file(folder)
}

fn too_many(folder: &Path) -> UserError {
    UserError::bad_input(text!(
        "The folder has more than {MAX_FILES} data files",
        "文件夹中的数据文件超过 {MAX_FILES} 个"
    ))
    .mend(Text::fixed("name the folder that was meant", "请指定具体的文件夹"))
    .in_file(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_are_told_by_whole_words() {
        let split = |path: &str| split_of(Path::new(path));
        assert_eq!(split("data/train-00000-of-00003.parquet"), Some(Split::Train));
        assert_eq!(split("train_sft.jsonl"), Some(Split::Train));
        assert_eq!(split("val/part1.csv"), Some(Split::Validation));
        assert_eq!(split("train/dev.csv"), Some(Split::Validation));
        assert_eq!(split("Test2.json"), Some(Split::Test));
        assert_eq!(split("trained.json"), None);
        assert_eq!(split("latest/values.json"), None);
    }

    #[test]
    fn what_describes_a_dataset_is_none() {
        assert!(is_data("a.JSONL") && is_data("b.csv.gz") && is_data("c.parquet"));
        assert!(!is_data("README.md") && !is_data("dataset_infos.json") && !is_data("LICENSE.txt"));
        assert!(!is_data("model.safetensors") && !is_data("notes.md") && !is_data("x.gz"));
    }
}
