//! From products of queries and keys to scores and back, one tile at a time: scale, softcap, ALiBi, and what is
//! hidden.

use std::ops::Range;
use std::sync::Arc;

use burn_flex::FlexTensor;

use super::super::Mask;
use super::bridge::primitive;
use super::gemm::{Into, Matrix, product};
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
    Causal {
        offset: usize,
        window: Option<usize>,
        slopes: Option<Arc<[f32]>>,
    },
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
            Mask::Causal { offset, window, slopes } => {
                let slopes = slopes.clone();
                if let Some(slopes) = &slopes {
                    assert_eq!(slopes.len(), heads, "attention: slopes of ALiBi and query heads");
                }
                Self::Causal { offset: *offset, window: *window, slopes }
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
}

impl Scoring {
    /// The keys, of `keys`, that any of the queries sees.
    pub fn visible(&self, queries: Range<usize>, keys: usize) -> Range<usize> {
        match &self.hidden {
            Hidden::Causal { offset, window, .. } => {
                let end = keys.min(queries.end + offset);
                first_seen(queries.start + offset, *window).min(end)..end
            }
            Hidden::Bias(_) => 0..keys,
        }
    }

    /// Scores `[queries, keys]` of a tile for the softmax: what is hidden lies far below all others.
    pub fn scores(&self, tile: &Tile, q: Matrix<'_>, k: Matrix<'_>, width: usize, out: &mut [f32]) {
        self.products(tile, q, k, width, out);
        self.mask(tile, out);
    }

    /// The scores before the mask: scaled, capped.
    pub fn products(&self, tile: &Tile, q: Matrix<'_>, k: Matrix<'_>, width: usize, out: &mut [f32]) {
        let dims = [tile.queries, width, tile.keys];
        product(dims, self.scale, q, k.transposed(), out, Into::Replace);
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
            Hidden::Causal { offset, window, slopes } => {
                let slope = slopes.as_ref().map(|slopes| slopes[tile.head]);
                rows.for_each(|(row, scores)| {
                    let query = tile.query + row + offset;
                    if let Some(slope) = slope {
                        lean(scores, slope, tile.key as i32 - query as i32);
                    }
                    let from = first_seen(query, *window).saturating_sub(tile.key).min(scores.len());
                    scores[..from].fill(NOT_VISIBLE);
                    let seen = (query + 1).saturating_sub(tile.key);
                    if let Some(hidden) = scores.get_mut(seen..) {
                        hidden.fill(NOT_VISIBLE);
                    }
                });
            }
            Hidden::Bias(bias) => {
                let bias = Heads::new(bias);
                let head = if bias.dims[1] == 1 { 0 } else { tile.head };
                rows.for_each(|(row, scores)| {
                    let bias = &bias.row(tile.batch, head, tile.query + row)[tile.key..];
                    scores.iter_mut().zip(bias).for_each(|(score, bias)| *score += bias);
                });
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
