//! How much goes through a model at once.

use burn::tensor::DType;
use protocol::DeviceKind;

use crate::device::{self, Chosen};
use crate::models::Model;

/// Tokens at once where nobody says: more are no faster.
const CPU_TOKENS: usize = 4096;
const CUDA_TOKENS: usize = 16_384;
/// Rows that answer side by side.
const CPU_ROWS: usize = 32;
const CUDA_ROWS: usize = 128;

/// The bounds of a batch, by the device's free memory or by a user's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchLimit {
    /// Tokens at once, padding included.
    pub tokens: usize,
    /// Rows that answer side by side.
    pub rows: usize,
    /// Bytes that may be taken.
    bytes: u64,
    /// Bytes of a token in a block, of a pair of query and key where no kernel scores them, and of a token in the cache.
    a_token: u64,
    a_pair: u64,
    a_place: u64,
}

impl BatchLimit {
    /// `wanted` tokens at once, padding included; 0: as many as serve. Never more than half of the free memory holds.
    pub fn new(model: &Model, chosen: &Chosen, wanted: u64) -> Self {
        let (tokens, rows) = match chosen.report.kind {
            DeviceKind::Cpu => (CPU_TOKENS, CPU_ROWS),
            DeviceKind::Cuda | DeviceKind::Wgpu => (CUDA_TOKENS, CUDA_ROWS),
        };
        let tokens = if wanted == 0 { tokens } else { usize::try_from(wanted).unwrap_or(usize::MAX) };
        let bytes = device::memory_free(chosen) / 2;
        Self { tokens, rows, bytes, ..Self::costs(model, device::fuses(chosen, model.dtype)) }
    }

    /// So many tokens at once, whatever they take.
    pub fn of_tokens(tokens: usize) -> Self {
        Self { tokens, rows: CPU_ROWS, bytes: u64::MAX, a_token: 0, a_pair: 0, a_place: 0 }
    }

    /// The same with so many rows that answer side by side.
    #[must_use]
    pub fn with_rows(self, rows: usize) -> Self {
        Self { rows, ..self }
    }

    /// What a block holds at once: its input, query, key and value, and both products of the feed-forward layer.
    fn costs(model: &Model, fused: bool) -> Self {
        let info = &model.info;
        let element = if model.dtype == DType::F32 { 4 } else { 2 };
        let kv = 2 * info.kv_heads * info.head_dim;
        let wide = 6 * info.hidden + 3 * info.inner + 2 * (info.heads * info.head_dim + kv);
        // Compositions calculate in f32 beside the element type.
        let each = if fused { element } else { element + 12 };
        Self {
            a_token: (wide * each) as u64,
            a_pair: if fused { 0 } else { 16 * info.heads as u64 },
            a_place: (info.num_layers * kv * element) as u64,
            ..Self::of_tokens(0)
        }
    }

    /// Whether `time` tokens of each of `rows` rows, which look at `keys` tokens, go through at once. One row always
    /// does.
    pub fn takes(&self, rows: usize, time: usize, keys: usize) -> bool {
        let all = (rows as u64).saturating_mul(time as u64);
        let at_work =
            all.saturating_mul(self.a_token.saturating_add(self.a_pair.saturating_mul(keys as u64)));
        let kept = (rows as u64).saturating_mul(keys as u64).saturating_mul(self.a_place);
        rows <= 1 || all <= self.tokens as u64 && at_work.saturating_add(kept) <= self.bytes
    }

    /// Whether so many rows may answer side by side that look at `keys` tokens each. One always may.
    pub fn holds(&self, rows: usize, keys: usize) -> bool {
        let kept = (rows as u64).saturating_mul(keys as u64).saturating_mul(self.a_place);
        rows <= 1 || rows <= self.rows.min(self.tokens) && kept <= self.bytes
    }

    /// The numbers of rows of these lengths, longest first, in batches that go through at once. `joins` says whether a
    /// row may be in one batch with the batch's first.
    pub fn batches(&self, lengths: &[usize], joins: &dyn Fn(usize, usize) -> bool) -> Vec<Vec<usize>> {
        let mut order: Vec<usize> = (0..lengths.len()).collect();
        order.sort_by_key(|row| (std::cmp::Reverse(lengths[*row]), *row));
        let mut batches: Vec<Vec<usize>> = Vec::new();
        for row in order {
            match batches.last_mut() {
                Some(batch) if self.has_room(batch, lengths) && joins(batch[0], row) => batch.push(row),
                _ => batches.push(vec![row]),
            }
        }
        batches
    }

    fn has_room(&self, batch: &[usize], lengths: &[usize]) -> bool {
        let longest = lengths[batch[0]];
        self.takes(batch.len() + 1, longest, longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_hold_as_many_tokens_as_they_may_and_every_row_once() {
        let batches = BatchLimit::of_tokens(10).batches(&[2, 5, 3, 30, 4], &|_, _| true);
        assert_eq!(batches, [vec![3], vec![1, 4], vec![2, 0]]);
        let alone = BatchLimit::of_tokens(10).batches(&[2, 2, 2], &|_, row| row != 1);
        assert_eq!(alone, [vec![0], vec![1, 2]]);
        assert!(BatchLimit::of_tokens(10).batches(&[], &|_, _| true).is_empty());
    }
}
