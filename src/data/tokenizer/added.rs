//! Tokens that are matched in a text as they are, before anything else is done with it.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use tokenizers::models::bpe::BpeTrainer;
use tokenizers::{
    AddedToken, AddedVocabulary, Model, NormalizerWrapper, OffsetReferential, OffsetType, Token,
};

/// Added tokens with ids of any choice, matched by the rules of the tokenizers crate.
#[derive(Debug, Default)]
pub(super) struct Added {
    by_id: BTreeMap<u32, AddedToken>,
    ids: HashMap<String, u32>,
    vocabulary: AddedVocabulary,
}

/// A part of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Token(u32),
    Text,
}

impl Added {
    /// Those that are not `matched` are known, but are not looked for in texts.
    ///
    /// # Errors
    /// When the crate cannot build a matcher of them.
    pub fn new(
        tokens: BTreeMap<u32, AddedToken>,
        matched: impl Fn(&str) -> bool,
    ) -> tokenizers::Result<Self> {
        let ids: HashMap<String, u32> =
            tokens.iter().map(|(id, token)| (token.content.clone(), *id)).collect();
        let mut vocabulary = AddedVocabulary::new();
        // They are matched in the text as it was given. That a special token be a word of its own is asked by
        // configurations of models whose templates write it right behind one.
        let matched = tokens.values().filter(|token| matched(&token.content)).map(|token| {
            let single_word = token.single_word && !token.special;
            token.clone().normalized(false).single_word(single_word)
        });
        vocabulary.add_tokens(matched, &Ids(&ids), None::<&NormalizerWrapper>)?;
        Ok(Self { by_id: tokens, ids, vocabulary })
    }

    pub fn get(&self, id: u32) -> Option<&AddedToken> {
        self.by_id.get(&id)
    }

    pub fn id(&self, token: &str) -> Option<u32> {
        self.ids.get(token).copied()
    }

    pub fn ids(&self) -> impl DoubleEndedIterator<Item = u32> {
        self.by_id.keys().copied()
    }

    /// Hands `take` the parts of a text in order, each with its byte range.
    pub fn parts(&self, text: &str, mut take: impl FnMut(Part, std::ops::Range<usize>)) {
        if self.by_id.is_empty() {
            if !text.is_empty() {
                take(Part::Text, 0..text.len());
            }
            return;
        }
        let parts = self.vocabulary.extract_and_normalize(None::<&NormalizerWrapper>, text);
        for (_, (start, end), tokens) in parts.get_splits(OffsetReferential::Original, OffsetType::Byte) {
            match tokens.as_ref().and_then(|tokens| tokens.first()) {
                Some(token) => take(Part::Token(token.id), start..end),
                None if start < end => take(Part::Text, start..end),
                None => {}
            }
        }
    }
}

/// What [`AddedVocabulary`] asks a model for: the ids that tokens have already.
struct Ids<'a>(&'a HashMap<String, u32>);

impl Model for Ids<'_> {
    type Trainer = BpeTrainer;

    fn tokenize(&self, _: &str) -> tokenizers::Result<Vec<Token>> {
        Ok(Vec::new())
    }

    fn token_to_id(&self, token: &str) -> Option<u32> {
        self.0.get(token).copied()
    }

    fn id_to_token(&self, id: u32) -> Option<String> {
        self.0.iter().find(|(_, other)| **other == id).map(|(token, _)| token.clone())
    }

    fn get_vocab(&self) -> HashMap<String, u32> {
        self.0.clone()
    }

    fn get_vocab_size(&self) -> usize {
        self.0.len()
    }

    fn save(&self, _: &Path, _: Option<&str>) -> tokenizers::Result<Vec<PathBuf>> {
        Ok(Vec::new())
    }

    fn get_trainer(&self) -> BpeTrainer {
        BpeTrainer::default()
    }
}
