//! Answers that are written and held against those that a dataset's rows give.

use protocol::{ParamSpec, Result, Text};

use super::rows::{Rows, answer_param, mostly_chinese, row_params};
use crate::predict::Question;
use crate::suites::load::{Load, choice, length_param, param};
use crate::suites::{Ask, Item, Key, Loaded, Metric};

/// Settings of such a suite.
pub fn params(answer_after: &str, longest: i64) -> Vec<ParamSpec> {
    let mut params = row_params();
    params.extend([answer_param(answer_after), length_param(longest)]);
    params
}

/// By which words texts are compared.
pub fn words_param() -> ParamSpec {
    param(
        "words",
        Text::fixed("Words", "分词"),
        Text::fixed(
            "auto: Chinese where most answers hold Chinese characters",
            "auto：多数回答含有汉字时按中文处理",
        ),
        choice(&["auto", "chinese", "latin"]),
    )
}

/// Every row as a question that is answered in words.
///
/// # Errors
/// When a row is not a question with an answer.
pub fn load(load: &Load<'_>, suite: &'static str, metrics: &[Metric]) -> Result<Loaded> {
    let rows = Rows::open(load)?;
    let questions = rows.questions(load)?;
    let chinese = match load.text("words") {
        "chinese" => true,
        "latin" => false,
        _ => mostly_chinese(questions.iter().map(|(_, answer)| answer.as_str())),
    };
    let item = |(index, (question, text)): (usize, (Question, String))| {
        // Rows of plain text: the next question would follow in a new paragraph.
        let stop = match &question {
            Question::Text(_) => vec!["\n\n".to_owned()],
            _ => Vec::new(),
        };
        Item {
            id: format!("{suite}/{}", index + 1),
            subject: suite.into(),
            groups: Vec::new(),
            ask: Ask::Answer { question, stop, max_new_tokens: load.integer("max_new_tokens") },
            key: Key::Reference { text, chinese },
        }
    };
    let items = questions.into_iter().enumerate().map(item).collect();
    Ok(Loaded { items, metrics: metrics.into(), files: rows.files(), notes: Vec::new() })
}
