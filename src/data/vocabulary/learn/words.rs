//! Texts as counted words: what pieces are learned within. As SentencePiece, a word begins at a blank and where the
//! script changes.

use std::collections::HashMap;
use std::path::Path;

use protocol::{Result, Text, text};

use crate::progress::Progress;
use crate::tokenizer::sentencepiece::BLANK;
use crate::vocabulary::texts::each_text;

/// Different words that are held, in bytes: when there are more, the rest of the texts is not read.
const MOST_BYTES: usize = 512 << 20;
/// Longer words are cut, in characters.
const LONGEST: usize = 64;

/// How often each word was seen.
#[derive(Default)]
pub(super) struct Words {
    pub counts: HashMap<Box<str>, u64>,
    bytes: usize,
    /// There were too many to read all texts.
    cut: bool,
    bad: u64,
}

/// What a character belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Script {
    Unspaced,
    Letters,
    Digits,
    Signs,
}

/// Whether a character is of a script that puts no blanks between words: Han, kana, Thai, Lao, Burmese, Khmer.
pub(super) fn is_unspaced(c: char) -> bool {
    matches!(u32::from(c), 0x2E80..=0x2FDF | 0x3005..=0x3007 | 0x3040..=0x30FF | 0x31F0..=0x31FF | 0x3400..=0x4DBF
        | 0x4E00..=0x9FFF | 0xF900..=0xFAFF | 0xFF66..=0xFF9F | 0x20000..=0x3FFFF
        | 0x0E00..=0x0EFF | 0x1000..=0x109F | 0x1780..=0x17FF)
}

fn script(c: char) -> Script {
    if is_unspaced(c) {
        Script::Unspaced
    } else if c.is_numeric() {
        Script::Digits
    } else if c.is_alphabetic() {
        Script::Letters
    } else {
        Script::Signs
    }
}

impl Words {
    /// Counts the words of a file's texts.
    ///
    /// # Errors
    /// When the file cannot be opened, or the user stopped. Rows that cannot be read are counted.
    pub fn read(&mut self, file: &Path, progress: &dyn Progress) -> Result<()> {
        let mut whole = true;
        self.bad += each_text(file, progress, &mut |text| {
            whole = self.bytes <= MOST_BYTES;
            if whole {
                self.add(text);
            }
            whole
        })?;
        self.cut |= !whole;
        Ok(())
    }

    pub fn notes(&self) -> Vec<Text> {
        let bad = self.bad;
        let unread = self.cut.then(|| {
            Text::fixed(
                "Not all of the texts is read: they have too many different words",
                "文本未全部读取：其中不同的词过多",
            )
        });
        let rows = (bad > 0).then(|| text!("{bad} rows cannot be read", "有 {bad} 行无法读取"));
        unread.into_iter().chain(rows).collect()
    }

    fn add(&mut self, text: &str) {
        for chunk in text.split_whitespace() {
            let mut word = String::from(BLANK);
            let mut length = 0;
            let mut before = None;
            for c in chunk.chars() {
                let now = script(c);
                if before.is_some_and(|before| before != now) || length == LONGEST {
                    self.count(&word);
                    word.clear();
                    length = 0;
                }
                before = Some(now);
                word.push(c);
                length += 1;
            }
            self.count(&word);
        }
    }

    fn count(&mut self, word: &str) {
        if let Some(count) = self.counts.get_mut(word) {
            *count += 1;
        } else {
            self.bytes += word.len() + 64;
            self.counts.insert(word.into(), 1);
        }
    }
}
