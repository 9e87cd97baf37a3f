//! A question and its answer, each cut to a length of its own, as the fine-tuning scripts of ChatGLM do.
//!
//! The *source* is what precedes the last answer. It is cut on its right, in front of the first marker that the
//! template puts between the question's words and the answer (ChatGLM-6B's `[gMASK]<sop>`, a role's token); where
//! there is none (ChatGLM2's `\n\n答：`), at its very end. The *target* is the answer's text, cut on its right; the
//! token that ends it stays.
//!
//! How they are counted follows from the marker, too. Where one opens the answer, it and what closes the answer count
//! as target: ChatGLM-6B keeps `S - 1` tokens of the question beside `[gMASK]`, and `T - 2` of the answer between
//! `<sop>` and `<eop>`. Where none does, the whole prompt with the markers at its head is the source and the text
//! alone the target: ChatGLM2 keeps `S`, then `T`, then the end token (ptuning/main.py of both).

use std::ops::Range;

use protocol::TokenRole;

use super::turns::Turns;
use super::{Draft, EncodeOptions};
use crate::record::Changes;
use crate::tokenizer::Encoding;

/// Where source and target lie among a row's tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parts {
    /// The source may be cut up to here; what stands between this and the answer stays.
    source_end: usize,
    /// The first token of what opens the answer; the answer's first where nothing does.
    opener: usize,
    /// Tokens of the answer's text.
    answer: Range<usize>,
    /// Behind what closes the answer.
    end: usize,
}

impl Parts {
    /// A completion has no markers: the answer is what was asked for, its end token stays.
    pub fn of_completion(encoding: &Encoding, border: usize, stop: Option<usize>) -> Self {
        let end = encoding.ids.len();
        let answer = encoding.offsets.partition_point(|(start, _)| *start < border).min(end);
        let text_end = stop.unwrap_or(end).max(answer);
        Self { source_end: answer, opener: answer, answer: answer..text_end, end }
    }

    /// Tokens that are too many, of the source and of the target.
    fn excess(&self, options: &EncodeOptions) -> [Range<usize>; 2] {
        let opened = self.opener < self.answer.start;
        let around = if opened { self.answer.start - self.opener + self.end - self.answer.end } else { 0 };
        let source = (options.max_source_length, self.opener - self.source_end, 0..self.source_end);
        let target = (options.max_target_length, around, self.answer.clone());
        [source, target].map(|(limit, stays, text)| match limit {
            0 => text.end..text.end,
            _ => text.end.min(text.start + limit.saturating_sub(stays))..text.end,
        })
    }
}

impl Turns<'_> {
    /// The last answer and what precedes it; none where no answer was found.
    pub(super) fn last_answer(&self, roles: &[TokenRole]) -> Option<Parts> {
        let last = self.rendered.answers.last()?;
        let tokens = self.answer_tokens(last);
        let text_end = last.content_end.map_or(tokens.end, |end| self.first_token(end));
        let answer = tokens.start..text_end.clamp(tokens.start, tokens.end.max(tokens.start));
        let template = roles[..answer.start].iter().rposition(|role| *role != TokenRole::Template);
        let template = template.map_or(0, |last| last + 1);
        let is_marker = |at: &usize| self.tokenizer.is_added(self.encoding.ids[*at]);
        let first = (template..answer.start).find(is_marker);
        let last_marker = (template..answer.start).rfind(is_marker);
        Some(Parts {
            source_end: first.unwrap_or(answer.start),
            opener: last_marker.unwrap_or(answer.start),
            end: self.encoding.ids.len(),
            answer,
        })
    }
}

impl Draft {
    /// Takes out what source and target have too much; tells how long they were.
    pub(super) fn limit(&mut self, options: &EncodeOptions) -> Changes {
        let Some(parts) = self.parts.take() else { return Changes::default() };
        let [source, target] = parts.excess(options);
        let before = |cut: &Range<usize>, whole: usize| (!cut.is_empty()).then_some(whole);
        let changes = Changes {
            source: before(&source, parts.source_end),
            target: before(&target, parts.answer.len()),
            escaped: None,
        };
        // From the right, so that the places on the left stay.
        self.take_out(target);
        self.take_out(source);
        changes
    }

    fn take_out(&mut self, cut: Range<usize>) {
        if cut.is_empty() {
            return;
        }
        self.stop = match self.stop {
            Some(at) if at >= cut.end => Some(at - cut.len()),
            Some(at) if at >= cut.start => None,
            other => other,
        };
        self.encoding.ids.drain(cut.clone());
        self.encoding.offsets.drain(cut.clone());
        self.encoding.added.drain(cut.clone());
        self.labels.drain(cut.clone());
        self.roles.drain(cut);
    }
}
