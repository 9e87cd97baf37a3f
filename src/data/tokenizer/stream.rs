//! Text as it is generated, token by token.

use protocol::Result;

use super::Tokenizer;

/// Tokens of the prompt that are kept before the first generated one.
const CONTEXT: usize = 8;
/// Broken characters at the end beyond this number are not going to become whole: a run of byte tokens
/// is read as broken throughout while its last character is incomplete, and a character has four bytes.
const PATIENCE: usize = 8;
/// Tokens without any text (skipped special ones) are forgotten beyond this.
const LONGEST_SILENCE: usize = 64;

/// Gives text only when it is whole characters, for byte-level and for byte-fallback tokenizers.
///
/// The last chunk stays in the window while the next one is decoded, because some decoders treat the
/// first token of a sequence in another way (SentencePiece's leading space).
#[derive(Debug)]
pub struct DecodeStream<'a> {
    tokenizer: &'a Tokenizer,
    skip_special: bool,
    window: Vec<u32>,
    /// Up to here the window's text was whole when it was last looked at.
    border: usize,
    /// What was already given of the window's text.
    said: String,
}

impl<'a> DecodeStream<'a> {
    pub(super) fn new(tokenizer: &'a Tokenizer, context: &[u32], skip_special: bool) -> Self {
        let window = context[context.len().saturating_sub(CONTEXT)..].to_vec();
        // A prompt that cannot be decoded gives no context; the first push reports the error.
        let said = tokenizer.decode(&window, skip_special).unwrap_or_default();
        Self { tokenizer, skip_special, border: window.len(), window, said }
    }

    /// Takes the next token; gives the text that is now complete, if any.
    pub fn push(&mut self, id: u32) -> Result<Option<String>> {
        self.window.push(id);
        self.advance(false)
    }

    /// What is left at the end, whole or not.
    pub fn finish(&mut self) -> Result<Option<String>> {
        self.advance(true)
    }

    fn advance(&mut self, force: bool) -> Result<Option<String>> {
        let text = self.tokenizer.decode(&self.window, self.skip_special)?;
        let whole = text.trim_end_matches(char::REPLACEMENT_CHARACTER);
        let broken = text[whole.len()..].chars().count();
        let clean = broken == 0 || broken > PATIENCE || force;
        let known = if clean { text.as_str() } else { whole };
        let Some(new) = known.strip_prefix(self.said.as_str()).map(str::to_owned) else {
            // A run of byte tokens reads as broken until its last character is whole.
            return if clean { self.start_anew() } else { Ok(None) };
        };
        self.said.push_str(&new);
        if clean && (!new.is_empty() || self.window.len() > LONGEST_SILENCE) {
            let kept = self.tokenizer.decode(&self.window[self.border..], self.skip_special)?;
            // Some decoders drop all blanks that a window begins with: it must hold more than these.
            if !kept.is_empty() || self.window.len() > LONGEST_SILENCE {
                self.window.drain(..self.border);
                self.said = kept;
            }
        }
        if clean {
            self.border = self.window.len();
        }
        Ok(Some(new).filter(|new| !new.is_empty()))
    }

    /// The decoder took back what it had said before: give the text of the new tokens alone.
    fn start_anew(&mut self) -> Result<Option<String>> {
        self.window.drain(..self.border);
        self.border = self.window.len();
        self.said = self.tokenizer.decode(&self.window, self.skip_special)?;
        Ok(Some(self.said.clone()).filter(|new| !new.is_empty()))
    }
}
