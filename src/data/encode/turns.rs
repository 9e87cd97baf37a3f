//! From the spans of a rendering to the tokens that bear loss.

use std::collections::BTreeSet;
use std::ops::Range;

use protocol::config::TrainOn;
use protocol::{Result, Text, TokenRole, UserError, text};

use crate::record::Role;
use crate::template::{Answer, Chat, Rendered};
use crate::tokenizer::{Encoding, Tokenizer};

/// A rendered conversation and its tokens.
pub(super) struct Turns<'a> {
    pub chat: &'a Chat<'a>,
    pub rendered: &'a Rendered,
    pub encoding: &'a Encoding,
    pub tokenizer: &'a Tokenizer,
    /// Tokens that end an answer.
    pub stop_ids: &'a BTreeSet<u32>,
    /// The end token of a template that writes none behind past answers.
    pub silent_end: Option<u32>,
}

/// What bears loss.
pub(super) struct Learned {
    /// Ranges of token positions.
    pub spans: Vec<Range<usize>>,
    /// Position of the learned token that ends the last answer.
    pub stop: Option<usize>,
    /// Positions behind past answers, where the end token is learned instead of the token that stands there.
    pub silent_ends: Vec<usize>,
}

impl Learned {
    pub fn covers(&self, token: usize) -> bool {
        self.spans.iter().any(|span| span.contains(&token))
    }
}

