//! Records to token ids and labels.

mod chat;
mod dicts;
mod limits;
mod turns;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use chrono::NaiveDateTime;
use protocol::config::{DataConfig, OnTooLong, TrainOn};
use protocol::{Result, Text, TokenRole, UserError, text};
use sha2::{Digest, Sha256};

pub use chat::{ChatPrompt, message};

use crate::record::{Changes, Draw, Encode, Example, IGNORE, Record};
use crate::template::{Chat, ChatTemplate, find_template, no_template};
use crate::tokenizer::{Encoding, Tokenizer};
use limits::Parts;
use turns::Turns;

/// What `[data]` of a run file says about encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncodeOptions {
    pub train_on: TrainOn,
    /// In tokens.
    pub max_length: usize,
    /// In tokens, of what precedes the last answer; 0: no limit of its own.
    pub max_source_length: usize,
    /// In tokens, of the last answer; 0: no limit of its own.
    pub max_target_length: usize,
}

impl Default for EncodeOptions {
    fn default() -> Self {
        let train_on = TrainOn::Responses;
        Self { train_on, max_length: usize::MAX, max_source_length: 0, max_target_length: 0 }
    }
}

impl From<&DataConfig> for EncodeOptions {
    fn from(config: &DataConfig) -> Self {
        let tokens = |length: u64| usize::try_from(length).unwrap_or(usize::MAX);
        // The dataset cuts rows into pieces.
        let splits = config.on_too_long == OnTooLong::Split || config.join_texts;
        Self {
            train_on: config.train_on,
            max_length: if splits { usize::MAX } else { tokens(config.max_length) },
            max_source_length: tokens(config.max_source_length),
            max_target_length: tokens(config.max_target_length),
        }
    }
}

/// The tokenizer, the chat template and the masking rules of a run.
///
/// What bears loss (`train_on = "responses"`):
/// - a conversation: the tokens that begin inside an answer. An answer reaches from where the generation
///   prompt ends to the end of the token that ends the turn; what the template writes after that
///   (a newline, say) bears none. If the template has `{% generation %}` tags, they decide instead.
/// - a completion: the tokens that begin inside the completion, and the end token after it;
/// - text: all tokens and the end token.
///
/// `max_source_length` and `max_target_length` cut question and answer as ChatGLM's scripts do (`limits.rs`).
///
/// `last-response` is the same for the last answer only; with `everything`, all tokens bear loss.
#[derive(Debug)]
pub struct Encoder {
    tokenizer: Arc<Tokenizer>,
    template: Option<ChatTemplate>,
    options: EncodeOptions,
    stop_ids: BTreeSet<u32>,
}

impl Encoder {
    /// # Errors
    /// When `max_length` is 0.
    pub fn new(
        tokenizer: Arc<Tokenizer>,
        template: Option<ChatTemplate>,
        options: EncodeOptions,
    ) -> Result<Self> {
        if options.max_length == 0 {
            return Err(UserError::bad_input(Text::fixed("max_length is 0", "max_length 为 0"))
                .at_item("data.max_length")
                .mend(Text::fixed(
                    "set it to the number of tokens a row may have",
                    "请设为每行允许的词元数",
                )));
        }
        let turn_end = template.as_ref().and_then(|template| chat::end_of_turn(&tokenizer, template));
        let stops = template.as_ref().map_or(&[][..], ChatTemplate::stops);
        let stops = stops.iter().filter_map(|token| tokenizer.id(token));
        let stop_ids = tokenizer.stop_ids().iter().copied().chain(turn_end).chain(stops).collect();
        Ok(Self { tokenizer, template, options, stop_ids })
    }

    /// The encoder of a model folder for a run file whose relative paths start at `base`. `now` is what
    /// templates that write the date are told; the clock's time when None.
    pub fn open(model: &Path, config: &DataConfig, base: &Path, now: Option<NaiveDateTime>) -> Result<Self> {
        Self::with_tokenizer(Arc::new(Tokenizer::open(model)?), config, base, now)
    }

    /// As [`open`](Self::open), with a tokenizer that is open already.
    ///
    /// # Errors
    /// When the template cannot be used.
    pub fn with_tokenizer(
        tokenizer: Arc<Tokenizer>,
        config: &DataConfig,
        base: &Path,
        now: Option<NaiveDateTime>,
    ) -> Result<Self> {
        let template = find_template(&config.template, &tokenizer, base, now)?;
        Self::new(tokenizer, template, config.into())
    }

    pub fn tokenizer(&self) -> &Arc<Tokenizer> {
        &self.tokenizer
    }

    pub fn template(&self) -> Option<&ChatTemplate> {
        self.template.as_ref()
    }

    /// Every token that ends an answer: the model's end tokens and the template's end of turn.
    pub fn stop_ids(&self) -> &BTreeSet<u32> {
        &self.stop_ids
    }

