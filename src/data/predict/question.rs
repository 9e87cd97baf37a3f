//! A row as a question: read as training reads it, without its answer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use protocol::config::DataConfig;
use protocol::{Result, Text, UserError};
use serde_json::{Map, Value};

use crate::bee::ANSWER;
use crate::encode::{ChatPrompt, Encoder};
use crate::formats::{Choice, Format, FormatContext, choose};
use crate::record::{Encode, Example, IGNORE, Message, Record, Role};
use crate::sources::{Row, RowSource, RowValue};

/// Fields of formats that hold the answer.
const ANSWERS: [&str; 3] = ["response", "output", "completion"];
/// Columns that hold answers where nobody maps one: those of the formats, and of the pairs that `columns` knows.
const ANSWER_COLUMNS: [&str; 13] = [
    "response",
    "output",
    "completion",
    "answer",
    "std_answer",
    "target",
    "targets",
    "summary",
    "highlights",
    "Best Answer",
    "Answer",
    "回答",
    "答案",
];

/// What a model is asked.
#[derive(Clone, Debug, PartialEq)]
pub enum Question {
    /// To be rendered with the chat template.
    Chat {
        messages: Vec<Message>,
        tools: Option<Value>,
    },
    /// Text to be continued as it is.
    Text(String),
    Ids(Vec<u32>),
    /// With empty texts where answers are to go.
    Dict(Map<String, Value>),
}

/// The rows of a file as questions.
pub struct Questions {
    source: Arc<dyn RowSource>,
    format: &'static Format,
    pub reason: Text,
    context: FormatContext,
    /// Columns that are blank where a row has none: they would hold the answer.
    blank: Vec<&'static str>,
}

impl Questions {
    /// `config` says how rows are read; its files do not matter. `like` is a row that was trained on, where one is at
    /// hand: it tells what its format's answers are called.
    ///
    /// # Errors
    /// When no format fits, or the column map does not belong to it.
    pub fn open(source: Arc<dyn RowSource>, config: &DataConfig, like: Option<&Row>) -> Result<Self> {
        let Choice { format, reason } = choose(&config.format, &config.columns, source.as_ref())?;
        Self::of_format(source, config, (format, reason), like)
    }

    /// As [`open`](Self::open), in a format that is known.
    ///
    /// # Errors
    /// When the column map does not belong to it.
    pub fn of_format(
        source: Arc<dyn RowSource>,
        config: &DataConfig,
        (format, reason): (&'static Format, Text),
        like: Option<&Row>,
    ) -> Result<Self> {
        // What the answer is made of is not there yet.
        let asked: BTreeMap<String, String> = config
            .columns
            .iter()
            .filter(|(key, _)| !ANSWERS.contains(&key.as_str()))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        let context = FormatContext::new(&asked, format)?.with_prefix(&config.source_prefix);
        let known = like.and_then(Row::fields);
        let own = |name: &str| {
            let answers = format.fields.iter().filter(|field| ANSWERS.contains(&field.key));
            answers.filter_map(|field| field.columns.first()).any(|column| *column == name)
        };
        let blank = ANSWER_COLUMNS
            .into_iter()
            .filter(|name| own(name) || known.is_none_or(|known| known.contains_key(*name)))
            .collect();
        Ok(Self { source, format, reason, context, blank })
    }

    pub fn len(&self) -> usize {
        self.source.len()
    }

    pub fn is_empty(&self) -> bool {
        self.source.is_empty()
    }

    /// Whether all rows of the file are there, rather than those of its head.
    pub fn is_whole(&self) -> bool {
        self.source.is_whole()
    }

    pub fn format(&self) -> &'static str {
        self.format.id
    }

    /// Row `index` (0-based) as it stands in the file.
    ///
    /// # Errors
    /// When it cannot be read. Names file and row.
    pub fn row(&self, index: usize) -> Result<Row> {
        self.source.get(index)
    }

    /// What a row asks.
    ///
    /// # Errors
    /// When it lacks something, or holds something else than the format wants. Names the row.
    pub fn ask(&self, row: &Row) -> Result<Question> {
        let record = (self.format.read)(&self.without_answer(row), &self.context);
        question(record.map_err(|err| row.place(err))?)
            .ok_or_else(|| row.error(Text::fixed("The row asks nothing", "该行没有提出任何问题")))
    }

    /// The columns of the first rows, in the order in which they come.
    pub fn columns(&self) -> Vec<String> {
        const LOOKED_AT: usize = 64;
        let mut known = BTreeSet::new();
        let rows = (0..self.len().min(LOOKED_AT)).filter_map(|index| self.row(index).ok());
        let names = rows.flat_map(|row| match row.value {
            RowValue::Object(fields) => fields.into_iter().map(|(name, _)| name).collect(),
            RowValue::Text(_) => vec!["text".to_owned()],
        });
        names.filter(|name| known.insert(name.clone())).collect()
    }

