//! A shorter way to the same tokens. Byte-level tokenizers part a text into words and make tokens of each word by
//! itself, so that the tokens of a word seen before are known. What the way cannot be taken for, the tokenizers
//! crate does as ever.

use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::split::SplitPattern;
use tokenizers::{
    Model, ModelWrapper, NormalizerWrapper, OffsetReferential, OffsetType, PostProcessorWrapper,
    PreTokenizedString, PreTokenizer, PreTokenizerWrapper, SplitDelimiterBehavior,
};

use super::Encoding;
use super::kept::{Cache, Kept};
use super::scan::{GPT2, Splitter};

/// Texts on which the short way must prove itself before it is taken.
const PROBES: [&str; 4] = [
    "",
    "It's  12345 words,\r\n\n  and\tDON'T (they) end here. \n",
    " naïve 汉字，２ 𝄞…",
    "\u{3000}é\u{301} \u{85} x",
];

/// How a tokenizer is taken apart, and the words seen so far.
#[derive(Debug)]
pub(super) struct Words {
    /// One after the other, each parts what the one before left.
    splitters: Vec<Splitter>,
    /// Only ASCII text is left as it is by the normalizer.
    ascii_only: bool,
    /// The post-processor puts tokens around a text where it is asked to.
    adds: bool,
    /// The post-processor takes blanks out of the tokens' ranges, once for each entry; true: one blank in front of
    /// a first token stays.
    trims: Vec<bool>,
    kept: Kept<Piece>,
}

/// A token of a word. A text has at most 64 MiB, so that places fit.
#[derive(Clone, Copy, Debug)]
struct Piece {
    id: u32,
    /// Byte range in the word.
    start: u32,
    end: u32,
    /// Blanks at its ends.
    leading: u32,
    trailing: u32,
}

impl Words {
    /// None where the short way leads elsewhere.
    pub fn new(inner: &tokenizers::Tokenizer) -> Option<Self> {
        let ModelWrapper::BPE(model) = inner.get_model() else { return None };
        let ascii_only = match inner.get_normalizer() {
            None => false,
            Some(
                NormalizerWrapper::NFC(_)
                | NormalizerWrapper::NFD(_)
                | NormalizerWrapper::NFKC(_)
                | NormalizerWrapper::NFKD(_),
            ) => true,
            Some(_) => return None,
        };
        // With dropout, a word has other tokens each time.
        if model.dropout.is_some_and(|dropout| dropout > 0.0) {
            return None;
        }
        let splitters = splitters(inner.get_pre_tokenizer()?)?;
        let (mut adds, mut trims) = (false, Vec::new());
        processors(inner.get_post_processor(), &mut adds, &mut trims)?;
        let words = Self { splitters, ascii_only, adds, trims, kept: Kept::default() };
        let mut marks: Vec<_> = inner.get_added_tokens_decoder().into_iter().collect();
        marks.sort_unstable_by_key(|(id, _)| *id);
        let marks: Vec<_> = marks.into_iter().take(8).map(|(_, token)| token.content).collect();
        let marked = format!("{} a  {}\n", marks.join(" "), marks.join("\n"));
        let same = |text: &str| words.agrees(inner, text);
        (PROBES.into_iter().all(same) && same(&marked)).then_some(words)
    }

    fn agrees(&self, inner: &tokenizers::Tokenizer, text: &str) -> bool {
        match (self.encode(inner, text, false), inner.encode(text, false)) {
            (None, _) => true,
            (Some(Ok(short)), Ok(long)) => short == Encoding::from(&long),
            _ => false,
        }
    }

    /// As `inner.encode` has it; None if it must be asked.
    pub fn encode(
        &self,
        inner: &tokenizers::Tokenizer,
        text: &str,
        add_special: bool,
    ) -> Option<tokenizers::Result<Encoding>> {
        if (add_special && self.adds) || (self.ascii_only && !text.is_ascii()) {
            return None;
        }
        self.kept.with(|cache| self.fill(inner, text, cache))
    }

    fn fill(
        &self,
        inner: &tokenizers::Tokenizer,
        text: &str,
        cache: &mut Cache<Piece>,
    ) -> tokenizers::Result<Encoding> {
        let mut encoding = Encoding::default();
        let parts = inner.get_added_vocabulary().extract_and_normalize(None::<&NormalizerWrapper>, text);
        for (part, (mut at, _), tokens) in parts.get_splits(OffsetReferential::Original, OffsetType::Byte) {
            match tokens {
                Some(tokens) => {
                    for token in tokens {
                        let piece = Piece::new(token.id, token.offsets, &token.value);
                        self.push(&mut encoding, &piece, at);
                    }
                }
                None => split::<tokenizers::Error>(&self.splitters, part, &mut |word| {
                    for piece in cache.of(word, || pieces(inner, word))? {
                        self.push(&mut encoding, piece, at);
                    }
                    at += word.len();
                    Ok(())
                })?,
            }
        }
        encoding.added = vec![false; encoding.ids.len()];
        Ok(encoding)
    }

