//! A dict whose answers are asked for.

use protocol::Result;
use serde_json::{Map, Value};

use super::BeeRow;
use super::dict::{ANSWER, check, text_pair};
use super::row::{AnswerPlace, Walk};
use crate::tokenizer::CpmBee;

/// The tokens of the question, and the places of its answers in the order in which they are given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BeePrompt {
    pub ids: Vec<u32>,
    /// All of it is context.
    pub row: BeeRow,
    /// As the model sees it.
    pub rendered: String,
    answers: Vec<AnswerPlace>,
    asked: Value,
}

/// The dict of a prompt that someone typed: its JSON, or `{"input": …, "<ans>": ""}`.
///
/// # Errors
/// When the JSON is no dict that CPM-Bee reads.
pub(crate) fn prompt_data(text: &str) -> Result<Map<String, Value>> {
    let parsed = text.trim_start().starts_with('{').then(|| serde_json::from_str(text));
    match parsed {
        Some(Ok(Value::Object(mut data))) => {
            data.entry(ANSWER).or_insert_with(|| String::new().into());
            check(data)
        }
        _ => Ok(text_pair(Some(text), "")),
    }
}

impl BeePrompt {
    /// # Errors
    /// When a text is not in the tokenizer's syntax.
    pub fn new(tokenizer: &CpmBee, data: &Map<String, Value>) -> Result<Self> {
        let mut walk = Walk::new(tokenizer, true);
        walk.dict(data)?;
        let asked = data.get(ANSWER).cloned().unwrap_or_default();
        let (example, row, answers) = walk.asked();
        Ok(Self { ids: example.ids, row, rendered: example.rendered, answers, asked })
    }

    /// The segment of each answer.
    pub fn segments(&self) -> Vec<u32> {
        self.answers.iter().map(|answer| answer.segment).collect()
    }

    /// The text of a generated token: of an extension token what it stands for in the question.
    pub fn text<'a>(&'a self, tokenizer: &'a CpmBee, id: u32, sub: u32) -> &'a str {
        let own = self.row.extension.iter().find(|token| (token.id, token.sub) == (id, sub));
        own.map_or_else(|| tokenizer.word(id).unwrap_or_default(), |token| &token.text)
    }

    /// What stands under `<ans>` when the answers are put into their places; those that were not given are
    /// null.
    pub fn fill(&self, texts: &[String]) -> Value {
        let mut filled = self.asked.clone();
        for (number, answer) in self.answers.iter().enumerate() {
            let place = answer.path.iter().try_fold(&mut filled, |value, key| value.get_mut(key));
            if let Some(place) = place {
                *place = texts.get(number).cloned().map_or(Value::Null, Value::String);
            }
        }
        filled
    }
}
