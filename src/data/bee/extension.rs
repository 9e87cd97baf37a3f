//! What a row holds and no vocabulary does: numbered special tokens and unknown words.

use std::collections::HashMap;

use crate::tokenizer::{CpmBee, is_special};

/// An entry of a row's extension table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtToken {
    /// The word of the vocabulary that stands for it: `<option>` for `<option_3>`, `<unk>` for unknown text.
    pub id: u32,
    /// Which of those with this id it is, by first appearance.
    pub sub: u32,
    pub text: String,
}

/// The table of one row while it is read.
pub(super) struct Extension<'a> {
    tokenizer: &'a CpmBee,
    by_text: HashMap<String, usize>,
    /// Entries of each id.
    counts: HashMap<u32, u32>,
    pub tokens: Vec<ExtToken>,
}

impl<'a> Extension<'a> {
    pub fn new(tokenizer: &'a CpmBee) -> Self {
        Self { tokenizer, by_text: HashMap::new(), counts: HashMap::new(), tokens: Vec::new() }
    }

    /// Id and sub id of a text that is no word.
    pub fn find(&mut self, text: &str) -> (u32, u32) {
        let at = match self.by_text.get(text) {
            Some(at) => *at,
            None => self.add(text),
        };
        (self.tokens[at].id, self.tokens[at].sub)
    }

    fn add(&mut self, text: &str) -> usize {
        let special = is_special(text).then(|| self.tokenizer.base(text)).flatten();
        let id = special.unwrap_or(self.tokenizer.ids_of.unknown);
        let count = self.counts.entry(id).or_default();
        self.tokens.push(ExtToken { id, sub: *count, text: text.to_owned() });
        *count += 1;
        self.by_text.insert(text.to_owned(), self.tokens.len() - 1);
        self.tokens.len() - 1
    }
}
