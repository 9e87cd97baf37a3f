//! Keys and values of the tokens seen so far.

use burn::tensor::{Tensor, s};

/// One pair of `[batch, kv_heads, capacity, head_dim]` buffers a layer; values may be narrower than keys.
pub struct KvCache {
    layers: Vec<Option<Layer>>,
    len: usize,
}

struct Layer {
    keys: Tensor<4>,
    values: Tensor<4>,
}

impl KvCache {
    /// Room is taken in steps of this many tokens, so that shapes repeat and little is copied.
    pub const STEP: usize = 128;

    pub fn new(num_layers: usize) -> Self {
        Self { layers: (0..num_layers).map(|_| None).collect(), len: 0 }
    }

    /// Tokens held by every layer.
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Call once after a whole pass.
    pub fn advance(&mut self, tokens: usize) {
        self.len += tokens;
    }

    /// Appends `[batch, kv_heads, new, head_dim]` and returns all keys and values so far.
    pub fn append(&mut self, layer: usize, keys: Tensor<4>, values: Tensor<4>) -> (Tensor<4>, Tensor<4>) {
        let start = self.len;
        let end = start + keys.dims()[2];
        let slot = self.layers[layer].take();
        let mut room = match slot {
            Some(room) if room.keys.dims()[2] >= end => room,
            other => grow(other, start, end, &keys, &values),
        };
        room.keys.inplace(|all| all.slice_assign(s![.., .., start..end, ..], keys));
        room.values.inplace(|all| all.slice_assign(s![.., .., start..end, ..], values));
        let out = (
            room.keys.clone().slice(s![.., .., 0..end, ..]),
            room.values.clone().slice(s![.., .., 0..end, ..]),
        );
        self.layers[layer] = Some(room);
        out
    }
}

fn grow(old: Option<Layer>, used: usize, needed: usize, keys: &Tensor<4>, values: &Tensor<4>) -> Layer {
    let capacity = needed.next_multiple_of(KvCache::STEP);
    let empty = |like: &Tensor<4>| {
        let [batch, heads, _, dim] = like.dims();
        Tensor::<4>::zeros([batch, heads, capacity, dim], (&like.device(), like.dtype()))
    };
    let mut new = Layer { keys: empty(keys), values: empty(values) };
    if let (Some(old), true) = (old, used > 0) {
        let kept = s![.., .., 0..used, ..];
        new.keys = new.keys.slice_assign(kept, old.keys.slice(kept));
        new.values = new.values.slice_assign(kept, old.values.slice(kept));
    }
    new
}
