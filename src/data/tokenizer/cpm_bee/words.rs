//! Cutting a text: special tokens at their brackets, the rest by the longest word that fits.

use std::borrow::Cow;
use std::ops::Range;

use protocol::{Text, UserError, text};

use super::{CpmBee, ROOT};

/// A stretch of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word<'a> {
    /// Without escapes.
    pub text: Cow<'a, str>,
    pub kind: WordKind,
    /// Its bytes in the text, escapes included.
    pub range: Range<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WordKind {
    Known(u32),
    /// `<name>`; with its id if the vocabulary has it.
    Special(Option<u32>),
    /// Characters that no word begins with.
    Unknown,
}

/// Why a text cannot be read: a `<` that opens a token which is not closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unclosed {
    /// Of the `<`, in bytes.
    pub at: usize,
}

impl CpmBee {
    /// Cuts a text into words. Characters without a word that follow each other are one.
    ///
    /// # Errors
    /// When a `<` opens a special token that is not closed before the next `<` or the end.
    pub fn words<'a>(&self, text: &'a str) -> std::result::Result<Vec<Word<'a>>, Unclosed> {
        let mut words = Vec::new();
        let mut plain = Vec::new();
        let mut at = 0;
        while let Some(character) = text[at..].chars().next() {
            let behind = at + character.len_utf8();
            if character != '<' {
                plain.push((character, at..behind));
                at = behind;
            } else if text[behind..].starts_with('<') {
                plain.push(('<', at..behind + 1));
                at = behind + 1;
            } else {
                self.match_words(text, &plain, &mut words);
                plain.clear();
                let end = end_of_special(text, at).ok_or(Unclosed { at })?;
                words.push(self.special_word(text, at..end));
                at = end;
            }
        }
        self.match_words(text, &plain, &mut words);
        Ok(words)
    }

    /// The text with every `<` doubled that opens no special token: those that are not closed, and names that the
    /// vocabulary has no word for. The reference ends with an error there. Also the place of the first such `<`.
    pub fn mended<'a>(&self, text: &'a str) -> (Cow<'a, str>, Option<usize>) {
        let mut mended = String::new();
        let (mut taken, mut at, mut first) = (0, 0, None);
        while let Some(open) = memchr::memchr(b'<', &text.as_bytes()[at..]).map(|found| at + found) {
            let special = end_of_special(text, open).filter(|end| self.base(&text[open..*end]).is_some());
            at = match special {
                _ if text[open + 1..].starts_with('<') => open + 2,
                Some(end) => end,
                None => {
                    first = first.or(Some(open));
                    mended.push_str(&text[taken..=open]);
                    taken = open;
                    open + 1
                }
            };
        }
        if first.is_none() {
            return (Cow::Borrowed(text), None);
        }
        mended.push_str(&text[taken..]);
        (Cow::Owned(mended), first)
    }

    /// The word that stands for a special token: its own, or that of its name, which ends at the first underscore
    /// (`<option>` for `<option_3>`).
    pub fn base(&self, special: &str) -> Option<u32> {
        let inside = special.strip_prefix('<')?.strip_suffix('>')?;
        let name = inside.split_once('_').map_or(inside, |(name, _)| name);
        self.id(special).or_else(|| self.id(&format!("<{name}>")))
    }

    fn special_word<'a>(&self, text: &'a str, range: Range<usize>) -> Word<'a> {
        let name = &text[range.clone()];
        Word { text: Cow::Borrowed(name), kind: WordKind::Special(self.id(name)), range }
    }

    fn match_words<'a>(&self, text: &'a str, plain: &[(char, Range<usize>)], words: &mut Vec<Word<'a>>) {
        let mut unknown = 0;
        let mut at = 0;
        while at < plain.len() {
            match self.longest(&plain[at..]) {
                Some((count, id)) => {
                    push_word(text, &plain[unknown..at], WordKind::Unknown, words);
                    push_word(text, &plain[at..at + count], WordKind::Known(id), words);
                    at += count;
                    unknown = at;
                }
                None => at += 1,
            }
        }
        push_word(text, &plain[unknown..], WordKind::Unknown, words);
    }

    /// The longest word that the characters begin with, and how many it has.
    fn longest(&self, plain: &[(char, Range<usize>)]) -> Option<(usize, u32)> {
        let mut node = ROOT;
        let mut found = None;
        for (count, (character, _)) in (1..).zip(plain) {
            let Some(next) = self.branches.get(&(node, *character)) else { break };
            node = *next;
            found = self.ends[node as usize].map(|id| (count, id)).or(found);
        }
        found
    }
}

/// Text that may hold `<`, so that it is read as it is.
pub fn escape(text: &str) -> Cow<'_, str> {
    if text.contains('<') { Cow::Owned(text.replace('<', "<<")) } else { Cow::Borrowed(text) }
}

/// Whether a word is a special token.
pub fn is_special(word: &str) -> bool {
    word.len() > 1 && word.starts_with('<') && word.ends_with('>')
}

/// Behind the special token whose `<` is at `at`. Its first character is part of the name, even a `>`.
fn end_of_special(text: &str, at: usize) -> Option<usize> {
    let mut inside = text[at + 1..].char_indices();
    inside.next()?;
    let (end, closing) = inside.find(|(_, character)| matches!(character, '<' | '>'))?;
    (closing == '>').then_some(at + 1 + end + 1)
}

fn push_word<'a>(text: &'a str, plain: &[(char, Range<usize>)], kind: WordKind, words: &mut Vec<Word<'a>>) {
    let (Some((_, first)), Some((_, last))) = (plain.first(), plain.last()) else { return };
    let range = first.start..last.end;
    let source = &text[range.clone()];
    let text =
        if source.contains("<<") { Cow::Owned(source.replace("<<", "<")) } else { Cow::Borrowed(source) };
    words.push(Word { text, kind, range });
}

impl Unclosed {
    /// The error for the user.
    pub fn error(self, source: &str) -> UserError {
        const SHOWN: usize = 24;
        let shown: String = source.get(self.at..).unwrap_or_default().chars().take(SHOWN).collect();
        UserError::bad_input(text!(
            "`<` opens a special token that is not closed: `{shown}`",
            "`<` 开启的特殊词元没有闭合：`{shown}`"
        ))
        .mend(Text::fixed("write `<<` for a plain `<`", "普通的 `<` 请写作 `<<`"))
    }
}
