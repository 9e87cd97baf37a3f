//! Whether questions of an evaluation set stand in the training rows.
//!
//! As for GPT-3 (Brown et al. 2020, appendix C): a row and a question are told where they share 13 units in a row, a unit
//! being a word without case and punctuation, or a Chinese character. Questions shorter than that but of at least 8 units
//! (the least N there) count where the row has them whole. Units that follow each other in more than ten questions of a file are its
//! wording, not a question, and do not count.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use protocol::{Result, Text, UserError, text};

use super::frequent::on_a_line;
use super::said::{Said, each_text};
use super::units::{Unit, grams, units};
use crate::progress::{Progress, check_cancelled};
use crate::select::data_files;
use crate::sources::{self, RowValue};

/// Units that a row and a question share.
const GRAM: usize = 13;
/// Units of the shortest question that is looked for.
const LEAST: usize = 8;
/// Questions of a file in which a gram may stand.
const WORDING: u32 = 10;
/// Grams that are looked for, all in all.
const MOST_GRAMS: usize = 50 << 20;

/// The questions of evaluation sets, found by what they say.
#[derive(Default)]
pub struct Questions {
    items: Vec<Item>,
    /// Which items a gram is of: an index into `lists`.
    grams: HashMap<u64, u32>,
    lists: Vec<Vec<u32>>,
    /// Units of the grams that are looked for.
    lengths: BTreeSet<usize>,
    /// Questions too short to be looked for.
    pub short: u64,
    /// What was left out, and why.
    pub notes: Vec<Text>,
}

struct Item {
    file: Arc<Path>,
    /// 1-based.
    row: u64,
    text: String,
    /// Its grams that count.
    grams: u32,
}

/// The question that a row shares most with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shared {
    pub item: u32,
    /// Share of the question's grams that the row has.
    pub share: f64,
}

impl Questions {
    /// Reads files, and the data files in folders.
    ///
    /// # Errors
    /// When a file that was named cannot be read, a folder has none that can, or there are too many questions.
    pub fn read(paths: &[PathBuf], progress: &dyn Progress) -> Result<Self> {
        let mut questions = Self::default();
        let stage = Text::fixed("reading the evaluation sets", "读取评测集");
        for path in paths {
            if path.is_dir() {
                let files = data_files(path)?;
                let before = questions.items.len() as u64 + questions.short;
                for (done, file) in files.iter().enumerate() {
                    check_cancelled(progress)?;
                    progress.report(&stage, done as u64, files.len() as u64);
                    if let Err(err) = questions.add_file(file, progress) {
                        let (file, Text { en, zh }) = (file.display(), err.what);
                        questions
                            .notes
                            .push(text!("{file} was not compared: {en}", "未与 {file} 比较：{zh}"));
                    }
                }
                if questions.items.len() as u64 + questions.short == before {
                    return Err(nothing_in(path));
                }
            } else {
                questions.add_file(path, progress)?;
            }
        }
        Ok(questions)
    }

    /// Where a question comes from, and how it begins.
    pub fn place(&self, item: u32) -> Option<(&Arc<Path>, u64, &str)> {
        self.items.get(item as usize).map(|item| (&item.file, item.row, item.text.as_str()))
    }

    /// The question that a row has most of; of several the first.
    pub fn shared_with(&self, said: &[Said<'_>]) -> Option<Shared> {
        let mut hits: HashMap<u32, HashSet<u64>> = HashMap::new();
        for said in said {
            let units = units(&said.text);
            for n in &self.lengths {
                for gram in grams(&units, *n) {
                    let items =
                        self.grams.get(&(gram ^ *n as u64)).and_then(|list| self.lists.get(*list as usize));
                    for item in items.into_iter().flatten() {
                        hits.entry(*item).or_default().insert(gram);
                    }
                }
            }
        }
        let share = |(item, grams): (u32, HashSet<u64>)| {
            let of = self.items.get(item as usize).map_or(1, |item| item.grams.max(1));
            Shared { item, share: (grams.len() as f64 / f64::from(of)).min(1.0) }
        };
        hits.into_iter().map(share).max_by(|a, b| a.share.total_cmp(&b.share).then(b.item.cmp(&a.item)))
    }

    fn add_file(&mut self, path: &Path, progress: &dyn Progress) -> Result<()> {
        let mut found: Vec<(u64, Vec<String>)> = Vec::new();
        if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv")) {
            found = records(path)?;
        } else {
            let source = sources::open(path, progress)?;
            for index in 0..source.len() {
                let mut texts = Vec::new();
                match source.get(index)?.value {
                    RowValue::Text(text) => texts.push(text),
                    RowValue::Object(fields) => {
                        fields
                            .values()
                            .for_each(|value| each_text(value, &mut |text| texts.push(text.to_owned())));
                    }
                }
                found.push((index as u64 + 1, texts));
            }
        }
        self.add_items(path, &found)
    }

