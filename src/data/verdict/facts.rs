//! What the verdict needs to know of one row.

use protocol::{Result, UserError};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::kept::Kept;
use crate::bee::{self, FIRST_EXTENSION};
use crate::dataset::Dataset;
use crate::pieces::windows;
use crate::record::{Example, Message, Record, Role, count_learned};

/// A row, read and encoded, reduced to what is counted.
pub struct Facts {
    /// Tokens before the cut.
    pub length: u64,
    /// Tokens after the cut.
    pub tokens: u64,
    /// Tokens that bear loss.
    pub learned: u64,
    pub cut: bool,
    /// Examples it is: those of its windows that have something to learn, where rows are split.
    pub pieces: u32,
    /// Tokens of the last of them; all others have the maximal length.
    pub last_piece: u32,
    /// The question, the answer was cut to its own maximal length.
    pub long_source: bool,
    pub long_target: bool,
    /// A `<` that was read as a character.
    pub escaped: Option<String>,
    pub empty_answer: bool,
    /// The last answer is followed by a learned end token (or there is no answer).
    pub stops: bool,
    /// A token id at or beyond the vocabulary's size.
    pub bad_id: Option<u32>,
    /// 128 bits of SHA-256 over the record.
    pub hash: u128,
    /// From an earlier check.
    pub known: bool,
}

impl Facts {
    /// # Errors
    /// When the row cannot be read or encoded.
    pub fn read(
        dataset: &Dataset,
        index: usize,
        vocab_size: Option<u64>,
        kept: &Kept,
    ) -> Result<Self, Box<UserError>> {
        let (row, record) = dataset.read(index)?;
        let known = if kept.is_empty() { None } else { kept.get(hash(&record)) };
        if let Some(facts) = known {
            return Ok(facts);
        }
        let example = dataset.encode(&row, &record)?;
        Ok(Self::of(dataset, &record, &example, vocab_size))
    }

    /// Of a row that was read.
    pub fn of(dataset: &Dataset, record: &Record, example: &Example, vocab_size: Option<u64>) -> Self {
        let max_length = dataset.policy().max_length;
        let length = example.truncated_from.unwrap_or(example.ids.len()) as u64;
        let (mut pieces, mut tokens, mut learned) = (1, example.ids.len() as u64, example.learned() as u64);
        let mut last_piece = example.ids.len();
        if dataset.splits() && length > max_length && !dataset.policy().join_texts {
            (pieces, tokens, learned) = (0, 0, 0);
            for window in windows(&example.labels, max_length) {
                (pieces, tokens) = (pieces + 1, tokens + window.len() as u64);
                last_piece = window.len();
                learned += count_learned(&example.labels[window]) as u64;
            }
        }
        Self {
            length,
            tokens,
            learned,
            pieces,
            last_piece: u32::try_from(last_piece).unwrap_or(u32::MAX),
            cut: example.truncated_from.is_some(),
            long_source: example.changes.source.is_some(),
            long_target: example.changes.target.is_some(),
            escaped: example.changes.escaped.clone(),
            empty_answer: has_empty_answer(record),
            stops: example.learns_to_stop,
            bad_id: bad_id(example, vocab_size),
            hash: hash(record),
            known: false,
        }
    }

    /// Windows of `max_length` that the row takes; 1 unless it is too long.
    pub fn windows(&self, max_length: u64) -> u64 {
        self.length.div_ceil(max_length.max(1)).max(1)
    }
}

fn bad_id(example: &Example, vocab_size: Option<u64>) -> Option<u32> {
    let size = vocab_size?;
    // Labels of extension tokens are no ids.
    let ids_end = if example.side.is_some() { FIRST_EXTENSION } else { i32::MAX };
    let labels = example.labels.iter().filter(|label| **label < ids_end);
    let labels = labels.filter_map(|label| u32::try_from(*label).ok());
    example.ids.iter().copied().chain(labels).find(|id| u64::from(*id) >= size)
}

fn has_empty_answer(record: &Record) -> bool {
    let says_nothing = |message: &Message| {
        message.role == Role::Assistant
            && message.content.trim().is_empty()
            && !message.extra.contains_key("tool_calls")
    };
    match record {
        Record::Conversation { messages, .. } => messages.iter().any(says_nothing),
        Record::Completion { completion, .. } => completion.trim().is_empty(),
        Record::Text(text) => text.trim().is_empty(),
        Record::Tokens { .. } => false,
        Record::Dict(data) => data.get(bee::ANSWER).is_none_or(says_nothing_below),
    }
}

/// Whether a value, or every value of a dict, is blank.
fn says_nothing_below(value: &Value) -> bool {
    match value {
        Value::Object(inner) => inner.values().all(says_nothing_below),
        other => other.as_str().is_none_or(|text| text.trim().is_empty()),
    }
}

/// Equal records have equal hashes; each part is led by its length, so that no two records run together.
fn hash(record: &Record) -> u128 {
    let mut hasher = Sha256::new();
    let mut part = |bytes: &[u8]| {
        hasher.update((bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    match record {
        Record::Conversation { messages, tools } => {
            part(b"conversation");
            for Message { role, content, extra } in messages {
                part(&[*role as u8]);
                part(content.as_bytes());
                if !extra.is_empty() {
                    part(serde_json::to_string(extra).unwrap_or_default().as_bytes());
                }
            }
            if let Some(tools) = tools {
                part(tools.to_string().as_bytes());
            }
        }
        Record::Completion { prompt, completion } => {
            part(b"completion");
            part(prompt.as_bytes());
            part(completion.as_bytes());
        }
        Record::Text(text) => {
            part(b"text");
            part(text.as_bytes());
        }
        Record::Tokens { input_ids, labels } => {
            part(b"tokens");
            part(&input_ids.iter().flat_map(|id| id.to_le_bytes()).collect::<Vec<_>>());
            part(&labels.iter().flat_map(|label| label.to_le_bytes()).collect::<Vec<_>>());
        }
        Record::Dict(data) => {
            part(b"dict");
            part(serde_json::to_string(data).unwrap_or_default().as_bytes());
        }
    }
    let mut first = [0; 16];
    first.copy_from_slice(&hasher.finalize()[..16]);
    u128::from_le_bytes(first)
}
