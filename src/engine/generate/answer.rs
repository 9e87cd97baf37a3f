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
        let ChatPrompt { ids, bee, .. } = rendered(self.encoder, prompt)?;
        if let (Some(asked), Some(words)) = (bee, self.encoder.tokenizer().cpm_bee()) {
            return self.answer_dict((prompt, &asked), words, sampling, stopped, told);
        }
        let mut answer = Draft::new(self.encoder, prompt, sampling, &ids);
        let decoding = Decoding::new(self.model, self.adapter);
        let began = Instant::now();
        let mut step = decoding.feed(&ids)?;
        let prefill_seconds = began.elapsed().as_secs_f64();
        let began = Instant::now();
        // Ids whose text is still to come.
        let mut silent = Vec::new();
        let finish = loop {
            if stopped() {
                break "stopped";
            }
            if answer.ids.len() as u64 >= sampling.max_new_tokens || answer.is_full(self.model) {
                break "length";
            }
            let id = answer.draw(&mut step.logits);
            if answer.ends_at(id) {
                break "end-token";
            }
            silent.push(id);
            if let Some(text) = answer.push(id)? {
                told(text, std::mem::take(&mut silent));
            }
            if answer.stopped {
                break "stop-text";
            }
            step = decoding.feed(&[id])?;
        };
        let rest = answer.finish()?;
        if !rest.is_empty() || !silent.is_empty() {
            told(rest, silent);
        }
        let stats = GenerateStats {
            prompt_tokens: ids.len() as u64,
            new_tokens: answer.ids.len() as u64,
            prefill_seconds,
            decode_seconds: began.elapsed().as_secs_f64(),
            finish: finish.into(),
        };
        Ok(Answered { text: answer.text, ids: answer.ids, stats })
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
}

impl<'a> Draft<'a> {
    pub fn new(encoder: &'a Encoder, prompt: &Prompt, sampling: &Sampling, ids: &[u32]) -> Self {
        let tokenizer = encoder.tokenizer();
        let stop_ids = match (sampling.ignore_eos, prompt) {
            (true, _) => Vec::new(),
            (false, Prompt::Messages(_) | Prompt::Templated { .. }) => {
                encoder.stop_ids().iter().copied().collect()
            }
            (false, Prompt::Text(_) | Prompt::Ids(_)) => tokenizer.stop_ids().iter().copied().collect(),
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
        }
    }

    fn draw(&mut self, logits: &mut [f32]) -> u32 {
        self.sampler.draw(logits, &self.so_far)
    }

    fn ends_at(&self, id: u32) -> bool {
        self.stop_ids.contains(&id)
    }

    fn is_full(&self, model: &Model) -> bool {
        model.info.learned_positions && self.so_far.len() >= model.info.context
    }

    /// Takes a token; returns text that can be shown.
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
