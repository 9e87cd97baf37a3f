//! Keys and values of the tokens seen so far.

use burn::tensor::{Int, Tensor, TensorData, s};

/// One pair of `[batch, kv_heads, capacity, head_dim]` buffers a layer; values may be narrower than keys.
pub struct KvCache {
    layers: Vec<Option<Layer>>,
    len: usize,
}

struct Layer {
    keys: Tensor<4>,
    values: Tensor<4>,
}

/// Places of one row of a cache: the `len` ones before `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub row: usize,
    pub end: usize,
    pub len: usize,
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

    /// A cache whose rows are these spans of others, one after the other, all ending together. What lies before a shorter
    /// one means nothing and must be hidden.
    ///
    /// # Panics
    /// If a span lies outside its cache, or the caches are of models of other depth.
    pub fn gather(parts: &[(&Self, &[Span])]) -> Self {
        let spans = || parts.iter().flat_map(|(_, spans)| spans.iter());
        let len = spans().map(|span| span.len).max().unwrap_or(0);
        let depth = parts.first().map_or(0, |(cache, _)| cache.layers.len());
        let mut gathered = Self { len, ..Self::new(depth) };
        let parts: Vec<_> =
            parts.iter().filter(|(cache, spans)| !(spans.is_empty() || cache.is_empty())).collect();
        let indices: Vec<_> = parts.iter().map(|(cache, spans)| cache.indices(spans, len)).collect();
        for (layer, slot) in gathered.layers.iter_mut().enumerate() {
            let taken = parts.iter().zip(&indices).filter_map(|((cache, spans), index)| {
                let room = cache.layers[layer].as_ref()?;
                let index = index.as_ref()?.clone().to_device(&room.keys.device());
                Some(room.taken(index, spans.len()))
            });
            let (keys, values): (Vec<_>, Vec<_>) = taken.unzip();
            if !keys.is_empty() {
                *slot = Some(Layer { keys: Tensor::cat(keys, 0), values: Tensor::cat(values, 0) });
            }
        }
        gathered
    }

    /// For every place of the new rows, which take `len` of them and the room of one more, its source among all
    /// `[batch · kv_heads · capacity]`. None where nothing was kept yet.
    fn indices(&self, spans: &[Span], len: usize) -> Option<Tensor<1, Int>> {
        let first = self.layers.iter().flatten().next()?;
        let [batch, heads, capacity, _] = first.keys.dims();
        let room = (len + 1).next_multiple_of(Self::STEP);
        let mut index = Vec::with_capacity(spans.len() * heads * room);
        for Span { row, end, len: own } in spans.iter().copied() {
            assert!(row < batch && own <= end && end <= self.len, "a span outside the cache");
            for head in 0..heads {
                let start = (row * heads + head) * capacity;
                // Anything will do before and behind: numbers that are there are finite.
                index.extend(std::iter::repeat_n(start as i32, len - own));
                index.extend((start + end - own..start + end).map(|place| place as i32));
                index.extend(std::iter::repeat_n(start as i32, room - len));
            }
        }
        let size = index.len();
        Some(Tensor::from_data(TensorData::new(index, [size]), &first.keys.device()))
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

impl Layer {
    fn taken(&self, index: Tensor<1, Int>, rows: usize) -> (Tensor<4>, Tensor<4>) {
        let take = |all: &Tensor<4>| {
            let [batch, heads, capacity, dim] = all.dims();
            let room = index.dims()[0] / (rows * heads).max(1);
            let places = all.clone().reshape([batch * heads * capacity, dim]);
            places.select(0, index.clone()).reshape([rows, heads, room, dim])
        };
        (take(&self.keys), take(&self.values))
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
