//! Tokens that the user lists.

use std::collections::HashSet;
use std::path::Path;

use protocol::{Result, Text, text};

use crate::tokenizer::{Tokenizer, read_text};

/// A million lines of some words each.
const MAX_BYTES: u64 = 256 << 20;
/// In bytes: what is longer is a text rather than a token.
const LONGEST: usize = 128;

/// Tokens to be added, and counts of what is not.
pub(super) struct List<'a> {
    tokenizer: &'a Tokenizer,
    tokens: Vec<String>,
    seen: HashSet<String>,
    left_out: LeftOut,
}

#[derive(Default)]
struct LeftOut {
    empty: u64,
    twice: u64,
    known: u64,
    long: u64,
}

impl<'a> List<'a> {
    pub fn new(tokenizer: &'a Tokenizer) -> Self {
        Self { tokenizer, tokens: Vec::new(), seen: HashSet::new(), left_out: LeftOut::default() }
    }

    pub fn add(&mut self, token: &str) {
        let left = &mut self.left_out;
        if token.trim().is_empty() || token.contains('\0') {
            left.empty += 1;
        } else if token.len() > LONGEST {
            left.long += 1;
        } else if self.seen.contains(token) {
            left.twice += 1;
        } else if is_known(self.tokenizer, token) {
            left.known += 1;
        } else {
            self.tokens.push(token.to_owned());
            self.seen.insert(token.to_owned());
        }
    }

    /// One a line; blanks around it are not part of it.
    ///
    /// # Errors
    /// When the file cannot be read or is no text.
    pub fn read(&mut self, file: &Path) -> Result<()> {
        let text = lines(file)?;
        text.trim_start_matches('\u{feff}').lines().for_each(|line| self.add(line.trim()));
        Ok(())
    }

    /// The new tokens in their order, and what was left out.
    pub fn finish(self) -> (Vec<String>, Vec<Text>) {
        let LeftOut { empty, twice, known, long } = self.left_out;
        let notes = [
            (empty, text!("{empty} empty tokens are left out", "略去 {empty} 个空词元")),
            (twice, text!("{twice} tokens are listed twice", "{twice} 个词元重复列出")),
            (known, text!("{known} tokens are in the tokenizer already", "{known} 个词元已在分词器中")),
            (
                long,
                text!(
                    "{long} tokens are left out: they are longer than {LONGEST} bytes",
                    "略去 {long} 个过长的词元（超过 {LONGEST} 字节）"
                ),
            ),
        ];
        let notes = notes.into_iter().filter(|(count, _)| *count > 0).map(|(_, note)| note);
        (self.tokens, notes.collect())
    }
}

/// # Errors
/// When the file cannot be read or is no text.
pub(super) fn lines(file: &Path) -> Result<String> {
    read_text(file, MAX_BYTES).map_err(|err| err.at_item("vocabulary.file"))
}

/// Whether a text is one token already, or the name of one.
pub(super) fn is_known(tokenizer: &Tokenizer, text: &str) -> bool {
    let spelled = || text.replace(' ', crate::tokenizer::sentencepiece::BLANK);
    let single =
        || tokenizer.inside(text).is_ok_and(|ids| ids.len() == 1 && Some(ids[0]) != tokenizer.unknown());
    tokenizer.id(text).is_some() || tokenizer.id(&spelled()).is_some() || single()
}
