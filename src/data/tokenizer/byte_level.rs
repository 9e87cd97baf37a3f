//! Byte-level BPE, from whichever file its vocabulary comes: GPT-2's letters for bytes, the merges, and the
//! expression that parts a text into words.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use protocol::{Result, UserError, text};
use tokenizers::decoders::byte_level::ByteLevel;
use tokenizers::models::bpe::BPE;
use tokenizers::normalizers::unicode::NFC;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{AddedToken, PreTokenizerWrapper, SplitDelimiterBehavior};

use super::engine::guarded;
use super::folder::Folder;
use super::pipeline::Pipeline;

/// A byte-level vocabulary and how its family parts texts.
#[derive(Debug)]
pub(super) struct ByteLevelBpe {
    /// Tokens in the letters of [`letter`].
    pub vocabulary: HashMap<String, u32>,
    /// The first is applied first.
    pub merges: Vec<(String, String)>,
    /// None: GPT-2's own.
    pub splitter: Option<&'static str>,
    pub composed: bool,
    /// A word that is a token is that token, whatever the merges say (tiktoken).
    pub whole_words: bool,
    /// A blank is put in front of a text.
    pub prefix_space: bool,
}

/// The letter that stands for a byte: printable ones for themselves, the others from U+0100 on.
pub(super) fn letter(byte: u8) -> char {
    let stands_for_itself = |byte: u8| matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
    if stands_for_itself(byte) {
        return char::from(byte);
    }
    let before = (0..byte).filter(|other| !stands_for_itself(*other)).count() as u32;
    char::from_u32(256 + before).unwrap_or(char::REPLACEMENT_CHARACTER)
}

impl ByteLevelBpe {
    /// # Errors
    /// When the letters of bytes are missing, a merge is of tokens that do not exist, or the folder gives an id to two tokens.
    pub fn build(mut self, folder: &Folder, file: &Path) -> Result<Pipeline> {
        // Small vocabularies of GPT-2's kind leave bytes out; one without blanks is of another kind.
        let needed = if self.whole_words { 0..=255 } else { b' '..=b' ' };
        let has = |byte: &u8| self.vocabulary.contains_key(letter(*byte).to_string().as_str());
        if let Some(byte) = needed.into_iter().find(|byte| !has(byte)) {
            return Err(UserError::bad_input(text!(
                "This is no byte-level vocabulary: it has no token for the byte {byte}",
                "这不是字节级词表：缺少字节 {byte} 对应的词元"
            ))
            .in_file(file));
        }
        let added = self.declare(folder, file)?;
        let refuse = |err: String| {
            UserError::bad_input(text!(
                "The vocabulary and its merges do not fit: {err}",
                "词表与合并规则不一致：{err}"
            ))
            .in_file(file)
        };
        let largest = self.vocabulary.values().copied().max();
        let inner = guarded(move || self.assemble(added)).map_err(refuse)?;
        Ok(Pipeline::knowing(inner, largest))
    }

    /// Gives the tokens that the folder declares their ids. Returns all that are matched in texts as they are.
    fn declare(&mut self, folder: &Folder, file: &Path) -> Result<Vec<AddedToken>> {
        let mut owners: HashMap<u32, String> =
            self.vocabulary.iter().map(|(token, id)| (*id, token.clone())).collect();
        let mut added = BTreeMap::new();
        for (id, token) in folder.declared_tokens() {
            let name = &token.content;
            let owner = owners.entry(id).or_insert_with(|| name.clone());
            let known = *self.vocabulary.entry(name.clone()).or_insert(id);
            if owner != name || known != id {
                return Err(UserError::bad_input(text!(
                    "The folder gives the token {name} the id {id}, which the vocabulary has for {owner}",
                    "文件夹为词元 {name} 指定了编号 {id}，而词表中该编号属于 {owner}"
                ))
                .in_file(file));
            }
            added.insert(id, token);
        }
        for name in folder.special_names() {
            if let Some(id) = self.vocabulary.get(name) {
                added.entry(*id).or_insert_with(|| AddedToken::from(name, true));
            }
        }
        Ok(added.into_values().collect())
    }

    fn assemble(self, added: Vec<AddedToken>) -> tokenizers::Result<tokenizers::Tokenizer> {
        let model = BPE::builder()
            .vocab_and_merges(
                self.vocabulary.into_iter().collect::<tokenizers::models::bpe::Vocab>(),
                self.merges,
            )
            .ignore_merges(self.whole_words)
            .build()?;
        let mut inner = tokenizers::Tokenizer::new(model);
        if self.composed {
            inner.with_normalizer(Some(NFC))?;
        }
        let letters = ByteLevel::new(self.prefix_space, true, self.splitter.is_none());
        let before: PreTokenizerWrapper = match self.splitter {
            None => letters.into(),
            Some(expression) => {
                let pattern = SplitPattern::Regex(expression.to_owned());
                let split = Split::new(pattern, SplitDelimiterBehavior::Isolated, false)?;
                Sequence::new(vec![split.into(), letters.into()]).into()
            }
        };
        inner.with_pre_tokenizer(Some(before));
        inner.with_decoder(Some(ByteLevel::default()));
        inner.add_tokens(added)?;
        Ok(inner)
    }
}

#[cfg(test)]
mod tests {
    use tokenizers::pre_tokenizers::byte_level::ByteLevel;

    use super::*;

    #[test]
    fn letters_are_those_of_byte_level_tokenizers() {
        let letters: std::collections::HashSet<char> = (0..=255).map(letter).collect();
        assert_eq!(letters, ByteLevel::alphabet().into_iter().collect());
        assert_eq!((letter(b' '), letter(b'\n'), letter(0xAD), letter(b'a')), ('Ġ', 'Ċ', 'Ń', 'a'));
    }
}
