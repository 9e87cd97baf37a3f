//! Many answers side by side: prompts of any lengths share each step of the model, a row that has ended makes room for one
//! that waits, and each answer is the one that it would be alone.

use std::iter::{Enumerate, Peekable};
use std::time::Instant;

use burn::tensor::{DType, Tensor};
use data::ChatPrompt;
use protocol::{Result, Sampling};
use rayon::prelude::*;

use super::answer::Draft;
use super::lanes::Lanes;
use super::prefill::Prefill;
use super::score::{read_f32, read_ids};
use super::{Answered, BatchLimit, Speaker};

/// Of the rows side by side, one in so many may have ended before others take their places.
const TURNOVER: usize = 8;

/// What is fed for a row that rests.
const NOTHING: &[u32] = &[0];

/// A prompt that waits for its answer.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Whether the template's end of a turn ends the answer.
    pub chat: bool,
    /// The prompt as the model sees it.
    pub rendered: ChatPrompt,
    /// Of its own, so that what is drawn is the same whatever else is asked.
    pub seed: u64,
}

/// Hears of answers.
pub trait Listener {
    /// Whether to break off: asked before every token.
    fn stopped(&mut self) -> bool;

    /// The answer to prompt `number` (0-based). They come as they end.
    ///
    /// # Errors
    /// Ends the work.
    fn answered(&mut self, number: usize, answer: Answered) -> Result<()>;
}

impl Speaker<'_> {
    /// Whether several prompts go on side by side. Families that read a prompt as a whole, and dicts, go one at a time.
    pub fn answers_side_by_side(&self) -> bool {
        Prefill::serves(self.model)
    }

    /// Answers all prompts; false if that was broken off.
    ///
    /// # Errors
    /// When a prompt has no tokens, an id or position lies outside the model, or the device fails.
    pub fn answer_all(
        &self,
        asked: &mut dyn Iterator<Item = Asked>,
        sampling: &Sampling,
        limit: &BatchLimit,
        listener: &mut dyn Listener,
    ) -> Result<bool> {
        if !self.answers_side_by_side() {
            return self.answer_each(asked, sampling, listener);
        }
        let mut choir = Choir::new(self, sampling, limit);
        let mut waiting = asked.enumerate().peekable();
        loop {
            if listener.stopped() {
                return Ok(false);
            }
            if choir.wants_others(waiting.peek().is_some()) {
                choir.let_in(&mut waiting, listener)?;
            }
            if choir.rows.iter().all(Option::is_none) {
                match waiting.peek() {
                    Some(_) => continue,
                    None => return Ok(true),
                }
            }
            choir.step(listener)?;
        }
    }

    /// One after the other.
    fn answer_each(
        &self,
        asked: &mut dyn Iterator<Item = Asked>,
        sampling: &Sampling,
        listener: &mut dyn Listener,
    ) -> Result<bool> {
        for (number, Asked { chat, rendered, seed }) in asked.enumerate() {
            let sampling = Sampling { seed, ..sampling.clone() };
            let mut stopped = || listener.stopped();
            let answer = self.answer_rendered((chat, rendered), &sampling, &mut stopped, &mut |_, _| {})?;
            if answer.stats.finish == "stopped" {
                return Ok(false);
            }
            listener.answered(number, answer)?;
        }
        Ok(true)
    }
}

/// Prompts that wait, with their numbers.
type Waiting<'w> = Peekable<Enumerate<&'w mut dyn Iterator<Item = Asked>>>;

/// A row under way.
struct Singer<'a> {
    number: usize,
    draft: Draft<'a>,
}

/// Rows that share the model's steps.
struct Choir<'a> {
    speaker: &'a Speaker<'a>,
    sampling: &'a Sampling,
    limit: &'a BatchLimit,
    prefill: Prefill<'a>,
    lanes: Lanes<'a>,
    /// One a lane; none where a row has ended.
    rows: Vec<Option<Singer<'a>>>,
}

impl<'a> Choir<'a> {
    fn new(speaker: &'a Speaker<'a>, sampling: &'a Sampling, limit: &'a BatchLimit) -> Self {
        Self {
            speaker,
            sampling,
            limit,
            prefill: Prefill::new(speaker.model, speaker.adapter),
            lanes: Lanes::new(speaker.model, speaker.adapter),
            rows: Vec::new(),
        }
    }

    /// Whether so many rows have ended that it pays to move the others together.
    fn wants_others(&self, waiting: bool) -> bool {
        let at_work = self.rows.iter().flatten().count();
        let ended = self.rows.len() - at_work;
        if waiting {
            return at_work == 0 || ended * TURNOVER >= self.rows.len() && ended > 0;
        }
        ended * 2 >= self.rows.len() && ended > 0
    }

