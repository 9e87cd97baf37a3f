//! What writing a record in another format takes: a record as messages, and messages as rounds of question and answer.

use std::borrow::Cow;
use std::collections::BTreeSet;

use protocol::{Text, text};
use serde_json::{Map, Value, json};

use super::turns::{HISTORY, SYSTEM, TOOL_CALLS, TOOLS, message};
use crate::bee;
use crate::record::{Message, Record, Role};

/// A row in another format, and what did not come along.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Written {
    pub fields: Map<String, Value>,
    pub notes: Vec<Text>,
}

impl Written {
    pub(super) fn of<const N: usize>(fields: [(&str, Value); N]) -> Self {
        let fields = fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        Self { fields, notes: Vec::new() }
    }
}

/// A record as a conversation.
pub(super) struct Spoken<'a> {
    pub messages: Cow<'a, [Message]>,
    pub tools: Option<Value>,
    notes: Vec<Text>,
}

/// # Errors
/// When there is no question in it, or no words.
pub(super) fn spoken(record: &Record) -> Result<Spoken<'_>, Text> {
    let said = |question: &str, answer: &str| {
        Cow::Owned(vec![message(Role::User, question), message(Role::Assistant, answer)])
    };
    let (messages, note) = match record {
        Record::Conversation { messages, tools } => {
            let messages = Cow::Borrowed(messages.as_slice());
            return Ok(Spoken { messages, tools: tools.clone(), notes: Vec::new() });
        }
        Record::Completion { prompt, completion } => {
            let note = Text::fixed(
                "Prompt and completion become a question and its answer: a chat template will stand around them",
                "prompt 与 completion 变为一问一答：训练时会套上对话模板",
            );
            (said(prompt, completion), note)
        }
        Record::Dict(data) => {
            let (question, answer) = bee::flat(data);
            let note = Text::fixed(
                "The keys of a dict other than `<ans>` become the question, a line each",
                "字典中 `<ans>` 之外的键变为问题，每键一行",
            );
            (said(&question, &answer), note)
        }
        Record::Text(_) => {
            return Err(Text::fixed("a plain text has no question and answer", "纯文本没有问题与回答"));
        }
        Record::Tokens { .. } => return Err(Text::fixed("tokens are no words", "词元不是文字")),
    };
    Ok(Spoken { messages, tools: None, notes: vec![note] })
}

impl Spoken<'_> {
    /// The system text where it may stand in a field of its own, and the messages without it.
    pub fn system(&self) -> (Option<&str>, &[Message]) {
        let later = |messages: &[Message]| messages.iter().any(|message| message.role == Role::System);
        match self.messages.split_first() {
            Some((first, rest))
                if first.role == Role::System
                    && first.extra.is_empty()
                    && !first.content.is_empty()
                    && !later(rest) =>
            {
                (Some(&first.content), rest)
            }
            _ => (None, &self.messages),
        }
    }

    pub fn written(self, fields: Map<String, Value>) -> Written {
        Written { fields, notes: self.notes }
    }
}

/// A conversation as a last question with its answer, and what was said before.
#[derive(Default)]
pub(super) struct Rounds {
    system: Option<String>,
    history: Vec<(String, String)>,
    question: String,
    answer: String,
    tools: Option<Value>,
    notes: Vec<Text>,
}

/// # Errors
/// When the conversation is not one of questions that are answered in turn.
pub(super) fn rounds(record: &Record) -> Result<Rounds, Text> {
    let spoken = spoken(record)?;
    let (system, messages) = spoken.system();
    let mut rounds = Rounds { system: system.map(str::to_owned), ..Rounds::default() };
    let mut lost = BTreeSet::new();
    let mut pairs = Vec::new();
    for (at, pair) in messages.chunks(2).enumerate() {
        let [question, answer] = pair else { return Err(unanswered()) };
        for (message, role, number) in
            [(question, Role::User, 2 * at + 1), (answer, Role::Assistant, 2 * at + 2)]
        {
            if message.role != role || message.extra.contains_key(TOOL_CALLS) {
                return Err(text!(
                    "message {number} is out of turn: questions and answers must alternate, without tools",
                    "第 {number} 条消息不合次序：问答必须交替，且不能含工具"
                ));
            }
            lost.extend(message.extra.keys().cloned());
        }
        pairs.push((question.content.clone(), answer.content.clone()));
    }
    (rounds.question, rounds.answer) = pairs.pop().ok_or_else(unanswered)?;
    rounds.history = pairs;
    rounds.notes = lost.into_iter().map(|key| left_behind(&key)).collect();
    rounds.notes.extend(spoken.notes);
    rounds.tools = spoken.tools;
    Ok(rounds)
}

impl Rounds {
    pub fn take_question(&mut self) -> String {
        std::mem::take(&mut self.question)
    }

    pub fn take_answer(&mut self) -> String {
        std::mem::take(&mut self.answer)
    }

    /// Whether there is more than a question and its answer.
    pub fn has_more_than_one(&self) -> bool {
        !self.history.is_empty() || self.system.is_some() || self.tools.is_some()
    }

    /// The fields, and those that further parts of the conversation take.
    pub fn written(self, mut fields: Map<String, Value>) -> Written {
        if !self.history.is_empty() {
            let pairs = self.history.into_iter().map(|(question, answer)| json!([question, answer]));
            fields.insert(HISTORY.key.into(), pairs.collect());
        }
        if let Some(system) = self.system {
            fields.insert(SYSTEM.key.into(), system.into());
        }
        if let Some(tools) = self.tools {
            fields.insert(TOOLS.key.into(), tools);
        }
        Written { fields, notes: self.notes }
    }
}

fn unanswered() -> Text {
    Text::fixed("the last message is no answer", "最后一条消息不是回答")
}

/// A key that the other format has no place for.
pub(super) fn left_behind(key: &str) -> Text {
    text!(
        "`{key}` of messages is not written: the format has no place for it",
        "消息中的 `{key}` 未写出：该格式没有对应的位置"
    )
}
