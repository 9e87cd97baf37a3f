//! CPM-Bee's tokenizer: longest match over a list of words, and special tokens written into the text.
//!
//! In a text `<name>` is a special token and `<<` a plain `<`. A special token that the vocabulary lacks
//! (`<option_1>`) and characters that it lacks get a place in the extension table of their row
//! ([`crate::bee`]). Rules: OpenBMB/CPM-Bee, `cpm_live/tokenizers/bee.py`.

mod source;
mod words;

use std::collections::HashMap;

use protocol::{Result, Text, UserError, text};

pub(super) use source::SOURCE;
pub use words::{Word, WordKind};
pub(crate) use words::{escape, is_special};

/// The longest published word has 32 bytes.
const MAX_WORD_BYTES: usize = 1024;
/// How the vocabulary spells a line end and a blank.
pub(super) const SPELLINGS: [(&str, &str); 2] = [("</n>", "\n"), ("</_>", " ")];
const ROOT: u32 = 0;

/// The vocabulary, with the tree of its words.
pub struct CpmBee {
    words: Vec<String>,
    ids: HashMap<String, u32>,
    special: Vec<bool>,
    /// From a node and a character to a node.
    branches: HashMap<(u32, char), u32>,
    /// The word that ends at a node.
    ends: Vec<Option<u32>>,
    pub ids_of: SpecialIds,
}

/// The tokens that rows are put together with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpecialIds {
    pub pad: u32,
    pub unknown: u32,
    pub begin: u32,
    pub end: u32,
}

impl std::fmt::Debug for CpmBee {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("CpmBee").field("words", &self.words.len()).finish_non_exhaustive()
    }
}

impl CpmBee {
    /// Reads a vocabulary: UTF-8, one word a line, its id the number of the line.
    ///
    /// # Errors
    /// When it is no text, a word occurs twice or is too long, or one of the tokens is missing that every
    /// row needs.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let source =
            std::str::from_utf8(bytes).map_err(|_| refuse("it is not UTF-8 text", "不是 UTF-8 文本"))?;
        let source = source.strip_prefix('\u{feff}').unwrap_or(source);
        let mut words = Vec::new();
        let mut ids = HashMap::new();
        for line in source.split('\n').flat_map(|line| line.strip_suffix('\r').unwrap_or(line).split('\r')) {
            if line.is_empty() {
                continue;
            }
            let word = SPELLINGS.iter().find(|(spelled, _)| *spelled == line).map_or(line, |(_, word)| word);
            check_word(word, words.len())?;
            let id = u32::try_from(words.len()).map_err(|_| refuse("it has too many words", "词条过多"))?;
            if ids.insert(word.to_owned(), id).is_some() {
                let shown = word.escape_debug();
                return Err(refuse(&format!("`{shown}` occurs twice"), &format!("`{shown}` 重复出现")));
            }
            words.push(word.to_owned());
        }
        Self::assemble(words, ids)
    }

    fn assemble(words: Vec<String>, ids: HashMap<String, u32>) -> Result<Self> {
        let need = |word: &str| {
            ids.get(word).copied().ok_or_else(|| {
                let shown = word.escape_debug();
                refuse(&format!("it has no `{shown}`"), &format!("缺少 `{shown}`"))
            })
        };
        for word in ["<mask>", "<root>", "<ans>", "\n", " "] {
            need(word)?;
        }
        let ids_of = SpecialIds {
            pad: need("<pad>")?,
            unknown: need("<unk>")?,
            begin: need("<s>")?,
            end: need("</s>")?,
        };
        let special: Vec<bool> = words.iter().map(|word| is_special(word)).collect();
        let mut made =
            Self { words: Vec::new(), ids, special, branches: HashMap::new(), ends: vec![None], ids_of };
        for (id, word) in
            (0u32..).zip(&words).filter(|(id, _)| !made.special[*id as usize]).collect::<Vec<_>>()
        {
            made.grow(word, id);
        }
        made.words = words;
        Ok(made)
    }

    fn grow(&mut self, word: &str, id: u32) {
        let mut node = ROOT;
        for character in word.chars() {
            // Fewer nodes than bytes in a vocabulary, which are limited.
            let next = self.ends.len() as u32;
            node = *self.branches.entry((node, character)).or_insert(next);
            if node == next {
                self.ends.push(None);
            }
        }
        self.ends[node as usize] = Some(id);
    }

    /// Number of words.
    pub fn len(&self) -> usize {
        self.words.len()
    }

    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    pub fn word(&self, id: u32) -> Option<&str> {
        self.words.get(id as usize).map(String::as_str)
    }

    pub fn id(&self, word: &str) -> Option<u32> {
        self.ids.get(word).copied()
    }

    /// Whether a token is written in angle brackets.
    pub fn is_special(&self, id: u32) -> bool {
        self.special.get(id as usize).copied().unwrap_or(false)
    }

    /// Ids of the special tokens.
    pub fn specials(&self) -> impl Iterator<Item = u32> {
        (0u32..).zip(&self.special).filter(|(_, special)| **special).map(|(id, _)| id)
    }
}

fn check_word(word: &str, line: usize) -> Result<()> {
    if word.len() > MAX_WORD_BYTES {
        let (line, length) = (line + 1, word.len());
        return Err(refuse(
            &format!("word {line} has {length} bytes"),
            &format!("第 {line} 个词有 {length} 字节"),
        ));
    }
    Ok(())
}

fn refuse(en: &str, zh: &str) -> UserError {
    UserError::bad_input(text!("This is no vocabulary of CPM-Bee: {en}", "这不是 CPM-Bee 的词表：{zh}")).mend(
        Text::fixed("fetch vocab.txt (bee.txt) of the model again", "请重新获取模型的 vocab.txt（bee.txt）"),
    )
}
