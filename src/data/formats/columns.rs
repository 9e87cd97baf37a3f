//! Columns: a question in one column, its answer in another. The run file may name the columns or make
//! them of several by an expression; without that, well-known pairs of names are taken.

use protocol::{Result, Text, text};
use serde_json::{Map, Value};

use super::turns::{HISTORY, SYSTEM, TOOLS, conversation, history, message};
use super::writing::rounds;
use super::{Detection, Field, Format, FormatContext, Sample, Written};
use crate::record::{Record, Role};
use crate::sources::Row;

const PROMPT: Field = Field {
    key: "prompt",
    columns: &["prompt"],
    help: Text::fixed("What the user says: a column or an expression", "用户说的话：列名或表达式"),
};
const QUERY: Field = Field {
    key: "query",
    columns: &[],
    help: Text::fixed("Follows the prompt on a new line", "另起一行附在 prompt 之后"),
};
const RESPONSE: Field = Field {
    key: "response",
    columns: &["response"],
    help: Text::fixed("The answer to learn: a column or an expression", "要学习的回答：列名或表达式"),
};

pub static FORMAT: Format = Format {
    id: "columns",
    name: Text::fixed("Columns", "按列"),
    help: Text::fixed(
        "a prompt and a response column (or question/answer, input/output and the like), or a mapping in data.columns",
        "prompt 与 response 两列（或 question/answer、input/output 等），或在 data.columns 中映射",
    ),
    fields: &[PROMPT, QUERY, RESPONSE, HISTORY, SYSTEM, TOOLS],
    detect,
    read,
    write: Some(write),
    judged: None,
};

/// Names of the pair in common datasets, most telling first.
const PAIRS: &[(&str, &str)] = &[
    ("prompt", "response"),
    ("query", "response"),
    ("question", "response"),
    ("question", "answer"),
    ("question", "std_answer"),
    ("query", "answer"),
    ("prompt", "output"),
    ("prompt", "answer"),
    ("input", "output"),
    ("input", "target"),
    ("inputs", "targets"),
    ("source", "target"),
    ("content", "summary"),
    ("document", "summary"),
    ("article", "highlights"),
    ("Question", "Best Answer"),
    ("Question", "Answer"),
    ("问题", "回答"),
    ("问题", "答案"),
];

fn pair_of(fields: &Map<String, Value>) -> Option<(&'static str, &'static str)> {
    PAIRS
        .iter()
        .copied()
        .find(|(prompt, response)| fields.contains_key(*prompt) && fields.contains_key(*response))
}

fn detect(sample: &Sample) -> Option<Detection> {
    let (prompt, response) = sample.rows().iter().filter_map(Row::fields).find_map(pair_of)?;
    let en = format!("`{prompt}` (taken as the prompt) and `{response}` (as the response)");
    let zh = format!("`{prompt}`（作为提问）与 `{response}`（作为回答）");
    sample.detection(20, (&en, &zh), |row| pair_of(row).is_some())
}

fn read(row: &Row, context: &FormatContext) -> Result<Record> {
    let (prompt_column, response_column) = row.fields().and_then(pair_of).unwrap_or(("prompt", "response"));
    let mut prompt = value(row, context, &PROMPT, prompt_column)?;
    if let Some(query) = context.text(row, &QUERY)?.filter(|query| !query.is_empty()) {
        prompt.push('\n');
        prompt.push_str(&query);
    }
    let mut messages = history(row, context)?;
    messages.push(message(Role::User, prompt));
    messages.push(message(Role::Assistant, value(row, context, &RESPONSE, response_column)?));
    conversation(row, context, messages)
}

/// The mapped value, or that of the column which the pair names.
fn value(row: &Row, context: &FormatContext, field: &Field, column: &str) -> Result<String> {
    match context.text(row, field)? {
        Some(text) => Ok(text),
        None => match row.fields().and_then(|fields| fields.get(column)) {
            Some(Value::String(text)) => Ok(text.clone()),
            Some(value @ (Value::Number(_) | Value::Bool(_))) => Ok(value.to_string()),
            Some(Value::Null) => Err(row.error(text!("`{column}` is null", "`{column}` 为空值"))),
            _ => context.required(row, field),
        },
    }
}

fn write(record: &Record) -> Result<Written, Text> {
    let mut rounds = rounds(record)?;
    let mut fields = Map::new();
    fields.insert(PROMPT.key.into(), rounds.take_question().into());
    fields.insert(RESPONSE.key.into(), rounds.take_answer().into());
    Ok(rounds.written(fields))
}
