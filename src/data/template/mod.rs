//! Chat templates: a conversation as the text that a model was trained to read.
//!
//! Rendering equals `transformers.apply_chat_template`: Jinja with `trim_blocks` and `lstrip_blocks`, loop
//! controls, `{% generation %}`, Python's string methods, `tojson` as `json.dumps`, `raise_exception` and
//! `strftime_now`. A template is a program from the internet, so it runs with limits on its size, its
//! steps, its recursion and its output, and can read nothing but the conversation.

mod environment;
mod known;
mod presets;
mod python;
mod rewrite;
mod source;
mod spans;

use std::path::{Path, PathBuf};

use chrono::NaiveDateTime;
use minijinja::value::Serde;
use minijinja::{Environment, ErrorKind, Value};
use protocol::{Result, Text, UserError, text};
use serde_json::Map;
use sha2::{Digest, Sha256};

pub use presets::{PRESETS, Preset};
pub(crate) use source::no_template;
pub use source::{TemplateChoice, find_template};
pub use spans::{Answer, Rendered};

use crate::record::{Message, Role};
use crate::tokenizer::TemplateSource;
use environment::Refusal;

/// What transformers appends to the final message to find the place where it is to be continued.
const CONTINUE_TAG: &str = "CONTINUE_FINAL_MESSAGE_TAG ";
/// The template for conversations with tools, in folders that have several.
const TOOL_TEMPLATE: &str = "tool_use";
const DEFAULT_TEMPLATE: &str = "default";

/// A conversation and what else a template is told.
#[derive(Clone, Copy, Debug, Default)]
pub struct Chat<'a> {
    pub messages: &'a [Message],
    pub tools: Option<&'a serde_json::Value>,
    pub documents: Option<&'a serde_json::Value>,
    /// Further variables, such as `enable_thinking`.
    pub variables: Option<&'a Map<String, serde_json::Value>>,
    /// End with what the template writes before an answer.
    pub add_generation_prompt: bool,
    /// End inside the last message, so that the model goes on with it.
    pub continue_final_message: bool,
}

/// A compiled chat template, with the special tokens of a tokenizer.
#[derive(Debug)]
pub struct ChatTemplate {
    environment: Environment<'static>,
    /// What people call it: the preset's name or the file.
    name: String,
    source: String,
    file: PathBuf,
    special: Map<String, serde_json::Value>,
    has_generation_tags: bool,
    /// Of which preset it is the text.
    preset: Option<&'static Preset>,
    reason: Option<Text>,
    /// What `strftime_now` tells; the clock's time when None.
    now: Option<NaiveDateTime>,
}

impl ChatTemplate {
    /// Compiles templates: the first of them, and the one named `tool_use` for conversations with tools.
    ///
    /// `special` holds `bos_token` and the like. `now` is the time that `strftime_now` tells; the clock's
    /// when None. Fix it where a rendering must come out the same tomorrow.
    ///
    /// # Errors
    /// Names the line where the template is not understood.
    pub fn compile(
        name: &str,
        sources: &[TemplateSource],
        special: Map<String, serde_json::Value>,
        now: Option<NaiveDateTime>,
    ) -> Result<Self> {
        let Some(first) = sources.first() else {
            return Err(UserError::bad_input(Text::fixed("There is no chat template", "没有聊天模板")));
        };
        let mut template = Self {
            environment: environment::new(now),
            name: name.to_owned(),
            source: first.source.clone(),
            file: first.file.clone(),
            special,
            has_generation_tags: false,
            preset: None,
            reason: None,
            now,
        };
        template.has_generation_tags = template.add(DEFAULT_TEMPLATE, first)?;
        if let Some(tools) = sources.iter().skip(1).find(|source| source.name == TOOL_TEMPLATE) {
            template.has_generation_tags |= template.add(TOOL_TEMPLATE, tools)?;
        }
        Ok(template)
    }

    fn add(&mut self, name: &'static str, source: &TemplateSource) -> Result<bool> {
        if source.source.len() > environment::MAX_SOURCE_BYTES {
            let megabytes = environment::MAX_SOURCE_BYTES >> 20;
            return Err(UserError::bad_input(text!(
                "The chat template is larger than {megabytes} MiB",
                "聊天模板大于 {megabytes} MiB"
            ))
            .in_file(&source.file));
        }
        // Jinja reads every kind of line end as "\n".
        let source = source.source.replace("\r\n", "\n").replace('\r', "\n");
        let (rewritten, tags) = rewrite::generation_tags(&source);
        match self.environment.add_template_owned(name, rewritten.into_owned()) {
            Ok(()) => Ok(tags),
            Err(err) => Err(self.explain(&err)),
        }
    }

