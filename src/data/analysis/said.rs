//! What is said in a row, whatever its format.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::bee;
use crate::record::{Record, Role};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    Asks,
    Answers,
    /// Plain text.
    Nobody,
}

/// A text and who says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said<'a> {
    pub who: Who,
    pub text: Cow<'a, str>,
}

/// The texts of a row, in order. System messages are left out: they are the same in many rows by design. Rows of token
/// ids have none.
pub fn said(record: &Record) -> Vec<Said<'_>> {
    let say = |who, text| Said { who, text: Cow::Borrowed(text) };
    match record {
        Record::Conversation { messages, .. } => {
            let spoken = messages.iter().filter(|message| message.role != Role::System);
            let who = |role| if role == Role::Assistant { Who::Answers } else { Who::Asks };
            spoken.map(|message| say(who(message.role), message.content.as_str())).collect()
        }
        Record::Completion { prompt, completion } => {
            vec![say(Who::Asks, prompt.as_str()), say(Who::Answers, completion.as_str())]
        }
        Record::Text(text) => vec![say(Who::Nobody, text.as_str())],
        Record::Tokens { .. } => Vec::new(),
        Record::Dict(data) => of_dict(data),
    }
}

fn of_dict(data: &Map<String, Value>) -> Vec<Said<'_>> {
    let mut said = Vec::new();
    for (key, value) in data {
        let who = if key == bee::ANSWER { Who::Answers } else { Who::Asks };
        each_text(value, &mut |text| said.push(Said { who, text: Cow::Borrowed(text) }));
    }
    said
}

/// Every text in a value, however deep.
pub fn each_text<'a>(value: &'a Value, take: &mut dyn FnMut(&'a str)) {
    match value {
        Value::String(text) => take(text),
        Value::Array(values) => values.iter().for_each(|value| each_text(value, take)),
        Value::Object(fields) => fields.values().for_each(|value| each_text(value, take)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
