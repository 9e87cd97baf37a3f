//! `generate` and `chat`.

use std::time::Instant;

use data::{Tokenizer, message};
use protocol::{Control, Event, GenerateRequest, GenerateStats, Prompt, RequestId, Result, Text, UserError};

use crate::generate::{Decoding, Sampler};
use crate::session::{Loaded, Session};
use crate::sink::Sink;

/// Answers a prompt, token by token.
pub fn generate(
    request: RequestId,
    wanted: &GenerateRequest,
    session: &mut Session,
    control: &Control,
    sink: &mut Sink,
) -> Result<()> {
    let loading = Text::fixed("loading the model", "加载模型");
    let loaded = session
        .load(&wanted.model, &mut |done, total| sink.progress(request, loading.clone(), done, total, None))?;
    let adapter = match wanted.adapter {
        None => None,
        Some(index) => Some(wanted.model.adapters.get(index).ok_or_else(|| {
            UserError::bad_input(Text::fixed("There is no adapter of that number", "没有该编号的适配器"))
        })?),
    };
    let prompt = prompt_ids(loaded, &wanted.prompt)?;
    let mut answer = Answer::new(loaded, wanted, &prompt)?;
    let decoding = Decoding::new(&loaded.model, loaded.adapter(adapter));
    let began = Instant::now();
    let mut step = decoding.feed(&prompt)?;
    let prefill_seconds = began.elapsed().as_secs_f64();
    let began = Instant::now();
    let finish = loop {
        if control.stop_wanted() {
            break "stopped";
        }
        if answer.ids.len() as u64 >= wanted.sampling.max_new_tokens || answer.is_full(&loaded.model) {
            break "length";
        }
        let id = answer.draw(&mut step.logits);
        if answer.ends_at(id) {
            break "end-token";
        }
        let whole = answer.push(id)?;
        if let Some(text) = whole {
            sink.emit(Event::Delta { request, text, ids: vec![id] });
        }
        if answer.stopped {
            break "stop-text";
        }
        step = decoding.feed(&[id])?;
    };
    let rest = answer.finish()?;
    if !rest.is_empty() {
        sink.emit(Event::Delta { request, text: rest, ids: Vec::new() });
    }
    let stats = GenerateStats {
        prompt_tokens: prompt.len() as u64,
        new_tokens: answer.ids.len() as u64,
        prefill_seconds,
        decode_seconds: began.elapsed().as_secs_f64(),
        finish: finish.into(),
    };
    sink.emit(Event::Generated { request, text: answer.text, ids: answer.ids, stats });
    Ok(())
}

fn prompt_ids(loaded: &Loaded, prompt: &Prompt) -> Result<Vec<u32>> {
    Ok(match prompt {
        Prompt::Ids(ids) => ids.clone(),
        Prompt::Text(text) => loaded.tokenizer()?.encode_prompt(text)?,
        Prompt::Messages(messages) => {
            let messages: Vec<_> = messages.iter().map(|turn| message(&turn.role, &turn.content)).collect();
            loaded.encoder()?.render_chat(&messages, None)?.ids
        }
    })
}

/// The answer so far.
struct Answer<'a> {
    sampler: Sampler,
    /// Prompt and answer: what the repetition penalty looks at.
    so_far: Vec<u32>,
    ids: Vec<u32>,
    text: String,
    /// Text held back because a stop text may be beginning in it.
    held: String,
    stream: data::DecodeStream<'a>,
    tokenizer: &'a Tokenizer,
    stop_ids: Vec<u32>,
    stop_texts: Vec<String>,
    stopped: bool,
}

impl<'a> Answer<'a> {
    fn new(loaded: &'a Loaded, wanted: &GenerateRequest, prompt: &[u32]) -> Result<Self> {
        let tokenizer = loaded.tokenizer()?;
        let stop_ids = match (wanted.sampling.ignore_eos, &wanted.prompt) {
            (true, _) => Vec::new(),
            (false, Prompt::Messages(_)) => loaded.encoder()?.stop_ids().iter().copied().collect(),
            (false, Prompt::Text(_) | Prompt::Ids(_)) => tokenizer.stop_ids().iter().copied().collect(),
        };
        Ok(Self {
            sampler: Sampler::new(&wanted.sampling),
            so_far: prompt.to_vec(),
            ids: Vec::new(),
            text: String::new(),
            held: String::new(),
            stream: tokenizer.decode_stream(prompt, true),
            tokenizer,
            stop_ids,
            stop_texts: wanted.sampling.stop.iter().filter(|stop| !stop.is_empty()).cloned().collect(),
            stopped: false,
        })
    }

    fn draw(&mut self, logits: &mut [f32]) -> u32 {
        self.sampler.draw(logits, &self.so_far)
    }

    fn ends_at(&self, id: u32) -> bool {
        self.stop_ids.contains(&id)
    }

    fn is_full(&self, model: &crate::models::Model) -> bool {
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
    fn release(&mut self, piece: &str, all: bool) -> Option<String> {
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
