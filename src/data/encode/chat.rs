//! Prompts for chatting with the model.

use std::sync::Arc;

use protocol::Result;
use serde_json::{Map, Value};

use super::Encoder;
use super::turns::Turns;
use crate::bee::{self, BeePrompt};
use crate::record::{Message, Role};
use crate::template::{Chat, ChatTemplate};
use crate::tokenizer::Tokenizer;

/// A conversation, ready for the model to answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatPrompt {
    pub text: String,
    pub ids: Vec<u32>,
    /// Where the model reads dicts: what answers are asked for, and what goes beside the ids.
    pub bee: Option<Box<BeePrompt>>,
}

impl Encoder {
    /// Renders a conversation and what the template writes before an answer.
    ///
    /// # Errors
    /// When there is no template where the model needs one, or it refuses the conversation.
    pub fn render_chat(&self, messages: &[Message], tools: Option<&Value>) -> Result<ChatPrompt> {
        if let Some(bee) = self.tokenizer.cpm_bee() {
            return Self::ask(bee, &bee::conversation(messages));
        }
        let chat = Chat { messages, tools, add_generation_prompt: true, ..Chat::default() };
        let text = self.need_template()?.render(&chat)?;
        let ids = self.tokenizer.encode(&text, false)?.ids;
        Ok(ChatPrompt { text, ids, bee: None })
    }
}

/// A message from the names that chats use. A role that is none of the four is handed to the template
/// as it is, and treated as the user's.
pub fn message(role: &str, content: &str) -> Message {
    let mut extra = Map::new();
    let known = match role {
        "system" => Role::System,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "tool" => Role::Tool,
        other => {
            extra.insert("role".to_owned(), other.into());
            Role::User
        }
    };
    Message { role: known, content: content.to_owned(), extra }
}

/// The token with which a template ends an answer, found on a conversation of our own.
pub(super) fn end_of_turn(tokenizer: &Arc<Tokenizer>, template: &ChatTemplate) -> Option<u32> {
    let messages =
        [("user", "Hi"), ("assistant", "Hello"), ("user", "Thanks")].map(|(role, text)| message(role, text));
    let chat = Chat { messages: &messages, ..Chat::default() };
    let rendered = template.render_with_spans(&chat).ok()?;
    let encoding = tokenizer.encode(&rendered.text, false).ok()?;
    let turns = Turns {
        chat: &chat,
        rendered: &rendered,
        encoding: &encoding,
        tokenizer,
        stop_ids: tokenizer.stop_ids(),
        silent_end: template.has_silent_end().then(|| tokenizer.eos()).flatten(),
    };
    turns.end_token(rendered.answers.last()?)
}
