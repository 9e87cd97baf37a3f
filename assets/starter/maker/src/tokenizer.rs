//! The byte-level BPE tokenizer. Each Chinese character and each digit stands alone before the
//! merges, so that a small vocabulary covers the corpus by characters and everything else by bytes.

use anyhow::{Error, Result};
use tokenizers::models::TrainerWrapper;
use tokenizers::models::bpe::{BPE, BpeTrainerBuilder};
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{AddedToken, SplitDelimiterBehavior, Tokenizer};

pub const END_OF_TEXT: &str = "<|endoftext|>";
pub const TURN_START: &str = "<|im_start|>";
pub const TURN_END: &str = "<|im_end|>";
pub const PAD: &str = "<|pad|>";
/// In the order of their ids, from 0.
pub const SPECIAL: [&str; 4] = [END_OF_TEXT, TURN_START, TURN_END, PAD];

/// Trains a tokenizer of `vocab_size` entries (specials and the 256 bytes among them).
///
/// # Errors
/// When the library refuses a setting.
pub fn train(texts: &[String], vocab_size: usize) -> Result<Tokenizer> {
    let mut tokenizer = Tokenizer::new(BPE::default());
    let characters =
        Split::new(SplitPattern::Regex(r"\p{Han}".into()), SplitDelimiterBehavior::Isolated, false)
            .map_err(Error::msg)?;
    tokenizer.with_pre_tokenizer(Some(Sequence::new(vec![
        PreTokenizerWrapper::Split(characters),
        PreTokenizerWrapper::Digits(Digits::new(true)),
        PreTokenizerWrapper::ByteLevel(ByteLevel::new(false, false, true)),
    ])));
    tokenizer.with_decoder(Some(ByteLevel::new(false, false, true)));
    let mut trainer: TrainerWrapper = BpeTrainerBuilder::new()
        .vocab_size(vocab_size)
        .min_frequency(2)
        .show_progress(false)
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .special_tokens(SPECIAL.iter().map(|token| AddedToken::from(*token, true)).collect())
        .build()
        .into();
    tokenizer.train(&mut trainer, texts.iter().map(|text| plain(text))).map_err(Error::msg)?;
    Ok(tokenizer)
}

/// The text without its special tokens, which are no words to learn merges from.
fn plain(text: &str) -> String {
    SPECIAL.iter().fold(text.to_owned(), |text, token| text.replace(token, " "))
}
