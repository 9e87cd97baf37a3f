//! What preference pairs and feedback share: a prompt in any of the shapes such files have, and answers that are a
//! text, a turn, or a whole conversation.

use protocol::{Result, Text, text};
use serde_json::Value;

use super::turns::{conversation, history, message};
use super::{Field, FormatContext, messages, sharegpt};
use crate::record::{Message, Record, Role};
use crate::sources::{Row, kind_of};

pub const PROMPT: Field = Field {
    key: "prompt",
    columns: &["instruction", "prompt", "question", "conversations", "messages"],
    help: Text::fixed(
        "What is asked: a text, or the turns before the answer",
        "提问：文本，或回答之前的各轮",
    ),
};
pub const INPUT: Field = Field {
    key: "input",
    columns: &["input"],
    help: Text::fixed("Follows the prompt on a new line", "另起一行附在提问之后"),
};

/// What was said before the answer.
///
/// # Errors
/// When a turn cannot be read.
pub fn asked(row: &Row, context: &FormatContext) -> Result<Vec<Message>> {
    let mut before = history(row, context)?;
    let asked = match context.value(row, &PROMPT)? {
        None => Vec::new(),
        Some(value) => said(row, value, Role::User)?,
    };
    before.extend(asked);
    if let Some(last) = before.last_mut().filter(|last| last.role == Role::User)
        && let Some(input) = context.text(row, &INPUT)?.filter(|input| !input.is_empty())
    {
        last.content.push('\n');
        last.content.push_str(&input);
    }
    Ok(before)
}

/// The messages that a value holds: a text is said by `role`.
///
/// # Errors
/// When it is nothing that anyone says.
pub fn said(row: &Row, value: Value, role: Role) -> Result<Vec<Message>> {
    let turn = |(index, turn): (usize, Value)| match turn {
        Value::Object(turn) if turn.contains_key("from") => sharegpt::read_turn(row, turn, index),
        Value::Object(turn) => messages::read_message(row, turn, index + 1),
        other => Err(odd(row, &other)),
    };
    match value {
        Value::String(text) => Ok(vec![message(role, text)]),
        Value::Array(turns) => turns.into_iter().enumerate().map(turn).collect(),
        one @ Value::Object(_) => Ok(vec![turn((0, one))?]),
        other => Err(odd(row, &other)),
    }
}

/// The conversation that ends with an answer. An answer that is a whole conversation brings its own questions.
///
/// # Errors
/// When there is no message.
pub fn answered(
    row: &Row,
    context: &FormatContext,
    asked: &[Message],
    answer: Vec<Message>,
) -> Result<Record> {
    let whole = answer.first().is_some_and(|first| first.role != Role::Assistant);
    let messages = if whole { answer } else { asked.iter().cloned().chain(answer).collect() };
    conversation(row, context, messages)
}

fn odd(row: &Row, value: &Value) -> protocol::UserError {
    let kind = kind_of(value);
    row.error(text!(
        "A turn must be text or an object, and is {kind}",
        "对话轮次应为文本或对象，实际为 {kind}"
    ))
}
