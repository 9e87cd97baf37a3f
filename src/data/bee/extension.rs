//! What a row holds and no vocabulary does: numbered special tokens and unknown words.

use std::collections::HashMap;

use protocol::{Result, Text, UserError, text};

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
    ///
    /// # Errors
    /// When it is a special token whose name the vocabulary does not have.
    pub fn find(&mut self, text: &str) -> Result<(u32, u32)> {
        let at = match self.by_text.get(text) {
            Some(at) => *at,
            None => self.add(text)?,
        };
        Ok((self.tokens[at].id, self.tokens[at].sub))
    }

    fn add(&mut self, text: &str) -> Result<usize> {
        let id = self.base(text)?;
        let count = self.counts.entry(id).or_default();
        self.tokens.push(ExtToken { id, sub: *count, text: text.to_owned() });
        *count += 1;
        self.by_text.insert(text.to_owned(), self.tokens.len() - 1);
        Ok(self.tokens.len() - 1)
    }

    /// A special token's name ends at the first underscore.
    fn base(&self, text: &str) -> Result<u32> {
        if !is_special(text) {
            return Ok(self.tokenizer.ids_of.unknown);
        }
        let inside = &text[1..text.len() - 1];
        let name = inside.split_once('_').map_or(inside, |(name, _)| name);
        self.tokenizer.id(&format!("<{name}>")).ok_or_else(|| {
            let shown: String = text.chars().take(40).collect();
            UserError::bad_input(text!(
                "`{shown}` is no special token of this model",
                "`{shown}` 不是该模型的特殊词元"
            ))
            .mend(Text::fixed(
                "write `<<` for a plain `<`; special tokens are <sep>, <mask_0>, <option_0> and the like",
                "普通的 `<` 请写作 `<<`；特殊词元形如 <sep>、<mask_0>、<option_0>",
            ))
        })
    }
}
