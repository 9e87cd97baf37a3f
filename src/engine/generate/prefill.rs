//! Several prompts through the model at once: padded on the right, so that each of their tokens stands where it would
//! stand alone, whatever the family and whatever an adapter puts in front. What all of them begin with goes through once,
//! and is kept for the next ones.

use std::cell::RefCell;

use burn::tensor::Tensor;
use protocol::Result;

use super::decode::PREFILL;
use super::lanes::indices;
use crate::models::{Model, PassOptions, PrefixPositions, Rows};
use crate::nn::{AdapterView, KeysValues, KvCache, Span};

/// A shorter common beginning is not worth its own pass.
const LEAST_SHARED: usize = 16;

/// Puts prompts into caches.
pub struct Prefill<'a> {
    model: &'a Model,
    adapter: Option<&'a dyn AdapterView>,
    /// What the newest prompts began with, as one row.
    header: Option<(Vec<u32>, KvCache)>,
}

/// Prompts that have gone through the model.
pub struct Filled {
    pub cache: KvCache,
    /// Where each row ends in the cache.
    pub spans: Vec<Span>,
    /// Hidden state after each row's last token, `[rows, hidden]`, before the final norm.
    pub last: Tensor<2>,
}

impl<'a> Prefill<'a> {
    pub fn new(model: &'a Model, adapter: Option<&'a dyn AdapterView>) -> Self {
        Self { model, adapter, header: None }
    }

    /// Whether the model takes several prompts at once: not where a prompt is read as a whole, or is a dict.
    pub fn serves(model: &Model) -> bool {
        // A bias by the key's own place has none for keys that no position counts.
        let unmoved = model.family.prefix == PrefixPositions::Unshifted;
        let biased = unmoved && model.info.views.iter().any(|view| view.key_bias.is_some());
        !model.info.whole_prompt && !biased
    }

    /// Puts rows into one new cache. None of them may be empty.
    ///
    /// # Errors
    /// When an id or position lies outside the model, or the device fails.
    pub fn fill(&mut self, rows: &[&[u32]]) -> Result<Filled> {
        let longest = rows.iter().map(|row| row.len()).max().unwrap_or(0);
        let alike = rows.iter().all(|row| row.len() == longest);
        if !self.model.stretches(longest) {
            let shared = self.shared(rows);
            let start = self.header_for(rows, shared)?;
            return self.fill_behind(start, shared, rows);
        }
        if alike {
            return self.fill_behind(KvCache::new(self.model.info.num_layers), 0, rows);
        }
        // Frequencies follow each row's own length.
        let empty = || KvCache::new(self.model.info.num_layers);
        let filled: Vec<_> =
            rows.iter().map(|row| self.fill_behind(empty(), 0, &[row])).collect::<Result<_>>()?;
        let parts: Vec<_> = filled.iter().map(|one| (&one.cache, one.spans.as_slice())).collect();
        let cache = KvCache::gather(&parts);
        let width = cache.len();
        let spans = parts.iter().enumerate().map(|(row, (_, spans))| Span { row, end: width, ..spans[0] });
        let spans = spans.collect();
        let last = Tensor::cat(filled.iter().map(|one| one.last.clone()).collect(), 0);
        Ok(Filled { cache, spans, last })
    }

    /// Tokens that all rows begin with, and perhaps the newest header too; each row keeps one behind them.
    fn shared(&self, rows: &[&[u32]]) -> usize {
        let Some((first, others)) = rows.split_first() else { return 0 };
        let most = rows.iter().map(|row| row.len()).min().unwrap_or(0).saturating_sub(1);
        let all = others.iter().map(|row| common(first, row)).min().unwrap_or(most).min(most);
        let known = self.header.as_ref().map_or(0, |(ids, _)| common(ids, first).min(all));
        // A little more than what is known already is not worth another pass; a row alone has nothing to share.
        let enough = if others.is_empty() || all < known + LEAST_SHARED { known } else { all };
        if enough < LEAST_SHARED { 0 } else { enough }
    }

