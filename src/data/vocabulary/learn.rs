//! Learning tokens from texts by byte-pair encoding (Sennrich et al. 2016, arXiv:1508.07909), over characters as
//! SentencePiece does: the most frequent pair of neighbours becomes a piece, again and again. An own trainer, because
//! that of the tokenizers crate can neither be stopped nor tell how far it is.

mod merges;
mod words;

use std::collections::HashSet;

use protocol::config::VocabularyConfig;
use protocol::{Result, Text, UserError};

use super::joins;
use super::list::is_known;
use crate::progress::{Progress, check_cancelled};
use crate::tokenizer::Tokenizer;
use crate::tokenizer::sentencepiece::BLANK;
use merges::Merges;
use words::{Words, is_unspaced};

/// What was learned, most frequent first.
pub(super) struct Learned {
    pub tokens: Vec<String>,
    pub notes: Vec<Text>,
}

/// A piece that was seen less often is not worth a row.
const RARE: u64 = 2;
/// Between two looks at whether to go on.
const LOOK: usize = 64;

/// # Errors
/// When a file cannot be read, nothing was found, or the user stopped.
pub(super) fn learn(
    config: &VocabularyConfig,
    tokenizer: &Tokenizer,
    mut known: HashSet<String>,
    progress: &dyn Progress,
) -> Result<Learned> {
    let joined = joins(tokenizer)?;
    let mut words = Words::default();
    for file in &config.train_on {
        words.read(file, progress).map_err(|err| err.at_item("vocabulary.train_on"))?;
    }
    let mut notes = words.notes();
    let (mut merges, characters) = Merges::new(words, config.coverage);
    let wanted = config.size as usize;
    let mut take = |piece: &str, tokens: &mut Vec<String>| {
        let Some(text) = as_token(piece, joined) else { return };
        if !known.contains(&text) && !is_known(tokenizer, &text) {
            known.insert(text.clone());
            tokens.push(text);
        }
    };
    let mut tokens = Vec::new();
    let mut characters = characters.into_iter().peekable();
    let stage = Text::fixed("learning tokens", "学习词元");
    for round in 0.. {
        if round % LOOK == 0 {
            check_cancelled(progress)?;
            progress.report(&stage, tokens.len() as u64, wanted as u64);
        }
        let next = merges.next();
        let count = next.as_ref().map_or(RARE, |(_, count)| *count);
        while let Some((character, _)) = characters.next_if(|(_, seen)| *seen >= count && *seen >= RARE) {
            take(&character.to_string(), &mut tokens);
        }
        match next {
            Some((piece, count)) if count >= RARE && tokens.len() < wanted => take(&piece, &mut tokens),
            _ => break,
        }
    }
    tokens.truncate(wanted);
    if !joined {
        notes.push(Text::fixed(
            "This tokenizer finds new tokens inside longer words, too: only pieces of scripts that put no blanks between words are learned",
            "该分词器会在更长的词中匹配新词元：只学习词间不写空格的文字",
        ));
    }
    if tokens.is_empty() {
        return Err(UserError::bad_input(Text::fixed(
            "Nothing new was found in the texts",
            "未能从文本中学到新词元",
        ))
        .at_item("vocabulary.train_on")
        .details(notes.iter().map(Text::to_string))
        .mend(Text::fixed("give more text", "请提供更多文本")));
    }
    Ok(Learned { tokens, notes })
}

/// A piece as a token, if the tokenizer can have it: pieces of words only where it joins them itself.
fn as_token(piece: &str, joined: bool) -> Option<String> {
    let text = piece.replace(BLANK, " ");
    let usable = if joined { !text.trim().is_empty() } else { text.chars().all(is_unspaced) };
    usable.then_some(text)
}
