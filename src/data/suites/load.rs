//! What loaders get, and what several of them share.

use std::path::{Path, PathBuf};

use protocol::{ParamKind, ParamSpec, Result, Text, UserError, text};
use serde_json::{Map, Value};

use crate::progress::Progress;
use crate::select::entries;
use crate::sources::{self, RowSource};

/// A file of questions that is larger is none.
const LARGEST: u64 = 256 << 20;

/// Where questions are, and what is wished of them.
pub struct Load<'a> {
    pub path: &'a Path,
    /// Every setting of the suite, checked.
    pub settings: &'a Map<String, Value>,
    /// Items of each subject at most; 0: all.
    pub limit: u64,
    pub progress: &'a dyn Progress,
}

impl Load<'_> {
    pub(super) fn text(&self, key: &str) -> &str {
        self.settings.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    pub(super) fn integer(&self, key: &str) -> u64 {
        self.settings.get(key).and_then(Value::as_u64).unwrap_or_default()
    }

    pub(super) fn switch(&self, key: &str) -> bool {
        self.settings.get(key).and_then(Value::as_bool).unwrap_or_default()
    }

    /// Of so many items, how many are asked.
    pub(super) fn at_most(&self, items: usize) -> usize {
        if self.limit == 0 { items } else { items.min(usize::try_from(self.limit).unwrap_or(usize::MAX)) }
    }

    /// The file itself, or those of a folder with one of these endings, by their names.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn files(&self, endings: &[&str]) -> Result<Vec<PathBuf>> {
        if !self.path.is_dir() {
            return Ok(vec![self.path.to_path_buf()]);
        }
        let fits = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
            endings.iter().any(|ending| name.ends_with(ending))
        };
        let files: Vec<PathBuf> = entries(self.path)?.into_iter().filter(fits).collect();
        if files.is_empty() {
            let endings = endings.join(", ");
            return Err(no_layout(
                self.path,
                text!(
                    "There are no questions here: no file ends in {endings}",
                    "此处没有题目：没有以 {endings} 结尾的文件"
                ),
            ));
        }
        Ok(files)
    }

    /// The rows of a file.
    ///
    /// # Errors
    /// As [`sources::open`].
    pub(super) fn rows(&self, file: &Path) -> Result<Box<dyn RowSource>> {
        sources::open(file, self.progress)
    }
}

/// A small file as text, without a byte order mark.
///
/// # Errors
/// When it cannot be read, is too large or is not UTF-8.
pub(super) fn read(file: &Path) -> Result<String> {
    let reading = |err| UserError::io(Text::fixed("read the questions", "读取题目"), file, &err);
    let size = std::fs::metadata(file).map_err(reading)?.len();
    if size > LARGEST {
        return Err(UserError::bad_input(text!(
            "{size} bytes are too many for questions",
            "题目文件过大：{size} 字节"
        ))
        .in_file(file));
    }
    let text = String::from_utf8(std::fs::read(file).map_err(reading)?).map_err(|err| {
        let byte = err.utf8_error().valid_up_to();
        UserError::bad_input(text!("Not UTF-8 text at byte {byte}", "第 {byte} 字节处不是 UTF-8 文本"))
            .in_file(file)
            .mend(Text::fixed("save the file as UTF-8", "请将文件另存为 UTF-8 编码"))
    })?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// Rows of a CSV file with its header as the first of them.
///
/// # Errors
/// When it cannot be read. Names the row.
pub(super) fn read_csv(file: &Path) -> Result<Vec<Vec<String>>> {
    let text = read(file)?;
    let reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
    let row = |(index, row): (usize, csv::Result<csv::StringRecord>)| {
        row.map(|row| row.iter().map(str::to_owned).collect()).map_err(|err| {
            UserError::bad_input(text!("The row cannot be read: {err}", "无法读取该行：{err}"))
                .in_file(file)
                .at_row(index as u64 + 1)
        })
    };
    reader.into_records().enumerate().map(row).collect()
}

/// The data is not laid out as the suite's is.
pub(super) fn no_layout(path: &Path, what: Text) -> UserError {
    UserError::bad_input(what).in_file(path).at_item("--data")
}

/// A row lacks something.
pub(super) fn bad_row(file: &Path, row: usize, what: Text) -> UserError {
    UserError::bad_input(what).in_file(file).at_row(row as u64)
}

/// A setting.
pub(super) fn param(key: &str, name: Text, help: Text, kind: ParamKind) -> ParamSpec {
    ParamSpec { key: key.to_owned(), name, help, kind, advanced: false }
}

pub(super) fn integer(default: i64, min: i64, max: i64) -> ParamKind {
    ParamKind::Integer { default, min, max }
}

pub(super) fn choice(choices: &[&str]) -> ParamKind {
    let choices: Vec<String> = choices.iter().map(|choice| (*choice).to_owned()).collect();
    ParamKind::Choice { default: choices.first().cloned().unwrap_or_default(), choices }
}

pub(super) fn words(default: &str) -> ParamKind {
    ParamKind::Text { default: default.to_owned() }
}

/// Asks in the model's chat template instead of as plain text.
pub(super) fn chat_param() -> ParamSpec {
    param(
        "chat",
        Text::fixed("Chat", "对话"),
        Text::fixed(
            "Ask in the model's chat template, for models that were tuned to chat",
            "使用模型的对话模板提问，适用于经过对话微调的模型",
        ),
        ParamKind::Switch { default: false },
    )
}

/// Longest answer.
pub(super) fn length_param(default: i64) -> ParamSpec {
    param(
        "max_new_tokens",
        Text::fixed("Longest answer", "最长回答"),
        Text::fixed("Tokens of an answer at most", "每个回答最多的词元数"),
        integer(default, 1, 1 << 20),
    )
}
