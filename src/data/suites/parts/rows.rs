//! Rows of any dataset as what is asked: files, format and columns as a run file says them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use protocol::{ParamSpec, Result, Text, UserError, text};
use serde_json::Value;

use crate::bee::ANSWER;
use crate::formats::{Choice, Format, FormatContext, choose};
use crate::predict::Question;
use crate::record::{Record, Role};
use crate::sources::RowSource;
use crate::suites::load::{Load, param, words};

/// Endings of files in a folder that are read.
const ENDINGS: [&str; 10] =
    [".jsonl", ".json", ".csv", ".tsv", ".parquet", ".txt", ".jsonl.gz", ".json.gz", ".csv.gz", ".jsonl.zst"];

/// Settings of suites that read rows.
pub fn row_params() -> Vec<ParamSpec> {
    vec![
        param(
            "format",
            Text::fixed("Format", "格式"),
            Text::fixed("As `data.format` of a run file", "同运行文件的 `data.format`"),
            words("auto"),
        ),
        param(
            "columns",
            Text::fixed("Columns", "列"),
            Text::fixed(
                "As `data.columns` of a run file, in JSON: {\"prompt\": \"question\"}",
                "同运行文件的 `data.columns`，写成 JSON：{\"prompt\": \"question\"}",
            ),
            words(""),
        ),
        param(
            "template",
            Text::fixed("Template", "模板"),
            Text::fixed("As `data.template` of a run file", "同运行文件的 `data.template`"),
            words("auto"),
        ),
    ]
}

/// Where an answer begins in a row of plain text.
pub fn answer_param(default: &str) -> ParamSpec {
    param(
        "answer_after",
        Text::fixed("Answer after", "回答标记"),
        Text::fixed(
            "In rows of plain text, the answer begins behind the last of these",
            "在纯文本行中，回答从最后一个此标记之后开始",
        ),
        words(default),
    )
}

/// The files of a dataset, open.
pub struct Rows(Vec<(PathBuf, Box<dyn RowSource>, &'static Format, FormatContext)>);

impl Rows {
    /// # Errors
    /// When a file cannot be opened or no format fits.
    pub fn open(load: &Load<'_>) -> Result<Self> {
        let columns = columns(load.text("columns"))?;
        let open = |file: PathBuf| {
            let source = load.rows(&file)?;
            let Choice { format, .. } = choose(load.text("format"), &columns, source.as_ref())?;
            let context = FormatContext::new(&columns, format)?;
            Ok((file, source, format, context))
        };
        load.files(&ENDINGS)?.into_iter().map(open).collect::<Result<_>>().map(Self)
    }

    pub fn files(&self) -> Vec<PathBuf> {
        self.0.iter().map(|(file, ..)| file.clone()).collect()
    }

    /// What each row says, with its number over all files (0-based), as many as are wished.
    ///
    /// # Errors
    /// When a row cannot be understood; names it.
    pub fn each(&self, load: &Load<'_>, take: &mut dyn FnMut(usize, Record) -> Result<()>) -> Result<()> {
        let all = self.0.iter().map(|(_, source, ..)| source.len()).sum();
        let most = load.at_most(all);
        let places = self.0.iter().flat_map(|part| (0..part.1.len()).map(move |row| (part, row)));
        for (index, ((_, source, format, context), row)) in places.take(most).enumerate() {
            let row = source.get(row)?;
            let record = (format.read)(&row, context).map_err(|err| row.place(err))?;
            take(index, record).map_err(|err| row.place(err))?;
            if load.progress.cancelled() {
                return Err(crate::progress::stopped());
            }
        }
        Ok(())
    }

    /// Questions with the answers that the rows give, as many as are wished.
    ///
    /// # Errors
    /// When a row is not a question with an answer; names it.
    pub fn questions(&self, load: &Load<'_>) -> Result<Vec<(Question, String)>> {
        let mut questions = Vec::new();
        let mark = load.text("answer_after");
        self.each(load, &mut |_, record| {
            let asked = asked(record, mark).ok_or_else(|| {
                UserError::bad_input(Text::fixed(
                    "The row is no question with its answer",
                    "该行不是带有回答的问题",
                ))
                .mend(Text::fixed(
                    "say which columns they are in: --set columns='{\"prompt\": …, \"response\": …}'",
                    "请指明它们所在的列：--set columns='{\"prompt\": …, \"response\": …}'",
                ))
            })?;
            questions.push(asked);
            Ok(())
        })?;
        Ok(questions)
    }
}

fn columns(setting: &str) -> Result<BTreeMap<String, String>> {
    if setting.trim().is_empty() {
        return Ok(BTreeMap::new());
    }
    serde_json::from_str(setting).map_err(|err| {
        UserError::bad_input(text!("`columns` cannot be read: {err}", "无法读取 `columns`：{err}"))
            .at_item("columns")
            .mend(Text::fixed(
                "write JSON: {\"prompt\": \"question\", \"response\": \"answer\"}",
                "请写成 JSON：{\"prompt\": \"question\", \"response\": \"answer\"}",
            ))
    })
}

/// A row's question and its answer: the last one of a conversation.
fn asked(record: Record, mark: &str) -> Option<(Question, String)> {
    match record {
        Record::Conversation { mut messages, tools } => {
            let answer = messages.pop().filter(|message| message.role == Role::Assistant)?;
            (!messages.is_empty()).then_some((Question::Chat { messages, tools }, answer.content))
        }
        Record::Completion { prompt, completion } => Some((Question::Text(prompt), completion)),
        Record::Text(text) => {
            let at = Some(mark).filter(|mark| !mark.is_empty()).and_then(|mark| text.rfind(mark))?;
            let (question, answer) = text.split_at(at + mark.len());
            Some((Question::Text(question.to_owned()), answer.trim().to_owned()))
        }
        Record::Dict(mut data) => {
            let answer = data.get(ANSWER)?.as_str()?.to_owned();
            data.insert(ANSWER.to_owned(), Value::String(String::new()));
            Some((Question::Dict(data), answer))
        }
        Record::Tokens { .. } => None,
    }
}

/// Whether most texts hold Chinese characters.
pub fn mostly_chinese<'t>(texts: impl Iterator<Item = &'t str>) -> bool {
    let is_chinese = |text: &str| text.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c));
    let (mut yes, mut all) = (0u64, 0u64);
    for text in texts {
        yes += u64::from(is_chinese(text));
        all += 1;
    }
    yes * 2 > all
}