    /// What people call it: `auto`'s file, a preset's name, a file.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The template as it was written.
    pub fn source(&self) -> &str {
        &self.source
    }

    pub fn file(&self) -> &Path {
        &self.file
    }

    /// What a run file without any file beside it says for this template: a preset's name, or the template itself. None for
    /// what only the model's folder has: several templates, of which the conversation chooses.
    pub fn found_again(&self) -> Option<String> {
        if let Some(preset) = self.preset {
            return Some(preset.name.to_owned());
        }
        let alone = self.environment.get_template(TOOL_TEMPLATE).is_err();
        (alone && source::is_inline(&self.source)).then(|| self.source.clone())
    }

    /// Why `auto` means this template, where it is not the model's own.
    pub fn reason(&self) -> Option<&Text> {
        self.reason.as_ref()
    }

    /// Tokens that end an answer, beside the model's own end tokens.
    pub fn stops(&self) -> &'static [&'static str] {
        self.preset.map_or(&[], |preset| preset.stops)
    }

    /// Whether what follows a past answer is learned as the model's end token; see [`Preset::silent_end`].
    pub fn has_silent_end(&self) -> bool {
        self.preset.is_some_and(|preset| preset.silent_end)
    }

    /// Whether the template itself marks what the model writes.
    pub fn has_generation_tags(&self) -> bool {
        self.has_generation_tags
    }

    /// SHA-256 over all that a rendering depends on besides the conversation; None where that is the clock.
    pub(crate) fn fingerprint(&self) -> Option<[u8; 32]> {
        let mut hasher = Sha256::new();
        for (name, template) in self.environment.templates() {
            hasher.update(format!(
                "{name}\0{}\0{:?}\0",
                template.source(),
                self.times_in(template.source())?
            ));
        }
        let special = serde_json::to_string(&self.special).ok()?;
        let preset = self.preset.map(|preset| preset.name);
        hasher.update(format!("{special}\0{preset:?}\0{}", self.has_generation_tags));
        Some(hasher.finalize().into())
    }

    /// What a template's calls of `strftime_now` give; None where that cannot be told beforehand.
    fn times_in(&self, source: &str) -> Option<Vec<String>> {
        let uses = source.split("strftime_now").skip(1).map(|rest| rest.trim_start());
        // Often it is only asked whether there is such a function.
        let calls = uses.filter(|rest| !rest.starts_with("is defined"));
        calls.map(|rest| self.time_in(rest.strip_prefix('(')?.trim_start())).collect()
    }

    /// What a call gives that goes on with `rest`: a format in quotes.
    fn time_in(&self, rest: &str) -> Option<String> {
        let quote = rest.chars().next().filter(|first| matches!(first, '"' | '\''))?;
        let (format, behind) = rest[1..].split_once(quote)?;
        if format.contains('\\') || !behind.trim_start().starts_with(')') {
            return None;
        }
        python::strftime(self.now?, format).ok()
    }

    /// The text of a conversation.
    ///
    /// # Errors
    /// When the template refuses the conversation, fails, or exceeds a limit; the line is named.
    pub fn render(&self, chat: &Chat<'_>) -> Result<String> {
        environment::guarded(|| self.render_here(chat))
    }

    fn render_here(&self, chat: &Chat<'_>) -> Result<String> {
        let mut messages = self.messages(chat);
        let last = chat.messages.last().map(|message| message.content.as_str());
        if !chat.continue_final_message {
            return self.render_values(chat, messages, false);
        }
        let (Some(content), Some(message)) = (last, messages.last_mut()) else {
            return Err(cannot_continue());
        };
        message.set_content(format!("{content}{CONTINUE_TAG}"));
        let text = self.render_values(chat, messages, false)?;
        cut_at_tag(text, content)
    }

    /// The text of a conversation, and which parts of it come from which message.
    ///
    /// # Errors
    /// As [`render`](Self::render); and when the template hides where an answer begins.
    pub fn render_with_spans(&self, chat: &Chat<'_>) -> Result<Rendered> {
        environment::guarded(|| spans::trace(self, chat))
    }

    fn messages(&self, chat: &Chat<'_>) -> Vec<MessageValue> {
        chat.messages.iter().map(MessageValue::new).collect()
    }

    /// Renders messages that may carry marks. With `mark_generation`, the marks of [`spans`] surround
    /// what stands in generation tags.
    fn render_values(
        &self,
        chat: &Chat<'_>,
        messages: Vec<MessageValue>,
        mark_generation: bool,
    ) -> Result<String> {
        let template = match chat.tools.map(|_| self.environment.get_template(TOOL_TEMPLATE)) {
            Some(Ok(template)) => template,
            _ => self.environment.get_template(DEFAULT_TEMPLATE).map_err(|err| self.explain(&err))?,
        };
        let optional = |value: Option<&serde_json::Value>| Value::from(Serde(value));
        let mut context: Vec<(String, Value)> = vec![
            ("messages".to_owned(), messages.into_iter().map(|message| message.value()).collect()),
            ("tools".to_owned(), optional(chat.tools)),
            ("documents".to_owned(), optional(chat.documents)),
            ("add_generation_prompt".to_owned(), chat.add_generation_prompt.into()),
            (environment::MARK_VARIABLE.to_owned(), mark_generation.into()),
        ];
        let variables = self.special.iter().chain(chat.variables.into_iter().flatten());
        context.extend(variables.map(|(key, value)| (key.clone(), Value::from(Serde(value)))));
        environment::render(&template, Value::from_pairs(context)).map_err(|err| self.explain(&err))
    }

    fn explain(&self, err: &minijinja::Error) -> UserError {
        let what = match (Refusal::of(err), err.kind()) {
            (Some(message), _) => text!(
                "The chat template refuses this conversation: {message}",
                "聊天模板拒绝了该对话：{message}"
            ),
            (None, ErrorKind::SyntaxError) => {
                text!("The chat template is not understood: {err}", "无法解析聊天模板：{err}")
            }
            (None, ErrorKind::OutOfFuel) => {
                Text::fixed("The chat template does not come to an end", "聊天模板的执行没有在限定步数内结束")
            }
            (None, _) => {
                let cause = root_cause(err);
                text!("The chat template failed: {cause}", "聊天模板执行失败：{cause}")
            }
        };
        let error = UserError::bad_input(what).in_file(&self.file);
        let lines = std::iter::successors(Some(err), |err| source_error(err));
        match lines.filter_map(minijinja::Error::line).last() {
            Some(line) => error.at_row(line as u64),
            None => error,
        }
    }
}