    /// A cache with the first `shared` tokens of the rows, once for each of them.
    fn header_for(&mut self, rows: &[&[u32]], shared: usize) -> Result<KvCache> {
        let empty = KvCache::new(self.model.info.num_layers);
        if shared == 0 {
            return Ok(empty);
        }
        let wanted = &rows[0][..shared];
        if self.header.as_ref().is_none_or(|(ids, _)| !ids.starts_with(wanted)) {
            let filled = self.fill_behind(empty, 0, &[wanted])?;
            self.header = Some((wanted.to_vec(), filled.cache));
        }
        let places = self.model.before(self.adapter) + shared;
        let spans = vec![Span { row: 0, end: places, len: places }; rows.len()];
        let header = self.header.as_ref().map(|(_, cache)| (cache, spans.as_slice()));
        Ok(KvCache::gather(header.as_slice()))
    }

    /// Puts rows behind their first `shared` tokens, which `cache` holds.
    fn fill_behind(&self, cache: KvCache, shared: usize, rows: &[&[u32]]) -> Result<Filled> {
        let longest = rows.iter().map(|row| row.len()).max().unwrap_or(0);
        let cache = RefCell::new(cache);
        let mut order = Vec::new();
        let mut found = Vec::new();
        let mut from = shared;
        while from < longest {
            let to = longest.min(from + PREFILL);
            let hidden = self.piece(&cache, rows, from, to)?;
            let ended: Vec<usize> = (0..rows.len())
                .filter(|row| (from..to).contains(&rows[*row].len().wrapping_sub(1)))
                .collect();
            if !ended.is_empty() {
                let [_, time, width] = hidden.dims();
                // Whatever stands in front of the first token comes with the first piece.
                let first = time - (to - from);
                let at = |row: &usize| (row * time + first + rows[*row].len() - 1 - from) as i32;
                let at: Vec<i32> = ended.iter().map(at).collect();
                found.push(hidden.reshape([rows.len() * time, width]).select(0, indices(self.model, at)));
                order.extend(ended);
            }
            from = to;
        }
        let mut places = vec![0; rows.len()];
        order.iter().enumerate().for_each(|(place, row)| places[*row] = place as i32);
        let last = Tensor::cat(found, 0).select(0, indices(self.model, places));
        let before = self.model.before(self.adapter);
        let span =
            |(row, ids): (usize, &&[u32])| Span { row, end: before + ids.len(), len: before + ids.len() };
        Ok(Filled { cache: cache.into_inner(), spans: rows.iter().enumerate().map(span).collect(), last })
    }

    /// Hidden states of tokens `from..to` of every row.
    fn piece(&self, cache: &RefCell<KvCache>, rows: &[&[u32]], from: usize, to: usize) -> Result<Tensor<3>> {
        let all = padded(rows, 0, to);
        let positions =
            self.model.positions(&Rows { offset: from, ..Rows::fresh(&all, rows.len()) }, self.adapter)?;
        let options = PassOptions { adapter: self.adapter, cache: Some(cache), ..PassOptions::default() };
        let pass = self.model.pass(&positions, options);
        let ids = self.model.ids(&padded(rows, from, to), rows.len())?;
        let hidden = self.model.hidden(&pass, ids);
        let prefix = positions.prefix.first().map_or(0, KeysValues::tokens);
        cache.borrow_mut().advance(hidden.dims()[1] + prefix);
        Ok(hidden)
    }
}

/// Tokens `from..to` of every row, with anything behind its end.
pub(super) fn padded(rows: &[&[u32]], from: usize, to: usize) -> Vec<u32> {
    let piece = |row: &&[u32]| {
        let own = row.get(from..to.min(row.len())).unwrap_or_default().to_vec();
        let missing = to - from - own.len();
        own.into_iter().chain(std::iter::repeat_n(0, missing))
    };
    rows.iter().flat_map(piece).collect()
}

/// Tokens with which both begin.
fn common(a: &[u32], b: &[u32]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}
