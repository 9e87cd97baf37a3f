//! An answer to a prompt, token by token: the one path for chat, samples and live models.

use std::time::Instant;

use data::{ChatPrompt, DecodeStream, Encoder, Tokenizer, message};
use protocol::{GenerateStats, Prompt, Result, Sampling};

use super::{Decoding, Sampler};
use crate::models::Model;
use crate::nn::AdapterView;

/// Who answers: a model, perhaps an adapter on it, and the words for its ids.
#[derive(Clone, Copy)]
pub struct Speaker<'a> {
    pub model: &'a Model,
    pub adapter: Option<&'a dyn AdapterView>,
    pub encoder: &'a Encoder,
}

/// A whole answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Answered {
    pub text: String,
    pub ids: Vec<u32>,
    pub stats: GenerateStats,
}

impl Speaker<'_> {
    /// Answers a prompt. `told` gets each piece of text and its ids as soon as the text is whole characters;
    /// `stopped` is asked before every token.
    ///
    /// # Errors
    /// When the prompt cannot be rendered or has no tokens, an id or a position lies outside the model, or the
    /// device fails.
    pub fn answer(
        &self,
        prompt: &Prompt,
        sampling: &Sampling,
        stopped: &mut dyn FnMut() -> bool,
        told: &mut dyn FnMut(String, Vec<u32>),
    ) -> Result<Answered> {
        self.answer_rendered((is_chat(prompt), rendered(self.encoder, prompt)?), sampling, stopped, told)
    }

    /// As [`answer`](Self::answer), for a prompt that is rendered already.
    pub(super) fn answer_rendered(
        &self,
        (chat, rendered): (bool, ChatPrompt),
        sampling: &Sampling,
        stopped: &mut dyn FnMut() -> bool,
        told: &mut dyn FnMut(String, Vec<u32>),
    ) -> Result<Answered> {
        let ChatPrompt { ids, bee, .. } = rendered;
        if let (Some(asked), Some(words)) = (bee, self.encoder.tokenizer().cpm_bee()) {
            return self.answer_dict((chat, &asked), words, sampling, stopped, told);
        }
        let mut draft = Draft::new(self.encoder, chat, sampling, &ids);
        let decoding = Decoding::new(self.model, self.adapter);
        let began = Instant::now();
        let mut step = decoding.feed(&ids)?;
        draft.prompt_is_read(began);
        let finish = loop {
            if stopped() {
                break "stopped";
            }
            if let Some(finish) = draft.say(&mut step.logits, self.model, told)? {
                break finish;
            }
            step = decoding.feed(draft.newest())?;
        };
        draft.end(finish, told)
    }
}

/// Whether a prompt is a conversation.
fn is_chat(prompt: &Prompt) -> bool {
    match prompt {
        Prompt::Messages(_) | Prompt::Templated { .. } => true,
        Prompt::Text(_) | Prompt::Ids(_) => false,
    }
}

/// A prompt as the model sees it.
///
/// # Errors
/// When there is no template for messages, or it refuses them.
pub fn prompt_ids(encoder: &Encoder, prompt: &Prompt) -> Result<Vec<u32>> {
    Ok(rendered(encoder, prompt)?.ids)
}

/// The same with the text that was encoded; empty for ids.
///
/// # Errors
/// As [`prompt_ids`].
pub fn rendered(encoder: &Encoder, prompt: &Prompt) -> Result<ChatPrompt> {
    Ok(match prompt {
        Prompt::Ids(ids) => ChatPrompt { text: String::new(), ids: ids.clone(), bee: None },
        Prompt::Text(text) => encoder.plain_prompt(text)?,
        Prompt::Messages(messages) | Prompt::Templated { messages, .. } => {
            let messages: Vec<_> = messages.iter().map(|turn| message(&turn.role, &turn.content)).collect();
            encoder.render_chat(&messages, None)?
        }
    })
}

/// The answer so far.
pub(super) struct Draft<'a> {
    sampler: Sampler,
    /// Prompt and answer: what the repetition penalty looks at.
    so_far: Vec<u32>,
    pub ids: Vec<u32>,
    pub text: String,
    /// Text held back because a stop text may be beginning in it.
    held: String,
    stream: DecodeStream<'a>,
    tokenizer: &'a Tokenizer,
    stop_ids: Vec<u32>,
    stop_texts: Vec<String>,
    pub stopped: bool,
    /// Ids whose text is still to come.
    silent: Vec<u32>,
    most: u64,
    prompt_tokens: usize,
    /// When the prompt was read, and how long that took.
    read: (Instant, f64),
}

