//! From a text to the string that is cut into pieces: `Normalizer::Normalize` of SentencePiece.

use super::charsmap::Charsmap;
use super::proto::{PieceKind, SentencePieceModel};
use super::trie::Trie;

/// How pieces write a blank.
pub(crate) const BLANK: &str = "\u{2581}";

/// A string and where each of its bytes comes from in the text it was made of.
#[derive(Debug, Default)]
pub(super) struct Normalized {
    pub text: String,
    /// Byte ranges in the text, one for each byte of the string.
    origins: Vec<(u32, u32)>,
}

impl Normalized {
    pub fn push(&mut self, text: &str, origin: (usize, usize)) {
        self.text.push_str(text);
        // Texts have at most 64 MiB.
        self.origins.resize(self.text.len(), (origin.0 as u32, origin.1 as u32));
    }

    fn truncate(&mut self, length: usize) {
        self.text.truncate(length);
        self.origins.truncate(length);
    }

    /// Where a part of the string, which is not empty, comes from.
    pub fn origin(&self, start: usize, end: usize) -> (usize, usize) {
        let at = |place: usize| self.origins.get(place).copied().unwrap_or_default();
        (at(start).0 as usize, at(end.saturating_sub(1)).1 as usize)
    }

    /// With the origins of a string that was itself made of another.
    pub fn after(mut self, first: &Self) -> Self {
        for origin in &mut self.origins {
            let (start, end) = first.origin(origin.0 as usize, origin.1 as usize);
            *origin = (start as u32, end as u32);
        }
        self
    }
}

/// The rules of a model.
#[derive(Debug)]
pub(super) struct Normalizer {
    charsmap: Option<Charsmap>,
    /// Pieces that are left as they are.
    user_defined: Option<Trie>,
    add_dummy_prefix: bool,
    remove_extra_whitespaces: bool,
    escape_whitespaces: bool,
    whitespace_as_suffix: bool,
}

impl Normalizer {
    pub fn new(model: &SentencePieceModel, add_dummy_prefix: bool) -> Result<Self, &'static str> {
        let pieces = model.pieces.iter().zip(0..);
        let user_defined = pieces.filter(|(piece, _)| piece.kind == PieceKind::UserDefined);
        let mut user_defined = user_defined.map(|(piece, id)| (piece.text.as_str(), id)).peekable();
        let has_rules = !model.charsmap.is_empty();
        Ok(Self {
            charsmap: has_rules.then(|| Charsmap::parse(&model.charsmap)).transpose()?,
            user_defined: user_defined.peek().is_some().then(|| Trie::new(user_defined)),
            add_dummy_prefix,
            remove_extra_whitespaces: model.remove_extra_whitespaces,
            escape_whitespaces: model.escape_whitespaces,
            whitespace_as_suffix: model.whitespace_as_suffix,
        })
    }

    /// With `dummy`, a blank is put in front of the text if the model asks for it; its origin is the text's first
    /// character, as the tokenizers crate has it.
    pub fn normalize(&self, text: &str, dummy: bool) -> Normalized {
        let mut made = Normalized::default();
        let mut at = 0;
        while self.remove_extra_whitespaces && at < text.len() {
            let (" ", length) = self.step(&text[at..]) else { break };
            at += length;
        }
        let Some(first) = text[at..].chars().next() else { return made };
        made.text.reserve(text.len() - at + text.len() / 4);
        made.origins.reserve(text.len() - at + text.len() / 4);
        let blank = if self.escape_whitespaces { BLANK } else { " " };
        let dummy = dummy && self.add_dummy_prefix;
        if dummy && !self.whitespace_as_suffix {
            made.push(blank, (at, at + first.len_utf8()));
        }
        let mut after_blank = self.remove_extra_whitespaces;
        while at < text.len() {
            let (mut part, length) = self.step(&text[at..]);
            if after_blank {
                part = part.trim_start_matches(' ');
            }
            for (number, between) in part.split(' ').enumerate() {
                if number > 0 {
                    made.push(blank, (at, at + length));
                }
                made.push(between, (at, at + length));
            }
            if !part.is_empty() {
                after_blank = self.remove_extra_whitespaces && part.ends_with(' ');
            }
            at += length;
        }
        while self.remove_extra_whitespaces && made.text.ends_with(blank) {
            made.truncate(made.text.len() - blank.len());
        }
        if dummy && self.whitespace_as_suffix {
            made.push(blank, (text.len(), text.len()));
        }
        made
    }

    /// What stands for the beginning of a text, and the length of that beginning: a piece left as it is, the longest
    /// rule's replacement, or a character.
    fn step<'a>(&'a self, text: &'a str) -> (&'a str, usize) {
        let kept = self.user_defined.as_ref().and_then(|trie| trie.longest(text.as_bytes()));
        if let Some((length, _)) = kept {
            return (&text[..length], length);
        }
        let rule = self.charsmap.as_ref().and_then(|rules| rules.longest(text.as_bytes()));
        if let Some((length, replacement)) = rule.filter(|(length, _)| text.is_char_boundary(*length)) {
            return (replacement, length);
        }
        let length = text.chars().next().map_or(0, char::len_utf8);
        (&text[..length], length)
    }
}