    /// Adds a token whose part of the text begins at `at`; blanks are taken out of its range by the rules of the
    /// crate's `byte_level::process_offsets`.
    fn push(&self, encoding: &mut Encoding, piece: &Piece, at: usize) {
        let (mut start, mut end) = (at + piece.start as usize, at + piece.end as usize);
        let (leading, trailing) = (piece.leading as usize, piece.trailing as usize);
        for keeps_first in &self.trims {
            let is_first = encoding.ids.is_empty() || start == 0;
            let stays = *keeps_first && is_first && leading == 1;
            if leading > 0 && !stays {
                start = (start + leading).min(end);
            }
            if trailing > 0 && end >= trailing {
                end = (end - trailing).max(start);
            }
        }
        encoding.ids.push(piece.id);
        encoding.offsets.push((start, end));
    }
}

impl Piece {
    fn new(id: u32, (start, end): (usize, usize), value: &str) -> Self {
        // What a blank is in the alphabet of byte-level tokens.
        let is_blank = |c: &char| *c == 'Ġ' || c.is_whitespace();
        let leading = value.chars().take_while(is_blank).count();
        let trailing = value.chars().rev().take_while(is_blank).count();
        let [start, end, leading, trailing] = [start, end, leading, trailing].map(|place| place as u32);
        Self { id, start, end, leading, trailing }
    }
}

/// The tokens of one word, by the crate.
fn pieces(inner: &tokenizers::Tokenizer, word: &str) -> tokenizers::Result<Vec<Piece>> {
    let mut text = PreTokenizedString::from(word);
    ByteLevel::new(false, false, false).pre_tokenize(&mut text)?;
    inner.get_model().tokenize_in_pretokenized(&mut text, None)?;
    let encoded = text.into_encoding(None, 0, OffsetType::Byte)?;
    let tokens = encoded.get_ids().iter().zip(encoded.get_offsets()).zip(encoded.get_tokens());
    Ok(tokens.map(|((id, offsets), value)| Piece::new(*id, *offsets, value)).collect())
}

fn split<E>(
    splitters: &[Splitter],
    text: &str,
    take: &mut dyn FnMut(&str) -> Result<(), E>,
) -> Result<(), E> {
    match splitters {
        [] if text.is_empty() => Ok(()),
        [] => take(text),
        [first, rest @ ..] => first.split(text, |part| split(rest, part, take)),
    }
}

/// None if the pre-tokenizer does more than to part the text and to write it in byte-level letters.
fn splitters(pre_tokenizer: &PreTokenizerWrapper) -> Option<Vec<Splitter>> {
    let steps = match pre_tokenizer {
        PreTokenizerWrapper::Sequence(steps) => steps.as_ref(),
        one => std::slice::from_ref(one),
    };
    let (PreTokenizerWrapper::ByteLevel(last), before) = steps.split_last()? else { return None };
    if last.add_prefix_space {
        return None;
    }
    let mut splitters = Vec::new();
    for step in before {
        let PreTokenizerWrapper::Split(split) = step else { return None };
        let SplitPattern::Regex(expression) = &split.pattern else { return None };
        if split.invert || split.behavior != SplitDelimiterBehavior::Isolated {
            return None;
        }
        splitters.push(Splitter::new(expression)?);
    }
    if last.use_regex {
        splitters.push(Splitter::new(GPT2)?);
    }
    Some(splitters)
}

/// Notes what the post-processor does; None if it is more than [`Words`] knows.
fn processors(
    processor: Option<&PostProcessorWrapper>,
    adds: &mut bool,
    trims: &mut Vec<bool>,
) -> Option<()> {
    match processor {
        None => {}
        Some(PostProcessorWrapper::ByteLevel(level)) => {
            trims.extend(level.trim_offsets.then_some(level.add_prefix_space));
        }
        // Asked to add nothing, it leaves a single text as it is.
        Some(PostProcessorWrapper::Template(_)) => *adds = true,
        Some(PostProcessorWrapper::Sequence(steps)) => {
            for step in steps.as_ref() {
                processors(Some(step), adds, trims)?;
            }
        }
        Some(_) => return None,
    }
    Some(())
}
