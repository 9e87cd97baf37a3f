//! What a model is asked of rows: an instruction with its answer, or only what is asked.

use std::ops::Range;

use protocol::Result;
use rayon::prelude::*;
use serde_json::Value;

use super::said::{Who, said};
use crate::dataset::Dataset;
use crate::deep::DeepPool;
use crate::record::{Encode, Example, IGNORE, Message, Record, Role};
use crate::sources::Row;

/// One question and its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    pub instruction: String,
    /// Further input, where the row has it apart, as alpaca's rows do; else empty.
    pub input: String,
    pub answer: String,
}

/// What is asked in a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// The user's turns, one a line; a text without roles as a whole.
    Text(String),
    /// Of a row of token ids, those without loss; all of them where there are none.
    Ids(Vec<u32>),
}

/// The tasks of rows (0-based). None where a row cannot be read, has no answer or several turns, or lies in a file of
/// validation rows.
///
/// # Errors
/// When the system gives no threads.
pub fn tasks(dataset: &Dataset, rows: Range<usize>) -> Result<Vec<Option<Task>>> {
    let of = |row: usize| {
        let (raw, record) = dataset.read(row).ok().filter(|_| !dataset.is_validation_file(row))?;
        task(&raw, &record)
    };
    DeepPool::new().map(|pool| pool.run(|| rows.into_par_iter().map(of).collect()))
}

/// The tasks of rows (0-based) as `encoder` makes tokens of them, and the same answers behind an empty question. None as for
/// [`tasks`], and where one of the two has no answer any more or cannot be made.
///
/// # Errors
/// As [`tasks`].
pub fn with_and_without(
    dataset: &Dataset,
    rows: Range<usize>,
    encoder: &dyn Encode,
) -> Result<Vec<Option<[Example; 2]>>> {
    let of = |row: usize| {
        let (raw, record) = dataset.read(row).ok().filter(|_| !dataset.is_validation_file(row))?;
        task(&raw, &record)?;
        let both = [record.clone(), unasked(record)?].map(|record| encoder.encode(&record).ok());
        let [Some(with), Some(without)] = both else { return None };
        (with.learned() > 0 && without.learned() > 0).then_some([with, without])
    };
    DeepPool::new().map(|pool| pool.run(|| rows.into_par_iter().map(of).collect()))
}

/// A task without its question, and without what else stands in front of it.
fn unasked(record: Record) -> Option<Record> {
    match record {
        Record::Conversation { messages, .. } => {
            let answer = messages.into_iter().rfind(|message| message.role == Role::Assistant)?;
            let nothing = Message { role: Role::User, content: String::new(), extra: serde_json::Map::new() };
            Some(Record::Conversation { messages: vec![nothing, answer], tools: None })
        }
        Record::Completion { completion, .. } => {
            Some(Record::Completion { prompt: String::new(), completion })
        }
        Record::Text(_) | Record::Tokens { .. } | Record::Dict(_) => None,
    }
}

/// What is asked in rows (0-based). None where a row cannot be read, asks nothing, or lies in a file of validation rows.
///
/// # Errors
/// As [`tasks`].
pub fn asked(dataset: &Dataset, rows: Range<usize>) -> Result<Vec<Option<Asked>>> {
    let of = |row: usize| {
        let record = dataset.record(row).ok().filter(|_| !dataset.is_validation_file(row))?;
        asked_in(&record)
    };
    DeepPool::new().map(|pool| pool.run(|| rows.into_par_iter().map(of).collect()))
}

fn task(raw: &Row, record: &Record) -> Option<Task> {
    let turns = said(record);
    let ([question, answer], true) = (turns.as_slice(), has_turns(record)) else { return None };
    if question.who != Who::Asks || answer.who != Who::Answers || answer.text.is_empty() {
        return None;
    }
    let field = |name: &str| raw.fields().and_then(|fields| fields.get(name)).and_then(Value::as_str);
    let apart = field("instruction").zip(field("input")).filter(|(_, input)| !input.is_empty());
    let (instruction, input) = match apart.filter(|_| field("output") == Some(&answer.text)) {
        Some((instruction, input)) => (instruction.to_owned(), input.to_owned()),
        None => (question.text.clone().into_owned(), String::new()),
    };
    Some(Task { instruction, input, answer: answer.text.clone().into_owned() })
}

fn has_turns(record: &Record) -> bool {
    matches!(record, Record::Conversation { .. } | Record::Completion { .. })
}

fn asked_in(record: &Record) -> Option<Asked> {
    if let Record::Tokens { input_ids, labels } = record {
        let without = input_ids.iter().zip(labels).filter(|(_, label)| **label == IGNORE);
        let question: Vec<u32> = without.map(|(id, _)| *id).collect();
        let ids = if question.is_empty() { input_ids.clone() } else { question };
        return (!ids.is_empty()).then_some(Asked::Ids(ids));
    }
    let turns = said(record);
    let asked = turns.iter().filter(|said| said.who != Who::Answers).map(|said| said.text.as_ref());
    let text = asked.collect::<Vec<_>>().join("\n");
    (!text.trim().is_empty()).then_some(Asked::Text(text))
}
