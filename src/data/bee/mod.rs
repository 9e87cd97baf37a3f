//! Rows of CPM-Bee: a dict becomes a tree of segments, and its tokens carry more than their ids.
//!
//! A token has a *sub id* (which of several `<option_k>` or unknown words it is), belongs to a *segment* (a
//! key or a value of the dict), and is *context* or part of an answer. How two segments lie to each other
//! in the tree decides how attention weighs them. Rules: OpenBMB/CPM-Bee,
//! `cpm_live/training_tasks/bee/pretrain.py` and `finetune.py`; answers are shuffled where a row is read for training.

mod batch;
mod dict;
mod extension;
mod prompt;
mod row;
mod tree;

pub use batch::{BeeBatch, Column};
pub(crate) use dict::{ANSWER, check, conversation, flat, shuffled, text_pair};
pub use extension::ExtToken;
pub use prompt::BeePrompt;
pub(crate) use prompt::prompt_data;
pub use row::encode as encode_row;
pub use tree::SegmentTree;

use std::ops::Range;

/// Labels from here on are no ids: they count into [`BeeRow::extension`] (of a batch, into
/// [`BeeBatch::columns`]).
pub const FIRST_EXTENSION: i32 = 1 << 30;

/// What a row carries beside ids and labels. The lists have one entry a token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BeeRow {
    /// 0 for words of the vocabulary.
    pub subs: Vec<u32>,
    /// Context sees all context and no answer; an answer sees all context and the answers before it.
    pub context: Vec<bool>,
    /// Number of the token's segment in `tree`.
    pub segments: Vec<u32>,
    pub tree: SegmentTree,
    /// What stands in the row and is in no vocabulary, by first appearance.
    pub extension: Vec<ExtToken>,
}

impl BeeRow {
    /// Ids alone: one segment, and each token sees those before it.
    pub fn plain(tokens: usize) -> Self {
        Self {
            subs: vec![0; tokens],
            context: vec![false; tokens],
            segments: vec![0; tokens],
            tree: SegmentTree::root(),
            extension: Vec::new(),
        }
    }

    /// The same for a stretch of the tokens.
    pub(crate) fn window(&self, window: &Range<usize>) -> Self {
        fn part<T: Clone>(items: &[T], window: &Range<usize>) -> Vec<T> {
            items.get(window.clone()).unwrap_or_default().to_vec()
        }
        Self {
            subs: part(&self.subs, window),
            context: part(&self.context, window),
            segments: part(&self.segments, window),
            tree: self.tree.clone(),
            extension: self.extension.clone(),
        }
    }
}
