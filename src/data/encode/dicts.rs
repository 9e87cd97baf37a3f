//! Models that read dicts (CPM-Bee) and dicts for models that do not.

use std::borrow::Cow;

use protocol::Result;
use serde_json::{Map, Value};

use super::{ChatPrompt, Encoder, message};
use crate::bee::{self, BeePrompt};
use crate::record::{Example, Message, Record};
use crate::template::Chat;
use crate::tokenizer::CpmBee;

impl Encoder {
    /// A record as CPM-Bee reads it. Only answers bear loss, whatever `train_on` says: what is context is
    /// seen from both sides, and of a conversation the last answer is asked for.
    pub(super) fn dict(&self, tokenizer: &CpmBee, record: &Record) -> Result<Example> {
        let data: Cow<'_, Map<String, Value>> = match record {
            Record::Dict(data) => Cow::Borrowed(data),
            Record::Conversation { messages, .. } => Cow::Owned(bee::conversation(messages)),
            Record::Completion { prompt, completion } => Cow::Owned(bee::text_pair(Some(prompt), completion)),
            Record::Text(text) => Cow::Owned(bee::text_pair(None, text)),
            Record::Tokens { input_ids, labels } => return self.tokens(input_ids, labels),
        };
        Ok(self.cut(bee::encode_row(tokenizer, &data)?))
    }

    fn cut(&self, example: Example) -> Example {
        let (length, kept) = (example.ids.len(), self.options.max_length);
        if length <= kept {
            return example;
        }
        // Offsets stay those of the whole rendering.
        let Example { rendered, offsets, .. } = &example;
        let whole = (rendered.clone(), offsets[..kept].to_vec());
        let mut cut = example.window(0..kept);
        (cut.rendered, cut.offsets, cut.truncated_from) = (whole.0, whole.1, Some(length));
        cut
    }

    /// A dict for a model that reads text: a question and its answer.
    pub(crate) fn dict_as_turns(data: &Map<String, Value>) -> [Message; 2] {
        let (question, answer) = bee::flat(data);
        [message("user", &question), message("assistant", &answer)]
    }

    pub(crate) fn ask(tokenizer: &CpmBee, data: &Map<String, Value>) -> Result<ChatPrompt> {
        let prompt = BeePrompt::new(tokenizer, data)?;
        let (text, ids) = (prompt.rendered.clone(), prompt.ids.clone());
        Ok(ChatPrompt { text, ids, bee: Some(Box::new(prompt)) })
    }

    /// A prompt that someone typed, as it is: no template around it. For CPM-Bee it is a dict's JSON, or the
    /// `input` of one.
    ///
    /// # Errors
    /// When it cannot be tokenised.
    pub fn plain_prompt(&self, text: &str) -> Result<ChatPrompt> {
        match self.tokenizer.cpm_bee() {
            Some(bee) => Self::ask(bee, &bee::prompt_data(text)?),
            None => {
                Ok(ChatPrompt { text: text.to_owned(), ids: self.tokenizer.encode_prompt(text)?, bee: None })
            }
        }
    }

    /// # Errors
    /// As [`Encode::encode`](crate::Encode::encode).
    pub(super) fn turns(&self, messages: &[Message], tools: Option<&Value>) -> Result<super::Draft> {
        self.conversation(&Chat { messages, tools, ..Chat::default() })
    }
}
