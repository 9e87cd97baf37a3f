//! Alpaca: `instruction`, `input`, `output`, and optionally `history` and `system`.

use protocol::{Result, Text};
use serde_json::{Map, Value};

use super::turns::{HISTORY, SYSTEM, TOOLS, conversation, history, message};
use super::writing::rounds;
use super::{Detection, Field, Format, FormatContext, Sample, Written};
use crate::record::{Record, Role};
use crate::sources::Row;

const INSTRUCTION: Field = Field {
    key: "instruction",
    columns: &["instruction"],
    help: Text::fixed("What the user asks", "用户的要求"),
};
const INPUT: Field = Field {
    key: "input",
    columns: &["input", "context"],
    help: Text::fixed(
        "What the request is about; follows it on a new line",
        "要求所针对的内容，另起一行附在其后",
    ),
};
const OUTPUT: Field = Field {
    key: "output",
    columns: &["output", "response"],
    help: Text::fixed("The answer to learn", "要学习的回答"),
};

pub static FORMAT: Format = Format {
    id: "alpaca",
    name: Text::fixed("Alpaca", "Alpaca"),
    help: Text::fixed("instruction, input and output", "instruction、input 与 output 三个字段"),
    fields: &[INSTRUCTION, INPUT, OUTPUT, HISTORY, SYSTEM, TOOLS],
    detect,
    read,
    write: Some(write),
    judged: None,
};

fn detect(sample: &Sample) -> Option<Detection> {
    sample.detection(40, ("`instruction` and `output`", "`instruction` 与 `output`"), |row| {
        row.contains_key("instruction") && OUTPUT.columns.iter().any(|name| row.contains_key(*name))
    })
}

/// The user's text is instruction and input on lines of their own, as LLaMA-Factory joins them.
fn read(row: &Row, context: &FormatContext) -> Result<Record> {
    let mut request = context.required(row, &INSTRUCTION)?;
    if let Some(input) = context.text(row, &INPUT)?.filter(|input| !input.is_empty()) {
        if !request.is_empty() {
            request.push('\n');
        }
        request.push_str(&input);
    }
    let mut messages = history(row, context)?;
    messages.push(message(Role::User, request));
    messages.push(message(Role::Assistant, context.required(row, &OUTPUT)?));
    conversation(row, context, messages)
}

/// The whole request is the instruction: where it was parted is not known any more.
fn write(record: &Record) -> Result<Written, Text> {
    let mut rounds = rounds(record)?;
    let mut fields = Map::new();
    fields.insert(INSTRUCTION.key.into(), rounds.take_question().into());
    fields.insert(INPUT.key.into(), Value::String(String::new()));
    fields.insert(OUTPUT.key.into(), rounds.take_answer().into());
    Ok(rounds.written(fields))
}