    /// # Errors
    /// When there is no template: the error names the presets.
    fn need_template(&self) -> Result<&ChatTemplate> {
        self.template.as_ref().ok_or_else(|| no_template(&self.tokenizer))
    }

    /// The end token that is learned behind past answers, though the text does not have it there.
    fn silent_end(&self) -> Option<u32> {
        self.template.as_ref().filter(|template| template.has_silent_end()).and_then(|_| self.tokenizer.eos())
    }

    fn conversation(&self, chat: &Chat<'_>) -> Result<Draft> {
        let rendered = self.need_template()?.render_with_spans(chat)?;
        let encoding = self.tokenizer.encode(&rendered.text, false)?;
        let turns = Turns {
            chat,
            rendered: &rendered,
            encoding: &encoding,
            tokenizer: &self.tokenizer,
            stop_ids: &self.stop_ids,
            silent_end: self.silent_end(),
        };
        let learned = turns.learned(self.options.train_on)?;
        let roles = turns.roles();
        let mut labels = self.labels(&encoding, |at| learned.covers(at));
        if let Some(end) = self.silent_end().filter(|_| self.options.train_on != TrainOn::Everything) {
            learned.silent_ends.iter().for_each(|at| labels[*at] = label(end));
        }
        let has_answers = !learned.spans.is_empty();
        let parts = turns.last_answer(&roles);
        Ok(Draft { labels, roles, stop: learned.stop, has_answers, encoding, text: rendered.text, parts })
    }

    /// The prompt's tokens are those the model will see when it is asked: where a token would reach from
    /// the prompt into the completion, the two are encoded apart.
    fn completion(&self, prompt: &str, completion: &str) -> Result<Draft> {
        let text = format!("{prompt}{completion}");
        let border = prompt.len();
        let mut encoding = self.tokenizer.encode(&text, true)?;
        let crosses = |(start, end): &(usize, usize)| *start < border && border < *end;
        if self.tokenizer.asks_for_answer() || encoding.offsets.iter().any(crosses) {
            encoding = self.encode_apart(prompt, completion)?;
        }
        let stop = self.end_with_eos(&mut encoding, text.len());
        let inside =
            |at: usize| encoding.offsets[at].0 >= border && (!encoding.added[at] || Some(at) == stop);
        let labels = self.labels(&encoding, inside);
        let role = |at: usize| match encoding.added[at] {
            true => TokenRole::Template,
            false if encoding.offsets[at].0 >= border => TokenRole::Assistant,
            false => TokenRole::User,
        };
        let roles = (0..encoding.ids.len()).map(role).collect();
        let parts = Parts::of_completion(&encoding, border, stop);
        Ok(Draft { labels, roles, stop, has_answers: true, encoding, text, parts: Some(parts) })
    }

    fn encode_apart(&self, prompt: &str, completion: &str) -> Result<Encoding> {
        let mut encoding = self.tokenizer.prompt(prompt)?;
        let rest = self.tokenizer.encode(completion, false)?;
        encoding.ids.extend(rest.ids);
        encoding
            .offsets
            .extend(rest.offsets.iter().map(|(start, end)| (start + prompt.len(), end + prompt.len())));
        encoding.added.extend(rest.added);
        Ok(encoding)
    }

    fn plain_text(&self, text: &str) -> Result<Draft> {
        // Where a text is an answer, an empty prompt stands in front of it.
        let mut encoding = match self.tokenizer.asks_for_answer() {
            true => self.encode_apart("", text)?,
            false => self.tokenizer.encode(text, true)?,
        };
        let stop = self.end_with_eos(&mut encoding, text.len());
        let role = |added: &bool| if *added { TokenRole::Template } else { TokenRole::Text };
        let roles = encoding.added.iter().map(role).collect();
        let labels = encoding.ids.iter().map(|id| label(*id)).collect();
        let text = text.to_owned();
        Ok(Draft { labels, roles, stop, has_answers: false, encoding, text, parts: None })
    }

    /// Appends the end token unless the tokenizer did; gives its position.
    fn end_with_eos(&self, encoding: &mut Encoding, end: usize) -> Option<usize> {
        let eos = self.tokenizer.eos()?;
        let closed = encoding.ids.last() == Some(&eos) && encoding.added.last() == Some(&true);
        let only_bos = encoding.ids.len() == 1 && self.tokenizer.bos() == Some(eos);
        if !closed || only_bos {
            encoding.ids.push(eos);
            encoding.offsets.push((end, end));
            encoding.added.push(true);
        }
        Some(encoding.ids.len() - 1)
    }

    fn labels(&self, encoding: &Encoding, learned: impl Fn(usize) -> bool) -> Vec<i32> {
        let all = self.options.train_on == TrainOn::Everything;
        let of = |(at, id): (usize, &u32)| if all || learned(at) { label(*id) } else { IGNORE };
        encoding.ids.iter().enumerate().map(of).collect()
    }