    fn without_answer(&self, row: &Row) -> Row {
        let RowValue::Object(mut fields) = row.value.clone() else { return row.clone() };
        let is_dict = self.format.fields.is_empty();
        if is_dict {
            let answer = fields.remove(ANSWER).map_or_else(|| Value::String(String::new()), blanked);
            fields.insert(ANSWER.to_owned(), answer);
        } else {
            for name in &self.blank {
                let is_text = |value: &Value| value.is_string() || value.is_number() || value.is_boolean();
                if !fields.get(*name).is_some_and(is_text) {
                    fields.insert((*name).to_owned(), Value::String(String::new()));
                }
            }
        }
        Row { value: RowValue::Object(fields), ..row.clone() }
    }
}

/// A dict's answers, emptied.
fn blanked(answer: Value) -> Value {
    match answer {
        Value::Object(answers) => {
            Value::Object(answers.into_iter().map(|(key, value)| (key, blanked(value))).collect())
        }
        _ => Value::String(String::new()),
    }
}

/// The question of a record; none where nothing is asked.
fn question(record: Record) -> Option<Question> {
    match record {
        Record::Conversation { mut messages, tools } => {
            while messages.last().is_some_and(|message| message.role == Role::Assistant) {
                messages.pop();
            }
            (!messages.is_empty()).then_some(Question::Chat { messages, tools })
        }
        Record::Completion { prompt, .. } => Some(Question::Text(prompt)),
        Record::Text(text) => Some(Question::Text(text)),
        Record::Tokens { mut input_ids, labels } => {
            let asked = labels.iter().take_while(|label| **label == IGNORE).count();
            // Without labels of its own a row is all question.
            if asked > 0 {
                input_ids.truncate(asked);
            }
            Some(Question::Ids(input_ids))
        }
        Record::Dict(data) => Some(Question::Dict(data)),
    }
}

impl Question {
    /// Whether an answer ends where the chat template ends a turn.
    pub fn is_chat(&self) -> bool {
        matches!(self, Self::Chat { .. } | Self::Dict(_))
    }
}

impl Encoder {
    /// A question as the model sees it.
    ///
    /// # Errors
    /// When there is no template where the model needs one, or it refuses the conversation.
    pub fn put(&self, question: &Question) -> Result<ChatPrompt> {
        match question {
            Question::Chat { messages, tools } => self.render_chat(messages, tools.as_ref()),
            Question::Text(text) => self.plain_prompt(text),
            Question::Ids(ids) => Ok(ChatPrompt { text: String::new(), ids: ids.clone(), bee: None }),
            Question::Dict(data) => match self.tokenizer().cpm_bee() {
                Some(bee) => Self::ask(bee, data),
                None => self.render_chat(&Self::dict_as_turns(data)[..1], None),
            },
        }
    }

    /// A question with an answer of the caller's, as training would see the two: the answer's tokens and what ends it
    /// are labelled.
    ///
    /// # Errors
    /// As [`put`](Self::put), and where a question has several answers.
    pub fn answered(&self, question: &Question, answer: &str) -> Result<Example> {
        let record = match question.clone() {
            Question::Chat { mut messages, tools } => {
                messages.push(Message {
                    role: Role::Assistant,
                    content: answer.to_owned(),
                    extra: Map::new(),
                });
                Record::Conversation { messages, tools }
            }
            Question::Text(prompt) => Record::Completion { prompt, completion: answer.to_owned() },
            Question::Ids(ids) => return self.answered_ids(ids, answer),
            Question::Dict(mut data) => {
                if !data.get(ANSWER).is_none_or(Value::is_string) {
                    return Err(UserError::bad_input(Text::fixed(
                        "The row asks for several answers; choices are for one",
                        "该行要求多个回答，而候选项只适用于单个回答",
                    )));
                }
                data.insert(ANSWER.to_owned(), answer.into());
                Record::Dict(data)
            }
        };
        self.encode(&record)
    }

    fn answered_ids(&self, ids: Vec<u32>, answer: &str) -> Result<Example> {
        let mut input_ids = ids;
        let asked = input_ids.len();
        input_ids.extend(self.tokenizer().encode(answer, false)?.ids);
        input_ids.extend(self.tokenizer().eos());
        let label = |(at, id): (usize, &u32)| match at < asked {
            true => IGNORE,
            false => i32::try_from(*id).unwrap_or(IGNORE),
        };
        let labels = input_ids.iter().enumerate().map(label).collect();
        self.encode(&Record::Tokens { input_ids, labels })
    }
}
