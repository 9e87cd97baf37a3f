//! Completion: `prompt` and `completion` as they are, without a chat template.

use protocol::{Result, Text};
use serde_json::{Map, Value};

use super::writing::rounds;
use super::{Detection, Field, Format, FormatContext, Sample, Written};
use crate::record::Record;
use crate::sources::Row;

const PROMPT: Field = Field {
    key: "prompt",
    columns: &["prompt"],
    help: Text::fixed("Text the model is given", "给模型的文本"),
};
const COMPLETION: Field = Field {
    key: "completion",
    columns: &["completion", "response"],
    help: Text::fixed("Text it learns to go on with", "要学习续写的文本"),
};

pub static FORMAT: Format = Format {
    id: "completion",
    name: Text::fixed("Completion", "续写"),
    help: Text::fixed(
        "prompt and completion, without a chat template",
        "prompt 与 completion，不使用对话模板",
    ),
    fields: &[PROMPT, COMPLETION],
    detect,
    read,
    write: Some(write),
    judged: None,
};

/// Ends of prompts that already carry a template of their own: a chat template around them would be a
/// second one.
const ANSWER_MARKS: &[&str] = &[
    "### Response:",
    "### Answer:",
    "### Assistant:",
    "\nAssistant:",
    "\nAnswer:",
    "\nA:",
    "[/INST]",
    "### 回答：",
    "<|assistant|>",
    "<|im_start|>assistant",
];

fn detect(sample: &Sample) -> Option<Detection> {
    let plain = sample.detection(30, ("`prompt` and `completion`", "`prompt` 与 `completion`"), |row| {
        is_text(row, "prompt") && is_text(row, "completion")
    });
    plain.or_else(|| {
        let en =
            "`response` and a `prompt` that already ends in the mark of an answer, such as \"### Response:\"";
        let zh = "`response`，且 `prompt` 已以回答标记（如 “### Response:”）结尾";
        sample.detection(30, (en, zh), |row| is_text(row, "response") && ends_in_mark(row))
    })
}

fn is_text(row: &Map<String, Value>, key: &str) -> bool {
    row.get(key).is_some_and(Value::is_string)
}

fn ends_in_mark(row: &Map<String, Value>) -> bool {
    let prompt = row.get("prompt").and_then(Value::as_str).unwrap_or_default().trim_end();
    ANSWER_MARKS.iter().any(|mark| prompt.ends_with(mark.trim_end()))
}

fn read(row: &Row, context: &FormatContext) -> Result<Record> {
    Ok(Record::Completion {
        prompt: context.prefixed(context.required(row, &PROMPT)?),
        completion: context.required(row, &COMPLETION)?,
    })
}

/// A question and its answer are written without the template that stood around them.
fn write(record: &Record) -> Result<Written, Text> {
    let (prompt, completion) = match record {
        Record::Completion { prompt, completion } => (prompt.clone(), completion.clone()),
        other => {
            let mut rounds = rounds(other)?;
            if rounds.has_more_than_one() {
                return Err(Text::fixed(
                    "several turns or a system text need a chat template, and a completion has none",
                    "多轮对话或系统设定需要对话模板，而续写格式没有模板",
                ));
            }
            (rounds.take_question(), rounds.take_answer())
        }
    };
    Ok(Written::of([(PROMPT.key, prompt.into()), (COMPLETION.key, completion.into())]))
}