    /// Cuts question and answer to their own lengths, then all to the maximal length on the right.
    fn finish(&self, mut draft: Draft) -> Result<Example> {
        let changes = draft.limit(&self.options);
        let length = draft.encoding.ids.len();
        let kept = length.min(self.options.max_length);
        let Draft { labels, roles, stop, has_answers, encoding, text, .. } = draft;
        let mut example = Example {
            ids: encoding.ids,
            labels,
            roles,
            offsets: encoding.offsets,
            rendered: text,
            truncated_from: (kept < length).then_some(length),
            learns_to_stop: !has_answers || stop.is_some_and(|at| at < kept),
            side: None,
            changes,
        };
        example.ids.truncate(kept);
        example.labels.truncate(kept);
        example.roles.truncate(kept);
        example.offsets.truncate(kept);
        Ok(example)
    }

    fn tokens(&self, input_ids: &[u32], labels: &[i32]) -> Result<Example> {
        let (ids, marks) = (input_ids.len(), labels.len());
        if ids != marks {
            return Err(UserError::bad_input(text!(
                "The row has {ids} input_ids and {marks} labels",
                "该行有 {ids} 个 input_ids 和 {marks} 个 labels"
            ))
            .mend(Text::fixed("give one label for each id", "请为每个编号提供一个标签")));
        }
        let bad_label = labels.iter().find(|label| **label < 0 && **label != IGNORE);
        let bad_id = input_ids.iter().find(|id| i32::try_from(**id).is_err());
        if let Some(value) = bad_label.map(i32::to_string).or(bad_id.map(u32::to_string)) {
            return Err(UserError::bad_input(text!("{value} is no token id", "{value} 不是有效的词元编号"))
                .mend(text!(
                    "use ids from 0, and {IGNORE} for labels without loss",
                    "编号应从 0 开始，不计损失的标签用 {IGNORE}"
                )));
        }
        let kept = ids.min(self.options.max_length);
        Ok(Example {
            ids: input_ids[..kept].to_vec(),
            labels: labels[..kept].to_vec(),
            roles: vec![TokenRole::Text; kept],
            offsets: vec![(0, 0); kept],
            rendered: String::new(),
            truncated_from: (kept < ids).then_some(ids),
            learns_to_stop: true,
            side: None,
            changes: Changes::default(),
        })
    }
}

/// A row before the cut.
struct Draft {
    encoding: Encoding,
    labels: Vec<i32>,
    roles: Vec<TokenRole>,
    /// Position of the learned token that ends the last answer.
    stop: Option<usize>,
    has_answers: bool,
    text: String,
    /// The last question and its answer, where there are such.
    parts: Option<Parts>,
}

/// Ids of tokenizers are far below 2^31; a crafted one gets no loss instead of a wrong label.
fn label(id: u32) -> i32 {
    i32::try_from(id).unwrap_or(IGNORE)
}

impl Encode for Encoder {
    fn encode(&self, record: &Record) -> Result<Example> {
        if let Some(bee) = self.tokenizer.cpm_bee() {
            return self.dict(bee, record);
        }
        let draft = match record {
            Record::Conversation { messages, tools } => self.turns(messages, tools.as_ref())?,
            Record::Dict(data) => self.turns(&Self::dict_as_turns(data), None)?,
            Record::Completion { prompt, completion } => self.completion(prompt, completion)?,
            Record::Text(text) => self.plain_text(text)?,
            Record::Tokens { input_ids, labels } => return self.tokens(input_ids, labels),
        };
        self.finish(draft)
    }

    fn encode_drawn(&self, record: &Record, draw: Draw) -> Result<Example> {
        match (self.tokenizer.cpm_bee(), record) {
            (Some(_), Record::Dict(data)) => {
                self.encode(&Record::Dict(crate::bee::shuffled(data.clone(), draw)))
            }
            _ => self.encode(record),
        }
    }

    fn render(&self, record: &Record) -> Result<String> {
        if let Some(bee) = self.tokenizer.cpm_bee() {
            return Ok(self.dict(bee, record)?.rendered);
        }
        Ok(match record {
            Record::Conversation { messages, tools } => {
                self.need_template()?.render(&Chat { messages, tools: tools.as_ref(), ..Chat::default() })?
            }
            Record::Dict(data) => {
                let messages = Self::dict_as_turns(data);
                self.need_template()?.render(&Chat { messages: &messages, ..Chat::default() })?
            }
            Record::Completion { prompt, completion } => format!("{prompt}{completion}"),
            Record::Text(text) => text.clone(),
            Record::Tokens { .. } => String::new(),
        })
    }

    fn fingerprint(&self) -> Option<[u8; 32]> {
        let mut hasher = Sha256::new_with_prefix(self.tokenizer.fingerprint()?);
        if let Some(template) = &self.template {
            hasher.update(template.fingerprint()?);
        }
        hasher.update(format!("{:?}\0{:?}", self.options, self.stop_ids));
        Some(hasher.finalize().into())
    }
}
