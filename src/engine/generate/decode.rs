//! Token by token with a key-value cache.

use std::cell::RefCell;

use burn::tensor::{DType, s};
use data::{BeeBatch, BeeRow, Column};
use protocol::{Result, Text, UserError};

use crate::models::{Model, PassOptions, Rows};
use crate::nn::{AdapterView, KeysValues, KvCache, ops};

/// Longest piece of a prompt that goes through the model at once: bounds the scores' memory.
pub(super) const PREFILL: usize = 512;

/// A decoding under way: one sequence, one cache.
pub struct Decoding<'a> {
    model: &'a Model,
    adapter: Option<&'a dyn AdapterView>,
    cache: RefCell<KvCache>,
    /// Everything fed so far.
    ids: RefCell<Vec<u32>>,
    /// What goes beside the ids, where a dict is asked.
    side: Option<RefCell<BeeBatch>>,
}

/// Logits of the last position.
pub struct Step {
    pub logits: Vec<f32>,
}

impl<'a> Decoding<'a> {
    pub fn new(model: &'a Model, adapter: Option<&'a dyn AdapterView>) -> Self {
        let cache = RefCell::new(KvCache::new(model.info.num_layers));
        // What is fed first is the prompt, and its tokens see one another.
        let side = model.info.whole_prompt.then(|| RefCell::new(BeeBatch::plain(&[0])));
        Self { model, adapter, cache, ids: RefCell::default(), side }
    }

    /// A dict is asked, whose tokens come with `row`.
    pub fn asked(model: &'a Model, adapter: Option<&'a dyn AdapterView>, row: BeeRow) -> Self {
        let side = Some(RefCell::new(BeeBatch::asked(row)));
        Self { side, ..Self::new(model, adapter) }
    }

    /// The logits' columns behind the vocabulary's.
    pub fn columns(&self) -> Vec<Column> {
        self.side.as_ref().map(|side| side.borrow().columns().to_vec()).unwrap_or_default()
    }

    /// Feeds a token of an answer to a dict.
    ///
    /// # Errors
    /// As [`feed`](Self::feed).
    pub fn say(&self, id: u32, sub: u32, segment: u32) -> Result<Step> {
        if let Some(side) = &self.side {
            side.borrow_mut().push(sub, segment, false);
        }
        self.feed_piece(&[id])
    }

    /// Tokens fed so far.
    pub fn position(&self) -> usize {
        // What the family has in front of them lies in the cache, too.
        self.cache.borrow().len().saturating_sub(self.model.before(self.adapter))
    }

    /// Feeds tokens and returns the logits after the last one.
    ///
    /// # Errors
    /// When an id or position lies outside the model, there is nothing to feed, or the device fails.
    pub fn feed(&self, ids: &[u32]) -> Result<Step> {
        let mut logits = None;
        let piece = if self.model.info.whole_prompt { ids.len().max(1) } else { PREFILL };
        for piece in ids.chunks(piece) {
            logits = Some(self.feed_piece(piece)?);
        }
        logits.ok_or_else(|| {
            UserError::bad_input(Text::fixed("The prompt has no tokens", "提示词没有任何词元"))
                .mend(Text::fixed("give it some text", "请输入文字"))
        })
    }

    fn feed_piece(&self, ids: &[u32]) -> Result<Step> {
        let _awake = (ids.len() == 1).then(|| ops::awake(&self.model.device));
        let offset = self.position();
        let mut fed = self.ids.borrow_mut();
        fed.truncate(offset);
        fed.extend(ids);
        if let Some(side) = &self.side {
            side.borrow_mut().fill(fed.len(), offset == 0);
        }
        let side = self.side.as_ref().map(RefCell::borrow);
        let rows = Rows { offset, side: side.as_deref(), ..Rows::fresh(&fed, 1) };
        let positions = self.model.positions(&rows, self.adapter)?;
        let options =
            PassOptions { adapter: self.adapter, cache: Some(&self.cache), ..PassOptions::default() };
        let pass = self.model.pass(&positions, options);
        let hidden = self.model.hidden(&pass, self.model.ids(ids, 1)?);
        let time = hidden.dims()[1];
        self.cache.borrow_mut().advance(time + positions.prefix.first().map_or(0, KeysValues::tokens));
        let last = hidden.slice(s![.., time - 1..time, ..]);
        let logits = self.model.decoder.head(&pass, self.model.decoder.final_norm(&pass, last));
        let data = logits.try_into_data().map_err(|err| crate::device_failure(&err))?;
        let logits = data
            .convert_dtype(DType::F32)
            .try_into_vec::<f32>()
            .map_err(|err| crate::device_failure(&err))?;
        Ok(Step { logits })
    }
}
