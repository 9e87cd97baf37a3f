//! Text as it is generated, token by token.

use protocol::Result;

use super::Tokenizer;

/// Context tokens kept before what was already said: decoders look back at most at the token before
/// (leading spaces), and at a run of byte tokens (four make the longest character).
const CONTEXT: usize = 8;
/// So many tokens without whole characters are not going to become any.
const PATIENCE: usize = 8;
/// Tokens without any text (skipped special ones) are forgotten beyond this.
const LONGEST_WINDOW: usize = 64;

/// Gives text only when it is whole characters, for byte-level and for byte-fallback tokenizers.
///
/// The last chunk stays in the window while the next one is decoded, because some decoders treat the
/// first token of a sequence in another way (SentencePiece's leading space).
#[derive(Debug)]
pub struct DecodeStream<'a> {
    tokenizer: &'a Tokenizer,
    skip_special: bool,
    /// Tokens whose text was given, then tokens whose text was not.
    window: Vec<u32>,
    given: usize,
}

impl<'a> DecodeStream<'a> {
    pub(super) fn new(tokenizer: &'a Tokenizer, context: &[u32], skip_special: bool) -> Self {
        let window = context[context.len().saturating_sub(CONTEXT)..].to_vec();
        Self { tokenizer, skip_special, given: window.len(), window }
    }

    /// Takes the next token; gives the text that is now complete, if any.
    pub fn push(&mut self, id: u32) -> Result<Option<String>> {
        self.window.push(id);
        self.advance(self.window.len() - self.given >= PATIENCE)
    }

    /// What is left at the end, whole or not.
    pub fn finish(&mut self) -> Result<Option<String>> {
        self.advance(true)
    }

    fn advance(&mut self, force: bool) -> Result<Option<String>> {
        if self.given == self.window.len() {
            return Ok(None);
        }
        let text = self.tokenizer.decode(&self.window, self.skip_special)?;
        if text.ends_with(char::REPLACEMENT_CHARACTER) && !force {
            return Ok(None);
        }
        let said = self.tokenizer.decode(&self.window[..self.given], self.skip_special)?;
        let new = match text.strip_prefix(&said) {
            Some(new) => new.to_owned(),
            // A run of byte tokens that ended inside a character is read anew with the next byte.
            None => self.tokenizer.decode(&self.window[self.given..], self.skip_special)?,
        };
        // Cut only between whole chunks: a window that begins inside a character never becomes whole.
        if !new.is_empty() || self.window.len() > LONGEST_WINDOW {
            self.window.drain(..self.given);
        }
        self.given = self.window.len();
        Ok(Some(new).filter(|new| !new.is_empty()))
    }
}