impl Turns<'_> {
    /// A token is learned if it begins inside a span.
    ///
    /// # Errors
    /// When it cannot be told where an answer without content (a tool call) ends.
    pub fn learned(&self, train_on: TrainOn) -> Result<Learned> {
        let mut spans: Vec<Range<usize>> = match &self.rendered.generated {
            Some(ranges) => ranges.iter().map(|range| self.tokens(range)).collect(),
            None => {
                self.rendered.answers.iter().map(|answer| self.known_tokens(answer)).collect::<Result<_>>()?
            }
        };
        if train_on == TrainOn::LastResponse {
            let first = match (&self.rendered.generated, self.rendered.answers.last()) {
                (Some(_), Some(answer)) => {
                    spans.partition_point(|span| span.end <= self.first_token(answer.start))
                }
                _ => spans.len().saturating_sub(1),
            };
            spans.drain(..first.min(spans.len().saturating_sub(1)));
        }
        let last = spans.last().and_then(|span| span.clone().next_back());
        let silent_ends = self.silent_ends(&spans);
        let stop = last.filter(|at| self.is_end(*at)).or_else(|| {
            let behind = last.map(|at| at + 1);
            behind.filter(|at| silent_ends.contains(at))
        });
        Ok(Learned { spans, stop, silent_ends })
    }

    /// Behind each answer that is not closed by a token of its own and is not the end of the text.
    fn silent_ends(&self, spans: &[Range<usize>]) -> Vec<usize> {
        if self.silent_end.is_none() {
            return Vec::new();
        }
        let is_open = |span: &&Range<usize>| !span.is_empty() && !self.is_stop(span.end - 1);
        let open = spans.iter().filter(is_open);
        open.map(|span| span.end).filter(|end| *end < self.encoding.ids.len()).collect()
    }

    fn known_tokens(&self, answer: &Answer) -> Result<Range<usize>> {
        let tokens = self.answer_tokens(answer);
        if tokens.is_empty() && answer.content_end.is_none() && answer.turn_end.is_none() {
            let number = answer.message + 1;
            return Err(UserError::bad_input(text!(
                "It cannot be told where the answer in message {number} ends: the template writes no end token after it",
                "无法确定第 {number} 条消息中的回答在何处结束：模板没有在其后写出结束词元"
            ))
            .mend(Text::fixed(
                "put {% generation %} … {% endgeneration %} around what the assistant writes in the template",
                "请在模板中用 {% generation %} … {% endgeneration %} 包住助手的输出",
            )));
        }
        Ok(tokens)
    }

    pub fn roles(&self) -> Vec<TokenRole> {
        let mut roles = vec![TokenRole::Template; self.encoding.ids.len()];
        for answer in &self.rendered.answers {
            if answer.content_end.is_none() {
                roles[self.answer_tokens(answer)].fill(TokenRole::Assistant);
            }
        }
        for (message, content) in self.chat.messages.iter().zip(&self.rendered.contents) {
            if let Some(range) = content {
                roles[self.tokens(range)].fill(token_role(message.role));
            }
        }
        roles
    }

    /// The token at which the template ends this answer.
    pub fn end_token(&self, answer: &Answer) -> Option<u32> {
        let last = self.answer_tokens(answer).next_back()?;
        self.is_end(last).then(|| self.encoding.ids[last])
    }

    pub(super) fn answer_tokens(&self, answer: &Answer) -> Range<usize> {
        let start = self.first_token(answer.start);
        start..self.end_of_answer(answer).max(start)
    }

    /// The position behind an answer's last token. The answer goes on after its content to the first
    /// of the model's end tokens; if the turn has none, to its last token that is a marker; if it has
    /// none either, to the last text that the template writes for it. A template that ends no turn (GLM)
    /// lets the next turn's marker end it, if that is one of the model's end tokens. With a silent end,
    /// nothing behind the content belongs to the answer but the end token, if it is there.
    fn end_of_answer(&self, answer: &Answer) -> usize {
        let from = self.first_token(answer.content_end.unwrap_or(answer.start));
        let behind = self.first_token(answer.limit);
        if self.silent_end.is_some() {
            let next = (from..behind).find(|at| !self.is_blank(*at));
            return next.filter(|at| self.is_stop(*at)).map_or(from, |at| at + 1);
        }
        let turn = from..behind.max(from);
        let is_stop = |at: &usize| self.is_stop(*at);
        if answer.turn_end.is_none() {
            let stop = || turn.clone().find(is_stop).map(|at| at + 1);
            return match answer.content_end {
                Some(_) => self.marker_after(from, turn.end).or_else(stop).unwrap_or(from),
                None => stop().unwrap_or(from),
            };
        }
        let stop = if answer.content_end.is_some() {
            turn.clone().find(is_stop).or_else(|| turn.clone().rfind(|at| self.is_end(*at)))
        } else {
            turn.clone().rfind(|at| self.is_end(*at))
        };
        let written = || turn.clone().rfind(|at| !self.is_blank(*at));
        let next =
            || self.marker_after(turn.end, self.encoding.ids.len()).filter(|end| self.is_stop(end - 1));
        match stop {
            Some(at) => at + 1,
            None => next().or_else(|| written().map(|at| at + 1)).unwrap_or(from),
        }
    }

    /// Behind the first marker in the range, if only blanks precede it.
    fn marker_after(&self, from: usize, to: usize) -> Option<usize> {
        (from..to).find(|at| !self.is_blank(*at)).filter(|at| self.is_end(*at)).map(|at| at + 1)
    }

    fn is_stop(&self, at: usize) -> bool {
        self.stop_ids.contains(&self.encoding.ids[at])
    }

    fn is_end(&self, at: usize) -> bool {
        self.is_stop(at) || self.tokenizer.is_added(self.encoding.ids[at])
    }

    fn is_blank(&self, at: usize) -> bool {
        let (start, end) = self.encoding.offsets[at];
        self.rendered.text.get(start..end).is_some_and(|text| text.trim().is_empty())
    }

    fn tokens(&self, range: &Range<usize>) -> Range<usize> {
        let start = self.first_token(range.start);
        start..self.first_token(range.end).max(start)
    }

    /// The first token that begins at this byte or behind it.
    pub(super) fn first_token(&self, byte: usize) -> usize {
        self.encoding.offsets.partition_point(|(start, _)| *start < byte)
    }
}

fn token_role(role: Role) -> TokenRole {
    match role {
        Role::System => TokenRole::System,
        Role::User => TokenRole::User,
        Role::Assistant => TokenRole::Assistant,
        Role::Tool => TokenRole::Tool,
    }
}
