//! Which files a run's data are: an entry of `data.train` may be a file, a folder, or a pattern such as
//! `shards/*.jsonl`. Of a folder whose files are named after splits (`data/train-00000-of-00003.parquet`, as datasets
//! on the Hugging Face hub are laid out) the ones that fit are taken, and a note says so.

mod folder;
mod pattern;

pub(crate) use folder::{all as data_files, entries};

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use protocol::config::{DataConfig, Validation, nearest};
use protocol::{Result, Text, UserError, text};

/// Rows may be drawn this often in an epoch at most.
const MAX_WEIGHT: f64 = 100.0;

/// The files of a run.
#[derive(Debug, Default)]
pub struct Selection {
    pub train: Vec<Chosen>,
    pub validation: Vec<Chosen>,
    /// What was taken of folders and patterns, and what was left out.
    pub notes: Vec<Text>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Chosen {
    pub path: PathBuf,
    /// How often its rows are drawn in an epoch; 1 for files of validation rows.
    pub weight: f64,
}

/// What files are wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Train,
    Validation,
}

impl Selection {
    /// Paths are relative to `base`.
    ///
    /// # Errors
    /// When a folder or pattern has no data files, or `data.weights` names what is not in `data.train`.
    pub fn of(config: &DataConfig, base: &Path) -> Result<Self> {
        let mut selection = Self::default();
        let named = match &config.validation {
            Validation::Files(files) => files.as_slice(),
            Validation::Fraction(_) => &[],
        };
        let mut seen = HashSet::new();
        for entry in named {
            let files = selection.files(&base.join(entry), Purpose::Validation)?;
            let new = files.into_iter().filter(|path| seen.insert(identity(path)));
            selection.validation.extend(new.map(|path| Chosen { path, weight: 1.0 }));
        }
        let mut weights = Weights::new(&config.weights, base)?;
        let mut taken = HashSet::new();
        for entry in &config.train {
            let entry = base.join(entry);
            let files = selection.files(&entry, Purpose::Train)?;
            let found = files.len() > 1 || files.first() != Some(&entry);
            for path in files {
                let identity = identity(&path);
                // A file that is named for both is the user's word; one that was found is not.
                if found && seen.contains(&identity) {
                    selection.notes.push(is_validation(&path));
                } else if taken.insert(identity) {
                    let weight = weights.of(&path, &entry);
                    selection.train.push(Chosen { path, weight });
                } else {
                    selection.notes.push(is_taken(&path));
                }
            }
        }
        weights.all_used(config)?;
        Ok(selection)
    }

    /// The paths, to tell which are in use.
    pub fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        self.train.iter().chain(&self.validation).map(|chosen| &chosen.path)
    }

    fn files(&mut self, entry: &Path, purpose: Purpose) -> Result<Vec<PathBuf>> {
        if entry.is_dir() {
            let (files, note) = folder::files(entry, purpose)?;
            self.notes.push(note);
            Ok(files)
        } else if pattern::is_one(entry) && !entry.exists() {
            let files = pattern::files(entry)?;
            self.notes.push(matched(entry, files.len()));
            Ok(files)
        } else {
            Ok(vec![entry.to_path_buf()])
        }
    }
}

/// The files of texts that a path names.
///
/// # Errors
/// As [`Selection::of`].
pub(crate) fn files_of(entry: &Path) -> Result<Vec<PathBuf>> {
    Selection::default().files(entry, Purpose::Train)
}

/// The same file by another path is the same file.
fn identity(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_path_buf())
}

fn is_validation(path: &Path) -> Text {
    let path = path.display();
    text!("{path} is not trained on: it is in data.validation", "{path} 已列入 data.validation，不参与训练")
}

fn is_taken(path: &Path) -> Text {
    let path = path.display();
    text!(
        "{path} is named more than once and taken once; data.weights draws it more often",
        "{path} 被重复指定，只取一次；如需多次抽取，请使用 data.weights"
    )
}

fn matched(entry: &Path, count: usize) -> Text {
    let entry = entry.display();
    text!("{entry}: {count} files", "{entry}：{count} 个文件")
}

/// `data.weights`: by entry of `data.train` or by file.
struct Weights<'a> {
    given: BTreeMap<PathBuf, (&'a str, f64)>,
    used: HashSet<&'a str>,
}

impl<'a> Weights<'a> {
    fn new(weights: &'a BTreeMap<String, f64>, base: &Path) -> Result<Self> {
        for (key, weight) in weights {
            if !(*weight > 0.0 && *weight <= MAX_WEIGHT) {
                return Err(UserError::bad_input(text!(
                    "The rows of {key} cannot be drawn {weight} times",
                    "{key} 的行不能抽取 {weight} 次"
                ))
                .at_item("data.weights")
                .mend(text!(
                    "give a number above 0, up to {MAX_WEIGHT}; to leave a file out, take it from data.train",
                    "请给出大于 0 且不超过 {MAX_WEIGHT} 的数；如不使用该文件，请从 data.train 中移除"
                )));
            }
        }
        let given = weights.iter().map(|(key, weight)| (base.join(key), (key.as_str(), *weight)));
        Ok(Self { given: given.collect(), used: HashSet::new() })
    }

    /// A file's own weight, or that of the entry that it came with.
    fn of(&mut self, path: &Path, entry: &Path) -> f64 {
        let mut weight = 1.0;
        for name in [entry, path] {
            if let Some((key, given)) = self.given.get(name) {
                weight = *given;
                self.used.insert(key);
            }
        }
        weight
    }

    fn all_used(&self, config: &DataConfig) -> Result<()> {
        let mut keys = self.given.values().map(|(key, _)| *key);
        let Some(unknown) = keys.find(|key| !self.used.contains(key)) else { return Ok(()) };
        let entries: Vec<_> = config.train.iter().map(|path| path.to_string_lossy()).collect();
        let entries = || entries.iter().map(AsRef::as_ref);
        let mend = match nearest(unknown, entries()) {
            Some(near) => text!("did you mean {near}?", "是否指 {near}？"),
            None => {
                let all: Vec<_> = entries().collect();
                let all = all.join(", ");
                text!("write it as in data.train: {all}", "请按 data.train 中的写法填写：{all}")
            }
        };
        Err(UserError::bad_input(text!(
            "data.weights names {unknown}, which data.train does not have",
            "data.weights 中的 {unknown} 不在 data.train 中"
        ))
        .at_item("data.weights")
        .mend(mend))
    }
}
