//! Where words end, for the expressions by which most byte-level tokenizers part a text into words. They are
//! written out here for ASCII, where they need no engine; other text and other expressions take the engine.

use tokenizers::utils::SysRegex;

/// GPT-2's, which is also the one that `ByteLevel` has of its own.
pub(super) const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
/// Llama 3's, and GPT-4's but for how it guards against backtracking.
pub(super) const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// Qwen 2's: each digit is a word.
pub(super) const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// Parts a text at the matches of an expression: matches and what lies between them are words.
#[derive(Debug)]
pub(super) struct Splitter {
    engine: SysRegex,
    known: Option<Known>,
}

#[derive(Clone, Copy, Debug)]
enum Known {
    Gpt2,
    /// Digits that make a word at most.
    Llama3(usize),
}

impl Splitter {
    /// None if the expression is not understood.
    pub fn new(expression: &str) -> Option<Self> {
        let known = match expression {
            GPT2 => Some(Known::Gpt2),
            LLAMA3 => Some(Known::Llama3(3)),
            QWEN2 => Some(Known::Llama3(1)),
            _ => None,
        };
        Some(Self { engine: SysRegex::new(expression).ok()?, known })
    }

    /// Hands `take` each word of `text`, in order; none is empty.
    pub fn split<E>(&self, text: &str, mut take: impl FnMut(&str) -> Result<(), E>) -> Result<(), E> {
        match self.known.filter(|_| text.is_ascii()) {
            Some(known) => {
                let mut rest = text;
                while !rest.is_empty() {
                    let (word, behind) = rest.split_at(known.word(rest.as_bytes()).max(1));
                    take(word)?;
                    rest = behind;
                }
                Ok(())
            }
            None => self.split_by_engine(text, take),
        }
    }

    fn split_by_engine<E>(&self, text: &str, mut take: impl FnMut(&str) -> Result<(), E>) -> Result<(), E> {
        let mut at = 0;
        for (start, end) in self.engine.find_iter(text) {
            for word in [&text[at..start], &text[start..end]] {
                if !word.is_empty() {
                    take(word)?;
                }
            }
            at = end;
        }
        if at < text.len() { take(&text[at..]) } else { Ok(()) }
    }
}

impl Known {
    /// Length of the word at the beginning of `text`, which is ASCII and not empty.
    fn word(self, text: &[u8]) -> usize {
        match self {
            Self::Gpt2 => gpt2(text),
            Self::Llama3(digits) => llama3(text, digits),
        }
    }
}

fn gpt2(text: &[u8]) -> usize {
    if let Some(length) = contraction(text, |byte| byte) {
        return length;
    }
    let space = usize::from(text[0] == b' ');
    let behind = &text[space..];
    let found = match behind.first() {
        Some(first) if first.is_ascii_alphabetic() => run(behind, |byte| byte.is_ascii_alphabetic()),
        Some(first) if first.is_ascii_digit() => run(behind, |byte| byte.is_ascii_digit()),
        Some(first) if !is_space(*first) => run(behind, is_sign),
        _ => return blanks(text),
    };
    space + found
}

fn llama3(text: &[u8], digits: usize) -> usize {
    if let Some(length) = contraction(text, |byte| byte.to_ascii_lowercase()) {
        return length;
    }
    let letters = |from: usize| from + run(&text[from..], |byte| byte.is_ascii_alphabetic());
    let (first, second) = (text[0], text.get(1).copied());
    if first.is_ascii_alphabetic() {
        return letters(0);
    }
    if !matches!(first, b'\r' | b'\n' | b'0'..=b'9') && second.is_some_and(|byte| byte.is_ascii_alphabetic())
    {
        return letters(1);
    }
    if first.is_ascii_digit() {
        return run(text, |byte| byte.is_ascii_digit()).min(digits);
    }
    let signs = usize::from(first == b' ');
    let signs = signs + run(&text[signs..], is_sign);
    if signs > usize::from(first == b' ') {
        return signs + run(&text[signs..], |byte| matches!(byte, b'\r' | b'\n'));
    }
    let spaces = &text[..run(text, is_space)];
    let line_end = spaces.iter().rposition(|byte| matches!(byte, b'\r' | b'\n'));
    line_end.map_or_else(|| blanks(text), |at| at + 1)
}

/// `'s|'t|'re|'ve|'m|'ll|'d`, after `fold`.
fn contraction(text: &[u8], fold: impl Fn(u8) -> u8) -> Option<usize> {
    if text[0] != b'\'' {
        return None;
    }
    match (fold(*text.get(1)?), text.get(2).map(|byte| fold(*byte))) {
        (b's' | b't' | b'm' | b'd', _) => Some(2),
        (b'r' | b'v', Some(b'e')) | (b'l', Some(b'l')) => Some(3),
        _ => None,
    }
}

/// `\s+(?!\S)|\s+`: all blanks but the last one before a word.
fn blanks(text: &[u8]) -> usize {
    let spaces = run(text, is_space);
    if spaces < text.len() && spaces > 1 { spaces - 1 } else { spaces }
}

fn run(text: &[u8], inside: impl Fn(u8) -> bool) -> usize {
    text.iter().position(|byte| !inside(*byte)).unwrap_or(text.len())
}

/// `\s`, which has the vertical tab beside what Rust takes for ASCII white space.
fn is_space(byte: u8) -> bool {
    matches!(byte, b'\t'..=b'\r' | b' ')
}

/// `[^\s\p{L}\p{N}]`.
fn is_sign(byte: u8) -> bool {
    !is_space(byte) && !byte.is_ascii_alphanumeric()
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use crate::random::{below, generator};

    fn words(
        split: impl Fn(&mut dyn FnMut(&str) -> Result<(), Infallible>) -> Result<(), Infallible>,
    ) -> Vec<String> {
        let mut words = Vec::new();
        let Ok(()) = split(&mut |word| {
            words.push(word.to_owned());
            Ok(())
        });
        words
    }

    #[test]
    fn words_end_where_the_expressions_say() {
        const PIECES: &[&str] = &[
            " ", "  ", "\n", "\r\n", "\t", "\u{b}", "\u{c}", "\u{1c}", "\0", "\u{7f}", "a", "Word", "'",
            "'s", "'S", "'ll", "'Re", "'v", "12", "34567", ".", "!?", "_", "-", "\"", "don't", "\r",
        ];
        let mut random = generator(7, "scan", 0);
        for expression in [GPT2, LLAMA3, QWEN2] {
            let splitter = Splitter::new(expression).unwrap();
            assert!(splitter.known.is_some());
            for _ in 0..4000 {
                let count = below(&mut random, 12);
                let text: String =
                    (0..count).map(|_| PIECES[below(&mut random, PIECES.len() as u64) as usize]).collect();
                let scanned = words(|take| splitter.split(&text, take));
                assert_eq!(
                    scanned,
                    words(|take| splitter.split_by_engine(&text, take)),
                    "{text:?} by {expression}"
                );
                assert_eq!(scanned.concat(), text);
            }
        }
    }
}
