//! What a row of a dataset becomes, step by step: a [`Record`] (who says what), then an [`Example`]
//! (token ids and which of them bear loss).

use protocol::{Result, TokenRole};
use serde_json::{Map, Value};

use crate::bee::BeeRow;

/// The label of a token that bears no loss, as in Hugging Face's trainers.
pub const IGNORE: i32 = -100;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    System,
    User,
    Assistant,
    Tool,
}

/// One turn of a conversation.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    pub role: Role,
    pub content: String,
    /// Further keys that a template may look at (`name`, `tool_calls`, …), kept as they came.
    pub extra: Map<String, Value>,
}

/// A row, understood. Formats make these; the encoder turns them into tokens.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// Rendered with the chat template. `tools` is handed to the template.
    Conversation { messages: Vec<Message>, tools: Option<Value> },
    /// No template: the prompt as it is, then the completion and an end token.
    Completion { prompt: String, completion: String },
    /// Every token bears loss; an end token follows.
    Text(String),
    /// Already tokenised; `labels` are not shifted, [`IGNORE`] marks tokens without loss.
    Tokens { input_ids: Vec<u32>, labels: Vec<i32> },
    /// CPM-Bee's: texts and dicts by key, what is to be answered under `<ans>`.
    Dict(Map<String, Value>),
}

/// Token ids and labels of one row, cut to the maximal length. All lists have one entry a token.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Example {
    pub ids: Vec<u32>,
    /// Not shifted: `labels[t]` is what the model should predict at position `t - 1`, or [`IGNORE`].
    pub labels: Vec<i32>,
    pub roles: Vec<TokenRole>,
    /// Byte range of each token in `rendered`.
    pub offsets: Vec<(usize, usize)>,
    /// The text the ids come from; empty for [`Record::Tokens`].
    pub rendered: String,
    /// Length before the cut, if it was cut.
    pub truncated_from: Option<usize>,
    /// Whether the last answer ends with a learned end token (true where there is no answer).
    pub learns_to_stop: bool,
    /// What else a model that reads dicts needs to know of the tokens.
    pub side: Option<Box<BeeRow>>,
    pub changes: Changes,
}

/// How a row's tokens differ from what stands in the file, beside the cut to the maximal length.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Tokens of the question before it was cut to `max_source_length`, if it was.
    pub source: Option<usize>,
    /// Tokens of the answer before it was cut to `max_target_length`, if it was.
    pub target: Option<usize>,
    /// Where the first `<` begins that was read as a character, though it is not doubled.
    pub escaped: Option<String>,
}

impl Example {
    /// Number of tokens that bear loss: labels other than [`IGNORE`], the first position aside, which
    /// nothing predicts.
    pub fn learned(&self) -> usize {
        count_learned(&self.labels)
    }
}

pub(crate) fn count_learned(labels: &[i32]) -> usize {
    labels.iter().skip(1).filter(|label| **label != IGNORE).count()
}

/// Which of many readings of a row this is: equal ones draw the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draw {
    pub seed: u64,
    pub epoch: u64,
    /// Index of the example in the dataset.
    pub example: u32,
}

/// Turns records into examples. A trait, so that datasets can be tested without a tokenizer.
pub trait Encode: Send + Sync {
    /// # Errors
    /// When the template refuses the conversation. What becomes of rows that are too long is for the
    /// dataset to decide: they are cut, and say so.
    fn encode(&self, record: &Record) -> Result<Example>;

    /// As [`encode`](Self::encode), where some of it may be drawn anew at each read (the order of the answers in
    /// a dict); never how many tokens there are.
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    fn encode_drawn(&self, record: &Record, draw: Draw) -> Result<Example> {
        let _ = draw;
        self.encode(record)
    }

    /// The text that [`encode`](Self::encode) would make tokens of: much cheaper where only that is wanted.
    ///
    /// # Errors
    /// When the template refuses the conversation.
    fn render(&self, record: &Record) -> Result<String> {
        self.encode(record).map(|example| example.rendered)
    }

    /// SHA-256 over all that [`encode`](Self::encode) depends on besides the record; None where that cannot be told.
    fn fingerprint(&self) -> Option<[u8; 32]> {
        None
    }
}