fn source_error(err: &minijinja::Error) -> Option<&minijinja::Error> {
    std::error::Error::source(err).and_then(|source| source.downcast_ref())
}

fn root_cause(err: &minijinja::Error) -> String {
    let first: &dyn std::error::Error = err;
    let chain: Vec<String> =
        std::iter::successors(Some(first), |err| err.source()).map(ToString::to_string).collect();
    chain.join(": ")
}

/// transformers' rule: cut at the tag; if the template trimmed the message, trim what is left.
fn cut_at_tag(mut text: String, content: &str) -> Result<String> {
    let at = text.rfind(CONTINUE_TAG.trim_end()).filter(|_| text.contains(content.trim()));
    let Some(at) = at else { return Err(cannot_continue()) };
    let spaces_kept = text[at..].starts_with(CONTINUE_TAG);
    text.truncate(at);
    if !spaces_kept {
        text.truncate(text.trim_end().len());
    }
    Ok(text)
}

fn cannot_continue() -> UserError {
    UserError::bad_input(Text::fixed(
        "The last message cannot be continued: the chat template does not write it out",
        "无法续写最后一条消息：聊天模板没有原样输出它",
    ))
}

/// A message as the template sees it.
#[derive(Clone)]
struct MessageValue {
    fields: Vec<(String, Value)>,
}

impl MessageValue {
    /// `role`, `content`, then what else the row had; a key of `extra` wins over both (a content that is
    /// null or a list of parts, a role of the template's own).
    fn new(message: &Message) -> Self {
        let mut fields = vec![
            ("role".to_owned(), Value::from(role_name(message.role))),
            ("content".to_owned(), Value::from(message.content.as_str())),
        ];
        let extra = message.extra.iter().map(|(key, value)| (key.clone(), Value::from(Serde(value))));
        fields.extend(extra);
        fields.extend(reasoning_aliases(message));
        Self { fields }
    }

    fn set_content(&mut self, content: String) {
        self.fields.push(("content".to_owned(), content.into()));
    }

    fn value(self) -> Value {
        Value::from_pairs(self.fields)
    }
}

/// As transformers: `reasoning_content` is filled from older names, and `thinking` for gpt-oss.
fn reasoning_aliases(message: &Message) -> Vec<(String, Value)> {
    let value = |key: &&str| message.extra.get(*key).filter(|value| !value.is_null());
    let Some(reasoning) = ["reasoning_content", "thinking", "reasoning"].iter().find_map(value) else {
        return Vec::new();
    };
    let reasoning = Value::from(Serde(reasoning));
    let mut fields = vec![("reasoning_content".to_owned(), reasoning.clone())];
    if !message.extra.contains_key("thinking") {
        fields.push(("thinking".to_owned(), reasoning));
    }
    fields
}

fn role_name(role: Role) -> &'static str {
    match role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
    }
}