impl<'a> Draft<'a> {
    /// In a chat the template's end of a turn ends the answer, too.
    pub fn new(encoder: &'a Encoder, chat: bool, sampling: &Sampling, ids: &[u32]) -> Self {
        let tokenizer = encoder.tokenizer();
        let stop_ids = match (sampling.ignore_eos, chat) {
            (true, _) => Vec::new(),
            (false, true) => encoder.stop_ids().iter().copied().collect(),
            (false, false) => tokenizer.stop_ids().iter().copied().collect(),
        };
        Self {
            sampler: Sampler::new(sampling),
            so_far: ids.to_vec(),
            ids: Vec::new(),
            text: String::new(),
            held: String::new(),
            stream: tokenizer.decode_stream(ids, true),
            tokenizer,
            stop_ids,
            stop_texts: sampling.stop.iter().filter(|stop| !stop.is_empty()).cloned().collect(),
            stopped: false,
            silent: Vec::new(),
            most: sampling.max_new_tokens,
            prompt_tokens: ids.len(),
            read: (Instant::now(), 0.0),
        }
    }

    /// The model has read the prompt, since `began`.
    pub fn prompt_is_read(&mut self, began: Instant) {
        self.read = (Instant::now(), began.elapsed().as_secs_f64());
    }

    /// Draws the next token and takes it; says why the answer ends, if it does.
    pub fn say(
        &mut self,
        logits: &mut [f32],
        model: &Model,
        told: &mut dyn FnMut(String, Vec<u32>),
    ) -> Result<Option<&'static str>> {
        if self.is_full(model) {
            return Ok(Some("length"));
        }
        let id = self.sampler.draw(logits, &self.so_far);
        self.take(id, model, told)
    }

    /// Takes a token; says why the answer ends, if it does.
    pub fn take(
        &mut self,
        id: u32,
        model: &Model,
        told: &mut dyn FnMut(String, Vec<u32>),
    ) -> Result<Option<&'static str>> {
        if self.is_full(model) {
            return Ok(Some("length"));
        }
        if self.stop_ids.contains(&id) {
            return Ok(Some("end-token"));
        }
        self.silent.push(id);
        if let Some(text) = self.push(id)? {
            told(text, std::mem::take(&mut self.silent));
        }
        let full = self.is_full(model).then_some("length");
        Ok(if self.stopped { Some("stop-text") } else { full })
    }

    pub fn prompt_tokens(&self) -> usize {
        self.prompt_tokens
    }

    /// The token that goes into the model next.
    pub fn newest(&self) -> &[u32] {
        self.ids.last().map(std::slice::from_ref).unwrap_or_default()
    }

    /// The whole answer.
    pub fn end(mut self, finish: &str, told: &mut dyn FnMut(String, Vec<u32>)) -> Result<Answered> {
        let rest = self.finish()?;
        if !(rest.is_empty() && self.silent.is_empty()) {
            told(rest, std::mem::take(&mut self.silent));
        }
        let (since, prefill_seconds) = self.read;
        let stats = GenerateStats {
            prompt_tokens: self.prompt_tokens as u64,
            new_tokens: self.ids.len() as u64,
            prefill_seconds,
            decode_seconds: since.elapsed().as_secs_f64(),
            finish: finish.into(),
        };
        Ok(Answered { text: self.text, ids: self.ids, stats })
    }

    fn is_full(&self, model: &Model) -> bool {
        let beyond = model.info.learned_positions && self.so_far.len() >= model.info.context;
        beyond || self.ids.len() as u64 >= self.most
    }

    /// Adds a token; returns text that can be shown.
    fn push(&mut self, id: u32) -> Result<Option<String>> {
        self.so_far.push(id);
        self.ids.push(id);
        let known = (id as usize) < self.tokenizer.vocab_size() || self.tokenizer.token(id).is_some();
        let piece = if known { self.stream.push(id)? } else { None };
        Ok(piece.and_then(|piece| self.release(&piece, false)))
    }

    fn finish(&mut self) -> Result<String> {
        if self.stopped {
            return Ok(String::new());
        }
        let rest = self.stream.finish()?.unwrap_or_default();
        Ok(self.release(&rest, true).unwrap_or_default())
    }

    /// Text up to a stop text, or up to where one may be beginning.
    pub fn release(&mut self, piece: &str, all: bool) -> Option<String> {
        self.held.push_str(piece);
        let found = self.stop_texts.iter().filter_map(|stop| self.held.find(stop.as_str())).min();
        let end = match found {
            Some(start) => {
                self.stopped = true;
                start
            }
            None if all => self.held.len(),
            None => self.held.len() - self.beginning_of_stop(),
        };
        let text: String = self.held.drain(..end).collect();
        self.text.push_str(&text);
        (!text.is_empty()).then_some(text)
    }

    /// Bytes at the end of the held text with which a stop text begins.
    fn beginning_of_stop(&self) -> usize {
        let starts = |stop: &String| {
            let longest = stop.len().min(self.held.len());
            (1..=longest)
                .rev()
                .find(|n| stop.is_char_boundary(*n) && self.held.ends_with(&stop[..*n]))
                .unwrap_or(0)
        };
        self.stop_texts.iter().map(starts).max().unwrap_or(0)
    }
}
