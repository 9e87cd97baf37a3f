//! Token by token with a key-value cache.

use std::cell::RefCell;

use burn::tensor::{DType, s};
use protocol::{Result, Text, UserError};

use crate::models::{Model, PassOptions};
use crate::nn::{AdapterView, KvCache};

/// Longest piece of a prompt that goes through the model at once: bounds the scores' memory.
const PREFILL: usize = 512;

/// A decoding under way: one sequence, one cache.
pub struct Decoding<'a> {
    model: &'a Model,
    adapter: Option<&'a dyn AdapterView>,
    cache: RefCell<KvCache>,
}

/// Logits of the last position.
pub struct Step {
    pub logits: Vec<f32>,
}

impl<'a> Decoding<'a> {
    pub fn new(model: &'a Model, adapter: Option<&'a dyn AdapterView>) -> Self {
        Self { model, adapter, cache: RefCell::new(KvCache::new(model.info.num_layers)) }
    }

    /// Tokens in the cache.
    pub fn position(&self) -> usize {
        self.cache.borrow().len()
    }

    /// Feeds tokens and returns the logits after the last one.
    ///
    /// # Errors
    /// When an id or position lies outside the model, there is nothing to feed, or the device fails.
    pub fn feed(&self, ids: &[u32]) -> Result<Step> {
        let mut logits = None;
        for piece in ids.chunks(PREFILL) {
            logits = Some(self.feed_piece(piece)?);
        }
        logits.ok_or_else(|| {
            UserError::bad_input(Text::fixed("The prompt has no tokens", "提示词没有任何词元"))
                .mend(Text::fixed("give it some text", "请输入文字"))
        })
    }

    fn feed_piece(&self, ids: &[u32]) -> Result<Step> {
        let time = ids.len();
        let positions = self.model.positions(self.position(), time)?;
        let options =
            PassOptions { adapter: self.adapter, cache: Some(&self.cache), ..PassOptions::default() };
        let pass = self.model.pass(&positions, options);
        let hidden = self.model.hidden(&pass, self.model.ids(ids, 1)?);
        self.cache.borrow_mut().advance(time);
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
