//! From products of queries and keys to scores and back, one tile at a time: scale, softcap, ALiBi, and what is
//! hidden.

use std::ops::Range;

use burn_flex::FlexTensor;

use super::super::{Causal, Mask};
use super::bridge::primitive;
use super::gemm::{Into, Matrix, Product};
use super::heads::{Heads, viewable};
use super::simd::{tanh, vectorised};

/// As in [`super::super::compose`].
const NOT_VISIBLE: f32 = -1e9;

/// Some queries of one head against some keys.
pub(super) struct Tile {
    pub batch: usize,
    pub head: usize,
    pub query: usize,
    pub queries: usize,
    pub key: usize,
    pub keys: usize,
}

/// Which keys a query sees; see [`Mask`].
#[derive(Clone, Debug)]
pub(super) enum Hidden {
    Causal(Causal),
    /// `[B, 1 or H, Tq, Tk]`.
    Bias(FlexTensor),
}

impl Hidden {
    /// For scores `[B, H, Tq, Tk]`.
    ///
    /// # Panics
    /// If the mask does not belong to them.
    pub fn new(mask: &Mask, [batch, heads, queries, keys]: [usize; 4]) -> Self {
        match mask {
            Mask::Causal(causal) => {
                if let Some(slopes) = &causal.slopes {
                    assert_eq!(slopes.len(), heads, "attention: slopes of ALiBi and query heads");
                }
                if let Some(starts) = &causal.starts {
                    let shape = [starts.rows(), starts.queries];
                    assert_eq!(shape, [batch, queries], "attention: starts of texts and queries");
                }
                Self::Causal(causal.clone())
            }
            Mask::Bias(bias) => {
                let bias = bias.clone().inner();
                let bias_heads = bias.dims()[1];
                Self::Bias(viewable(primitive(bias.expand([batch, bias_heads, queries, keys]))))
            }
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Scoring {
    pub scale: f32,
    pub softcap: Option<f32>,
    pub hidden: Hidden,
    /// How products are calculated.
    pub product: Product,
}

impl Scoring {
    /// The queries of a row in tiles of `most` at most. A tile ends where a text does, unless that would make it very
    /// small: what the queries of two texts see lies apart.
    pub fn tiles(&self, row: usize, queries: usize, most: usize) -> Vec<Range<usize>> {
        let mut tiles = Vec::with_capacity(queries.div_ceil(most));
        let mut begin = 0;
        while begin < queries {
            let last = queries.min(begin + most);
            let end = match &self.hidden {
                Hidden::Causal(Causal { starts: Some(starts), .. }) => {
                    let parted = |query: &usize| starts.first(row, *query) != starts.first(row, query - 1);
                    (begin + most / 4..last).find(parted).unwrap_or(last)
                }
                _ => last,
            };
            tiles.push(begin..end);
            begin = end;
        }
        tiles
    }

    /// The keys, of `keys`, that any of the queries of a row sees: in tiles of `most` at most, in order. None lies on
    /// both sides of the end of what is in front of all texts.
    pub fn visible(
        &self,
        row: usize,
        queries: Range<usize>,
        keys: usize,
        most: usize,
    ) -> impl Iterator<Item = Range<usize>> + use<> {
        let [front, own] = match &self.hidden {
            Hidden::Causal(causal) => causal.visible(row, queries, keys),
            Hidden::Bias(_) => [0..0, 0..keys],
        };
        let tiles = move |range: Range<usize>| {
            let end = range.end;
            range.step_by(most).map(move |first| first..end.min(first + most))
        };
        tiles(front).chain(tiles(own))
    }

    /// Scores `[queries, keys]` of a tile for the softmax: what is hidden lies far below all others.
    pub fn scores(&self, tile: &Tile, q: Matrix<'_>, k: Matrix<'_>, width: usize, out: &mut [f32]) {
        self.products(tile, q, k, width, out);
        self.mask(tile, out);
    }

    /// The scores before the mask: scaled, capped.
    pub fn products(&self, tile: &Tile, q: Matrix<'_>, k: Matrix<'_>, width: usize, out: &mut [f32]) {
        let dims = [tile.queries, width, tile.keys];
        (self.product)(dims, self.scale, q, k.transposed(), out, Into::Replace);
        let Some(cap) = self.softcap else { return };
        let (scores, shrink) = (&mut out[..tile.queries * tile.keys], 1.0 / cap);
        vectorised(
            #[inline(always)]
            || {
                for score in scores {
                    *score = cap * tanh(*score * shrink);
                }
            },
        );
    }

    /// Gradients `[queries, keys]` of a tile's masked scores become, less `delta` of their query, those before the
    /// cap: `d tanh = 1 - tanh²`. `products` are those of [`products`](Self::products). True if there is a cap;
    /// nothing is done otherwise.
    pub fn uncap(&self, tile: &Tile, products: &[f32], gradients: &mut [f32], delta: &[f32]) -> bool {
        let Some(cap) = self.softcap else { return false };
        let shrink = 1.0 / cap;
        vectorised(
            #[inline(always)]
            || {
                let rows = products.chunks_exact(tile.keys).zip(gradients.chunks_exact_mut(tile.keys));
                for ((products, gradients), delta) in rows.zip(delta).take(tile.queries) {
                    for (score, gradient) in products.iter().zip(gradients) {
                        let tanh = score * shrink;
                        *gradient = (*gradient - delta) * (-tanh).mul_add(tanh, 1.0);
                    }
                }
            },
        );
        true
    }

    /// Adds the bias of ALiBi or of a tensor, and sinks what is hidden.
    pub fn mask(&self, tile: &Tile, scores: &mut [f32]) {
        let rows = scores.chunks_exact_mut(tile.keys).take(tile.queries).enumerate();
        match &self.hidden {
            Hidden::Causal(causal) => {
                let slope = causal.slopes.as_ref().map(|slopes| slopes[tile.head]);
                rows.for_each(|(row, scores)| {
                    let (position, first) = causal.place(tile, tile.query + row);
                    if let Some(slope) = slope {
                        lean(scores, slope, tile.key as i32 - position as i32);
                    }
                    let from = first.saturating_sub(tile.key).min(scores.len());
                    scores[..from].fill(NOT_VISIBLE);
                    let seen = (position + 1).saturating_sub(tile.key);
                    if let Some(hidden) = scores.get_mut(seen..) {
                        hidden.fill(NOT_VISIBLE);
                    }
                });
            }
            Hidden::Bias(bias) => {
                let bias = Heads::new(bias);
                let head = if bias.dims[1] == 1 { 0 } else { tile.head };
                rows.for_each(|(row, scores)| {
                    let (at, mut room) = (tile.query + row, Vec::new());
                    let bias = bias.rows([tile.batch, head], at..at + 1, &mut room);
                    let bias = &bias.elements[tile.key..];
                    scores.iter_mut().zip(bias).for_each(|(score, bias)| *score += bias);
                });
            }
        }
    }
}

impl Causal {
    /// The keys in front of all texts, and those behind them, that any of the queries of a row sees.
    fn visible(&self, row: usize, queries: Range<usize>, keys: usize) -> [Range<usize>; 2] {
        let end = keys.min(queries.end + self.offset);
        let own = first_seen(queries.start + self.offset, self.window);
        let Some(starts) = &self.starts else { return [0..0, own.min(end)..end] };
        let front = queries.clone().map(|query| query + self.offset - starts.gap(row, query)).min();
        let front = first_seen(front.unwrap_or(0), self.window).min(starts.front)..starts.front.min(end);
        let first = queries.map(|query| starts.first(row, query)).min().unwrap_or(0);
        [front, own.max(first).min(end)..end]
    }

    /// How far along the keys of a tile a query of its row stands, and the first of them that it sees.
    fn place(&self, tile: &Tile, query: usize) -> (usize, usize) {
        let position = query + self.offset;
        match &self.starts {
            None => (position, first_seen(position, self.window)),
            Some(starts) if tile.key < starts.front => {
                let position = position - starts.gap(tile.batch, query);
                (position, first_seen(position, self.window))
            }
            Some(starts) => {
                (position, first_seen(position, self.window).max(starts.first(tile.batch, query)))
            }
        }
    }
}

/// The first key that the query at position `query` sees.
fn first_seen(query: usize, window: Option<usize>) -> usize {
    window.map_or(0, |window| (query + 1).saturating_sub(window))
}

/// Adds `slope · distance` to the scores of keys in order, of which the first lies `ahead` of its query.
fn lean(scores: &mut [f32], slope: f32, ahead: i32) {
    vectorised(
        #[inline(always)]
        || {
            for (ahead, score) in (ahead..).zip(scores) {
                *score = slope.mul_add(ahead as f32, *score);
            }
        },
    );
}

#[cfg(test)]
mod tests {
    use super::super::super::Starts;
    use super::*;

    #[test]
    fn tiles_end_where_texts_do_and_are_not_tiny() {
        let begins = [0u32, 5, 45, 46, 176, 209];
        let first: Vec<u32> =
            (0..300).map(|at| *begins.iter().rfind(|begin| **begin <= at).unwrap()).collect();
        let starts = Starts { front: 0, queries: 300, first: first.into() };
        let hidden = Hidden::Causal(Causal { starts: Some(starts), ..Causal::default() });
        let scoring = Scoring { scale: 1.0, softcap: None, hidden, product: super::super::gemm::product };
        assert_eq!(scoring.tiles(0, 300, 128), [0..45, 45..173, 173..209, 209..300]);
        let seen = |queries| scoring.visible(0, queries, 300, 128).collect::<Vec<_>>();
        assert_eq!(seen(0..45), vec![0..45; 1]);
        // The text that the tile is in began before it.
        assert_eq!(seen(173..209), [46..174, 174..209]);
        assert_eq!(seen(209..300), vec![209..300; 1]);
    }
}
