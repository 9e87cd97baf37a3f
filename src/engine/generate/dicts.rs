//! Answers to a dict (CPM-Bee): one after the other, each in the segment that the question keeps for it.
//! Rules: OpenBMB/CPM-Bee, `cpm_live/generation/bee.py`, with one beam.

use std::time::Instant;

use data::{BeePrompt, Column, CpmBee};
use protocol::{GenerateStats, Result, Sampling, Text, UserError};

use super::answer::Draft;
use super::{Answered, Decoding, Sampler, Speaker};
use crate::models::Model;
use crate::nn::AdapterView;

/// Score of what must not be said.
const FORBIDDEN: f32 = -10_000.0;

/// The drawing of a dict's answers.
pub struct Answers<'a> {
    decoding: Decoding<'a>,
    words: &'a CpmBee,
    vocabulary: usize,
    /// Columns of the logits behind the vocabulary's.
    columns: Vec<Column>,
    may_be_unknown: bool,
    never_ends: bool,
    segments: Vec<u32>,
    /// The answer under way.
    number: usize,
    /// Id and sub id of the token that goes in next.
    next: (u32, u32),
    /// Ids that went in since the question: what the repetition penalty looks at.
    fed: Vec<u32>,
}

/// A drawn token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drawn {
    /// Column of the logits: an id, or behind the vocabulary a token of the question's own.
    pub column: u32,
    pub id: u32,
    pub sub: u32,
    /// Which answer it belongs to, from 0 on.
    pub answer: usize,
    /// Whether it ends its answer.
    pub ends: bool,
}

impl<'a> Answers<'a> {
    /// Puts the question to the model.
    ///
    /// # Errors
    /// When nothing is asked, an id lies outside the model, or the device fails.
    pub fn new(
        model: &'a Model,
        adapter: Option<&'a dyn AdapterView>,
        words: &'a CpmBee,
        prompt: &BeePrompt,
    ) -> Result<Self> {
        let segments = prompt.segments();
        if segments.is_empty() {
            return Err(UserError::bad_input(Text::fixed(
                "The question asks for nothing: there is no text under `<ans>`",
                "没有要回答的内容：`<ans>` 下没有文本",
            )));
        }
        let decoding = Decoding::asked(model, adapter, prompt.row.clone());
        let columns = decoding.columns();
        decoding.feed(&prompt.ids)?;
        let special = words.ids_of;
        Ok(Self {
            decoding,
            words,
            vocabulary: model.info.vocabulary,
            columns,
            may_be_unknown: prompt.row.extension.iter().any(|token| token.id == special.unknown),
            never_ends: false,
            segments,
            number: 0,
            next: (special.begin, 0),
            fed: Vec::new(),
        })
    }

    /// The next token; none when the last answer has ended.
    ///
    /// # Errors
    /// When the device fails.
    pub fn draw(&mut self, sampler: &mut Sampler) -> Result<Option<Drawn>> {
        let Some(segment) = self.segments.get(self.number).copied() else { return Ok(None) };
        let (id, sub) = self.next;
        let mut step = self.decoding.say(id, sub, segment)?;
        self.fed.push(id);
        let special = self.words.ids_of;
        if let (Some(logit), false) = (step.logits.get_mut(special.unknown as usize), self.may_be_unknown) {
            *logit = FORBIDDEN;
        }
        if let (Some(logit), true) = (step.logits.get_mut(special.end as usize), self.never_ends) {
            *logit = FORBIDDEN;
        }
        let column = sampler.draw(&mut step.logits, &self.fed);
        let own = (column as usize).checked_sub(self.vocabulary).and_then(|entry| self.columns.get(entry));
        let (id, sub) = own.map_or((column, 0), |own| (own.id, own.sub));
        let ends = column == special.end;
        let drawn = Drawn { column, id, sub, answer: self.number, ends };
        self.next = if ends { (special.begin, 0) } else { (id, sub) };
        self.number += usize::from(ends);
        Ok(Some(drawn))
    }

    /// Whether every answer has ended.
    pub fn are_complete(&self) -> bool {
        self.number >= self.segments.len()
    }
}

impl Speaker<'_> {
    /// As [`answer`](Self::answer), for a dict: the answer's text, or the JSON of several. A single answer's
    /// text is told as it comes.
    pub(super) fn answer_dict(
        &self,
        (chat, asked): (bool, &BeePrompt),
        words: &CpmBee,
        sampling: &Sampling,
        stopped: &mut dyn FnMut() -> bool,
        told: &mut dyn FnMut(String, Vec<u32>),
    ) -> Result<Answered> {
        let began = Instant::now();
        let mut answers = Answers::new(self.model, self.adapter, words, asked)?;
        answers.never_ends = sampling.ignore_eos;
        let prefill_seconds = began.elapsed().as_secs_f64();
        let began = Instant::now();
        let mut sampler = Sampler::new(sampling);
        let mut draft = Draft::new(self.encoder, chat, sampling, &asked.ids);
        let mut texts: Vec<String> = Vec::new();
        let single = asked.fill(&[]).is_null();
        let mut silent = Vec::new();
        let finish = loop {
            if stopped() {
                break "stopped";
            }
            if draft.ids.len() as u64 >= sampling.max_new_tokens {
                break "length";
            }
            let Some(drawn) = answers.draw(&mut sampler)? else { break "end-token" };
            texts.resize(drawn.answer + 1, String::new());
            if drawn.ends && answers.are_complete() {
                break "end-token";
            }
            draft.ids.push(drawn.column);
            silent.push(drawn.column);
            if drawn.ends {
                continue;
            }
            let piece = asked.text(words, drawn.id, drawn.sub);
            texts[drawn.answer].push_str(piece);
            if let Some(text) = draft.release(piece, false).filter(|_| single) {
                told(text, std::mem::take(&mut silent));
            }
            if single && draft.stopped {
                break "stop-text";
            }
        };
        let rest = if single {
            if draft.stopped { String::new() } else { draft.release("", true).unwrap_or_default() }
        } else {
            draft.text = asked.fill(&texts).to_string();
            draft.text.clone()
        };
        if !rest.is_empty() || !silent.is_empty() {
            told(rest, silent);
        }
        let stats = GenerateStats {
            prompt_tokens: asked.ids.len() as u64,
            new_tokens: draft.ids.len() as u64,
            prefill_seconds,
            decode_seconds: began.elapsed().as_secs_f64(),
            finish: finish.into(),
        };
        Ok(Answered { text: draft.text, ids: draft.ids, stats })
    }
}
