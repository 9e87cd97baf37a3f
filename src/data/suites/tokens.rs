//! Texts as tokens, the way lm-evaluation-harness 0.4.13 has them (`api/model.py`, `models/huggingface.py`, `utils.py`).

use protocol::{Result, Text, UserError};

use crate::tokenizer::Tokenizer;

/// Tokens that are given, and tokens that are foreseen from them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Never empty.
    pub context: Vec<u32>,
    pub continuation: Vec<u32>,
}

impl Tokenizer {
    /// A context and how it goes on: encoded together and split where the context alone would end. Blanks at the end of
    /// the context go to the continuation. Behind an empty context stands the token that texts begin with.
    ///
    /// # Errors
    /// When the continuation has no tokens, or an empty context needs a token that there is not.
    pub fn pair(&self, context: &str, continuation: &str) -> Result<Pair> {
        let bare = context.trim_end_matches(crate::metrics::is_blank);
        let continuation = format!("{}{continuation}", &context[bare.len()..]);
        let pair = if context.is_empty() {
            self.behind_nothing(&continuation)?
        } else if self.asks_for_answer() {
            // Tokens stand between the two: together they would be another text.
            let continuation = self.encode(&continuation, false)?.ids;
            Pair { context: self.encode_prompt(bare)?, continuation }
        } else {
            let context = self.text_ids(bare)?;
            let mut whole = self.text_ids(&format!("{bare}{continuation}"))?;
            let continuation = whole.split_off(context.len().min(whole.len()));
            let first = || self.first_token().map(|first| vec![first]);
            Pair { context: if context.is_empty() { first()? } else { context }, continuation }
        };
        if pair.continuation.is_empty() {
            return Err(UserError::bad_input(Text::fixed(
                "An answer has no tokens of its own behind its question",
                "回答在问题之后没有自己的词元",
            )));
        }
        Ok(pair)
    }

    /// A text in windows of `longest` tokens, each token foreseen once, from the token that texts begin with on: the last
    /// window reaches back as far as it can.
    ///
    /// # Errors
    /// When there is no token that texts begin with.
    pub fn windows(&self, text: &str, longest: usize) -> Result<Vec<Pair>> {
        Ok(windows(&self.text_ids(text)?, self.first_token()?, longest))
    }

    fn behind_nothing(&self, continuation: &str) -> Result<Pair> {
        let mut ids = self.encode(continuation, false)?.ids;
        let first = self.first_token()?;
        match ids.first() {
            Some(own) if *own == first => {
                let rest = ids.split_off(1);
                Ok(Pair { context: ids, continuation: rest })
            }
            _ => Ok(Pair { context: vec![first], continuation: ids }),
        }
    }

    /// A text with what the tokenizer puts around it, unless it begins so already.
    fn text_ids(&self, text: &str) -> Result<Vec<u32>> {
        let first = self.first_token().ok().and_then(|first| self.decode(&[first], false).ok());
        let begins = first.is_some_and(|first| !first.is_empty() && text.starts_with(&first));
        Ok(self.encode(text, !begins)?.ids)
    }

    /// The token that texts begin with, or else the one that ends them.
    fn first_token(&self) -> Result<u32> {
        self.bos().or(self.eos()).ok_or_else(|| {
            UserError::bad_input(Text::fixed(
                "The model has no token that texts begin with, and none that ends them",
                "该模型既没有起始词元，也没有结束词元",
            ))
        })
    }
}

/// `get_rolling_token_windows` with one token of context, then `make_disjoint_window`.
fn windows(ids: &[u32], first: u32, longest: usize) -> Vec<Pair> {
    let longest = longest.max(1);
    let whole: Vec<u32> = std::iter::once(first).chain(ids.iter().copied()).collect();
    let mut windows = Vec::new();
    let mut done = 0;
    while done < ids.len() {
        let until = ids.len().min(done + longest);
        // In `whole`, what is foreseen from `done` on stands one place further.
        let from = if done == 0 { 0 } else { until - longest };
        windows.push(Pair { context: whole[from..=done].to_vec(), continuation: ids[done..until].to_vec() });
        done = until;
    }
    windows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_is_foreseen_once() {
        let ids: Vec<u32> = (1..=7).collect();
        let pairs: Vec<_> =
            windows(&ids, 0, 3).into_iter().map(|pair| (pair.context, pair.continuation)).collect();
        // By the harness's two functions: tokens 1 to 7, prefix 0, windows of 3.
        assert_eq!(pairs, [(vec![0], vec![1, 2, 3]), (vec![3], vec![4, 5, 6]), (vec![4, 5, 6], vec![7])]);
        assert_eq!(windows(&ids, 0, 100).len(), 1);
        assert!(windows(&[], 0, 3).is_empty());
    }
}