    fn add_items(&mut self, path: &Path, found: &[(u64, Vec<String>)]) -> Result<()> {
        let file: Arc<Path> = path.into();
        let grams: Vec<Vec<u64>> =
            found.iter().map(|(_, texts)| grams_of(texts, &mut self.lengths)).collect();
        let mut times: HashMap<u64, u32> = HashMap::new();
        grams.iter().flatten().for_each(|gram| *times.entry(*gram).or_default() += 1);
        for ((row, texts), grams) in found.iter().zip(grams) {
            let counted: Vec<u64> = grams
                .into_iter()
                .filter(|gram| times.get(gram).is_some_and(|times| *times <= WORDING))
                .collect();
            if counted.is_empty() {
                self.short += 1;
                continue;
            }
            let longest = texts.iter().max_by_key(|text| text.len()).map_or("", String::as_str);
            let number = self.items.len() as u32;
            let text = on_a_line(longest);
            self.items.push(Item { file: file.clone(), row: *row, text, grams: counted.len() as u32 });
            for gram in counted {
                let list = *self.grams.entry(gram).or_insert_with(|| {
                    self.lists.push(Vec::new());
                    self.lists.len() as u32 - 1
                });
                self.lists[list as usize].push(number);
            }
        }
        if self.grams.len() > MOST_GRAMS {
            return Err(UserError::bad_input(Text::fixed(
                "The evaluation sets have too much text to be compared at once",
                "评测集文本过多，无法一次比较",
            ))
            .mend(Text::fixed("name fewer files", "请减少文件")));
        }
        Ok(())
    }
}

/// What a question is found by: all grams of its texts, or where none is that long, its longest text as a whole. The
/// number of units goes into the hash.
fn grams_of(texts: &[String], lengths: &mut BTreeSet<usize>) -> Vec<u64> {
    let units: Vec<Vec<Unit>> = texts.iter().map(|text| units(text)).collect();
    let mut all: Vec<u64> =
        units.iter().flat_map(|units| grams(units, GRAM)).map(|gram| gram ^ GRAM as u64).collect();
    let longest = units.iter().max_by_key(|units| units.len()).map_or(&[][..], Vec::as_slice);
    if all.is_empty() && longest.len() >= LEAST {
        all.extend(grams(longest, longest.len()).map(|gram| gram ^ longest.len() as u64));
    }
    if !all.is_empty() {
        lengths.insert(longest.len().min(GRAM));
    }
    all.sort_unstable();
    all.dedup();
    all
}

/// The records of a table, whether its first line names columns (as C-Eval's does) or not (as MMLU's).
fn records(path: &Path) -> Result<Vec<(u64, Vec<String>)>> {
    let unreadable = |err: csv::Error| {
        UserError::bad_input(text!("The table cannot be read: {err}", "无法读取该表格：{err}")).in_file(path)
    };
    let mut reader =
        csv::ReaderBuilder::new().has_headers(false).flexible(true).from_path(path).map_err(unreadable)?;
    let mut found = Vec::new();
    let mut first = 1;
    for (index, record) in reader.byte_records().enumerate() {
        let record = record.map_err(unreadable)?;
        let texts: Vec<String> =
            record.iter().map(|field| String::from_utf8_lossy(field).into_owned()).collect();
        if index == 0 && names_columns(&texts) {
            first = 0;
            continue;
        }
        found.push((index as u64 + first, texts));
    }
    Ok(found)
}

/// Names are short, and no number is one.
fn names_columns(fields: &[String]) -> bool {
    let may_name = |field: &String| {
        let field = field.trim_start_matches('\u{feff}').trim();
        field.parse::<f64>().is_err() && units(field).len() <= 4
    };
    fields.iter().all(may_name)
}

fn nothing_in(folder: &Path) -> UserError {
    UserError::bad_input(Text::fixed("There are no questions in this folder", "该文件夹中没有题目"))
        .in_file(folder)
        .mend(Text::fixed(
            "name a folder with csv, json, jsonl or parquet files",
            "请指定含有 csv、json、jsonl 或 parquet 文件的文件夹",
        ))
}