    /// Moves the rows at work together and puts waiting ones beside them, as many as there is room for.
    fn let_in(&mut self, waiting: &mut Waiting<'_>, listener: &mut dyn Listener) -> Result<()> {
        loop {
            let at_work: Vec<usize> = (0..self.rows.len()).filter(|row| self.rows[*row].is_some()).collect();
            let mut most = self.longest(&at_work);
            let mut joining: Vec<Option<(usize, Asked)>> = Vec::new();
            while let Some((_, next)) = waiting.peek() {
                most = most.max(self.keys(next.rendered.ids.len()));
                if !self.limit.holds(at_work.len() + joining.len() + 1, most) {
                    break;
                }
                joining.push(waiting.next());
            }
            self.keep(&at_work);
            if joining.is_empty() {
                return Ok(());
            }
            let lengths: Vec<usize> =
                joining.iter().flatten().map(|(_, asked)| asked.rendered.ids.len()).collect();
            for batch in self.limit.batches(&lengths, &|_, _| true) {
                if listener.stopped() {
                    return Ok(());
                }
                let batch: Vec<_> = batch.iter().filter_map(|row| joining[*row].take()).collect();
                self.begin(batch, listener)?;
            }
        }
    }

    /// Places that a row with a prompt of so many tokens may come to take.
    fn keys(&self, tokens: usize) -> usize {
        tokens.saturating_add(usize::try_from(self.sampling.max_new_tokens).unwrap_or(usize::MAX))
    }

    fn longest(&self, rows: &[usize]) -> usize {
        let singers = rows.iter().filter_map(|row| self.rows[*row].as_ref());
        singers.map(|singer| self.keys(singer.draft.prompt_tokens())).max().unwrap_or(0)
    }

    /// Goes on with these rows alone.
    fn keep(&mut self, rows: &[usize]) {
        if rows.len() < self.rows.len() {
            self.lanes.take(rows, None);
            self.rows.retain(Option::is_some);
        }
    }

    /// Reads prompts, draws the first token of each answer, and puts those beside the rows at work that go on.
    fn begin(&mut self, asked: Vec<(usize, Asked)>, listener: &mut dyn Listener) -> Result<()> {
        let began = Instant::now();
        let prompts: Vec<&[u32]> = asked.iter().map(|(_, asked)| asked.rendered.ids.as_slice()).collect();
        let filled = self.prefill.fill(&prompts)?;
        let singer = |(number, asked): &(usize, Asked)| {
            let sampling = Sampling { seed: asked.seed, ..self.sampling.clone() };
            let mut draft = Draft::new(self.speaker.encoder, asked.chat, &sampling, &asked.rendered.ids);
            draft.prompt_is_read(began);
            Some(Singer { number: *number, draft })
        };
        let mut joining: Vec<Option<Singer<'a>>> = asked.iter().map(singer).collect();
        self.say(&mut joining, filled.last.clone(), listener)?;
        let going: Vec<usize> = (0..joining.len()).filter(|row| joining[*row].is_some()).collect();
        if !going.is_empty() {
            let kept: Vec<usize> = (0..self.rows.len()).collect();
            self.lanes.take(&kept, Some((&filled, going.as_slice())));
            self.rows.extend(joining.into_iter().filter(Option::is_some));
        }
        Ok(())
    }

    /// One token of every row.
    fn step(&mut self, listener: &mut dyn Listener) -> Result<()> {
        let newest: Vec<&[u32]> = self
            .rows
            .iter()
            .map(|row| row.as_ref().map_or(NOTHING, |singer| singer.draft.newest()))
            .collect();
        let hidden = self.lanes.feed(&newest)?;
        let [rows, time, width] = hidden.dims();
        let mut singers = std::mem::take(&mut self.rows);
        let said = self.say(&mut singers, hidden.reshape([rows * time, width]), listener);
        self.rows = singers;
        for row in (0..self.rows.len()).filter(|row| self.rows[*row].is_none()) {
            self.lanes.rest(row);
        }
        said
    }

    /// Draws a token for every row after its hidden state `[rows, hidden]`, and tells the answers that end.
    fn say(
        &self,
        singers: &mut [Option<Singer<'a>>],
        hidden: Tensor<2>,
        listener: &mut dyn Listener,
    ) -> Result<()> {
        let model = self.speaker.model;
        let logits = self.lanes.logits(hidden);
        let [rows, columns] = logits.dims();
        let ends: Vec<Option<&'static str>> = if self.draws_likeliest() {
            let best = read_ids(logits.cast(DType::F32).argmax(1).reshape([rows]))?;
            let taken = singers.iter_mut().zip(best).map(|(singer, id)| match singer {
                Some(singer) => singer.draft.take(id, model, &mut |_, _| {}),
                None => Ok(None),
            });
            taken.collect::<Result<_>>()?
        } else {
            let mut logits = read_f32(logits.reshape([rows * columns]))?;
            let all = singers.par_iter_mut().zip(logits.par_chunks_mut(columns.max(1)));
            let said = all.map(|(singer, logits)| match singer {
                Some(singer) => singer.draft.say(logits, model, &mut |_, _| {}),
                None => Ok(None),
            });
            said.collect::<Result<_>>()?
        };
        for (singer, end) in singers.iter_mut().zip(ends) {
            if let Some(finish) = end
                && let Some(Singer { number, draft }) = singer.take()
            {
                listener.answered(number, draft.end(finish, &mut |_, _| {})?)?;
            }
        }
        Ok(())
    }

    /// Whether the device can choose the tokens by itself.
    fn draws_likeliest(&self) -> bool {
        self.sampling.temperature <= 0.0 && self.sampling.repetition_penalty == 1.0
    }
}
