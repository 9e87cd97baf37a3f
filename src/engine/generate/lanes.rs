//! Several texts that go on side by side, one key-value cache for all of them. They end together in the cache, whatever
//! their lengths: what lies before a shorter one is hidden from it.

use std::cell::RefCell;

use burn::tensor::{Int, Tensor, TensorData};
use protocol::Result;

use super::prefill::{Filled, padded};
use crate::models::{Model, PassOptions};
use crate::nn::{AdapterView, KvCache, Positions, Span, ops};

/// Texts under way.
pub struct Lanes<'a> {
    model: &'a Model,
    adapter: Option<&'a dyn AdapterView>,
    cache: RefCell<KvCache>,
    /// Tokens of each row in the cache. A row that rests has none, and what is fed for it means nothing.
    tokens: Vec<usize>,
}

impl<'a> Lanes<'a> {
    pub fn new(model: &'a Model, adapter: Option<&'a dyn AdapterView>) -> Self {
        let cache = RefCell::new(KvCache::new(model.info.num_layers));
        Self { model, adapter, cache, tokens: Vec::new() }
    }

    /// The row goes on no more: its places stay until the others are [taken](Self::take).
    pub fn rest(&mut self, row: usize) {
        self.tokens[row] = 0;
    }

    /// Goes on with these of the rows, and behind them with rows of others that have just been read.
    pub fn take(&mut self, kept: &[usize], joining: Option<(&Filled, &[usize])>) {
        let (before, cache) = (self.model.before(self.adapter), self.cache.get_mut());
        let end = cache.len();
        let tokens = &self.tokens;
        let kept: Vec<Span> =
            kept.iter().map(|row| Span { row: *row, end, len: (before + tokens[*row]).min(end) }).collect();
        let joined: Vec<Span> = joining
            .iter()
            .flat_map(|(filled, rows)| rows.iter().map(move |row| filled.spans[*row]))
            .collect();
        let mut parts: Vec<(&KvCache, &[Span])> = vec![(&*cache, kept.as_slice())];
        parts.extend(joining.iter().map(|(filled, _)| (&filled.cache, joined.as_slice())));
        let gathered = KvCache::gather(&parts);
        self.tokens = kept.iter().chain(&joined).map(|span| span.len.saturating_sub(before)).collect();
        *cache = gathered;
    }

    /// Feeds each row its tokens, padded to the longest; gives their hidden states `[rows, time, hidden]` before the
    /// final norm. Rows that get fewer than others must be taken no further.
    ///
    /// # Errors
    /// When an id or position lies outside the model, or the device fails.
    pub fn feed(&mut self, rows: &[&[u32]]) -> Result<Tensor<3>> {
        let time = rows.iter().map(|row| row.len()).max().unwrap_or(0);
        let _awake = (time == 1).then(|| ops::awake(&self.model.device));
        let width = self.cache.get_mut().len();
        let fed: Vec<usize> = rows.iter().map(|row| row.len()).collect();
        let positions = self.model.lanes(&self.tokens, &fed, (time, width), self.adapter)?;
        let ids = self.model.ids(&padded(rows, 0, time), rows.len())?;
        let options =
            PassOptions { adapter: self.adapter, cache: Some(&self.cache), ..PassOptions::default() };
        let hidden = self.model.hidden(&self.model.pass(&positions, options), ids);
        self.cache.get_mut().advance(time);
        for (tokens, row) in self.tokens.iter_mut().zip(rows).filter(|(tokens, _)| **tokens > 0) {
            *tokens += row.len();
        }
        Ok(hidden)
    }
}

impl Lanes<'_> {
    /// Logits `[rows, columns]` of rows `[rows, hidden]` of hidden states.
    pub fn logits(&self, hidden: Tensor<2>) -> Tensor<2> {
        logits(self.model, self.adapter, hidden)
    }
}

/// Logits `[rows, columns]` of rows `[rows, hidden]` of hidden states, before the final norm.
pub(super) fn logits(model: &Model, adapter: Option<&dyn AdapterView>, hidden: Tensor<2>) -> Tensor<2> {
    let nowhere = Positions::none(&model.device);
    model.head(hidden, &model.pass(&nowhere, PassOptions { adapter, ..PassOptions::default() }))
}

/// Indices on a model's device.
pub(super) fn indices(model: &Model, indices: Vec<i32>) -> Tensor<1, Int> {
    let size = indices.len();
    Tensor::from_data(TensorData::new(indices, [size]), &model.device)
}
