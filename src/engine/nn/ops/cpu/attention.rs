//! Softmax attention tile by tile (of queries and keys): no matrix of scores, no repeated keys, fully hidden tiles are
//! skipped (FlashAttention-2, Dao 2023, arXiv:2307.08691).

use burn::tensor::{DType, Tensor};
use burn_flex::FlexTensor;
use rayon::prelude::*;

use super::super::{Mask, Scores};
use super::attention_backward::gradients;
use super::bridge::{Fused, Operand, run};
use super::gemm::{Into, Matrix, product};
use super::halves::narrow;
use super::heads::{Heads, Joined, copy_rows, viewable};
use super::scoring::{Hidden, Scoring, Tile};
use super::simd::{exp, exp_sum, max, vectorised};
use super::tiles;

/// Queries and keys of a tile. Measured at widths of 64: smaller tiles repack the keys too often,
/// larger ones calculate more hidden scores.
pub(super) const QUERIES: usize = 128;
pub(super) const KEYS: usize = 128;

#[derive(Clone, Debug)]
pub(super) struct Attention {
    pub scoring: Scoring,
}

/// Result of some queries: rows of the output, not yet divided, with the running softmax.
struct Running {
    output: Vec<f32>,
    max: Vec<f32>,
    sum: Vec<f32>,
    scores: Vec<f32>,
}

impl Running {
    fn new(queries: usize, width: usize) -> Self {
        Self {
            output: vec![0.0; queries * width],
            max: vec![f32::MIN; queries],
            sum: vec![0.0; queries],
            scores: vec![0.0; queries * KEYS],
        }
    }

    /// Turns a tile's scores into weights against the running maximum.
    fn weigh(&mut self, keys: usize, width: usize) {
        vectorised(
            #[inline(always)]
            || {
                let rows = self.scores.chunks_exact_mut(keys).zip(self.output.chunks_mut(width.max(1)));
                for (((scores, output), top), sum) in rows.zip(&mut self.max).zip(&mut self.sum) {
                    let new = top.max(max(scores));
                    let shrink = exp(*top - new);
                    *sum = sum.mul_add(shrink, exp_sum(scores, new));
                    if shrink != 1.0 {
                        for y in output {
                            *y *= shrink;
                        }
                    }
                    *top = new;
                }
            },
        );
    }

    /// Divides by the sums; gives `ln Σ e^score` of every query.
    fn finish(&mut self, width: usize) -> Vec<f32> {
        for (output, sum) in self.output.chunks_mut(width.max(1)).zip(&self.sum) {
            let factor = 1.0 / sum;
            output.iter_mut().for_each(|y| *y *= factor);
        }
        self.max.iter().zip(&self.sum).map(|(max, sum)| max + sum.ln()).collect()
    }
}

impl Attention {
    /// Output, and `ln Σ e^score` `[B, H, Tq]`.
    fn attend(&self, inputs: &[FlexTensor; 3]) -> (FlexTensor, Vec<f32>) {
        let [q, k, v] = inputs.each_ref().map(Heads::new);
        let [batches, heads, queries, _] = q.dims;
        let mut output = Joined::new([batches, heads, queries, v.dims[3]]);
        let mut log_sums = vec![0.0; batches * heads * queries];
        let mut tasks = Vec::new();
        let mut log_sums_left = log_sums.as_mut_slice();
        for (index, rows) in output.heads().into_iter().enumerate() {
            // Each task's list is made as long as it is: one split off another keeps the room of the whole, which is
            // quadratic in the length of the text.
            let mut rows = rows.into_iter();
            for tile in self.scoring.tiles(index / heads, queries, QUERIES) {
                let part: Vec<_> = rows.by_ref().take(tile.len()).collect();
                let (sums, left) = log_sums_left.split_at_mut(part.len());
                log_sums_left = left;
                tasks.push((index, tile.start, part, sums));
            }
        }
        tasks.into_par_iter().for_each(|(index, query, mut rows, sums)| {
            let (batch, head) = (index / heads, index % heads);
            let tile = Tile { batch, head, query, queries: rows.len(), key: 0, keys: 0 };
            let (output, log_sums) = self.attend_tile(tile, &q, &k, &v);
            copy_rows(&output, &mut rows);
            sums.copy_from_slice(&log_sums);
        });
        (output.into_tensor(), log_sums)
    }

    /// Output rows and log-sums of some queries of one head.
    fn attend_tile(
        &self,
        mut tile: Tile,
        q: &Heads<'_>,
        k: &Heads<'_>,
        v: &Heads<'_>,
    ) -> (Vec<f32>, Vec<f32>) {
        let (width, width_v) = (q.dims[3], v.dims[3]);
        let kv_head = tile.head / (q.dims[1] / k.dims[1]);
        let [mut room_q, mut room_k, mut room_v] = [const { Vec::new() }; 3];
        let seen_by = tile.query..tile.query + tile.queries;
        let queries = q.rows([tile.batch, tile.head], seen_by.clone(), &mut room_q);
        let mut running = Running::new(tile.queries, width_v);
        for visible in self.scoring.visible(tile.batch, seen_by, k.dims[2], KEYS) {
            (tile.key, tile.keys) = (visible.start, visible.len());
            let keys = k.rows([tile.batch, kv_head], visible.clone(), &mut room_k);
            let values = v.rows([tile.batch, kv_head], visible, &mut room_v);
            running.scores.resize(tile.queries * tile.keys, 0.0);
            self.scoring.scores(&tile, queries, keys, width, &mut running.scores);
            running.weigh(tile.keys, width_v);
            let weights = Matrix::by_rows(&running.scores, tile.keys);
            let dims = [tile.queries, tile.keys, width_v];
            (self.scoring.product)(dims, 1.0, weights, values, &mut running.output, Into::Add);
        }
        let log_sums = running.finish(width_v);
        (running.output, log_sums)
    }
}

/// What the gradient needs.
#[derive(Clone, Debug)]
pub(super) struct Saved {
    /// q, k, v.
    pub inputs: [FlexTensor; 3],
    pub output: FlexTensor,
    /// `ln Σ e^score`, `[B, H, Tq]`.
    pub log_sums: Vec<f32>,
}

impl Fused<3> for Attention {
    type Saved = Saved;

    fn forward(&self, inputs: [FlexTensor; 3]) -> FlexTensor {
        let dtype = inputs[0].dtype();
        narrow(self.attend(&inputs.map(viewable)).0, dtype)
    }

    fn forward_saving(&self, inputs: [FlexTensor; 3], _wanted: [bool; 3]) -> (FlexTensor, Saved) {
        let inputs = inputs.map(viewable);
        let (output, log_sums) = self.attend(&inputs);
        let output = narrow(output, inputs[0].dtype());
        (output.clone(), Saved { inputs, output, log_sums })
    }

    fn backward(&self, saved: Saved, gradient: FlexTensor, _wanted: [bool; 3]) -> [Option<FlexTensor>; 3] {
        let dtype = gradient.dtype();
        gradients(self, &saved, &viewable(gradient)).map(|gradient| Some(narrow(gradient, dtype)))
    }
}

/// See [`super::super::compose::attention`].
///
/// # Panics
/// If the dimensions do not belong together.
pub fn attention(q: Tensor<4>, k: Tensor<4>, v: Tensor<4>, rule: Scores, mask: &Mask) -> Tensor<4> {
    let [batch, heads, queries, width] = q.dims();
    let [_, kv_heads, keys, _] = k.dims();
    assert!(
        k.dims() == [batch, kv_heads, keys, width] && v.dims()[..3] == k.dims()[..3],
        "attention: q {:?}, k {:?}, v {:?}",
        q.dims(),
        k.dims(),
        v.dims(),
    );
    assert!(
        kv_heads > 0 && heads % kv_heads == 0,
        "attention: {heads} query heads cannot share {kv_heads} key heads",
    );
    let hidden = Hidden::new(mask, [batch, heads, queries, keys]);
    // Of a single query the products cost what it costs to read the keys.
    let rounds = q.dtype() == DType::BF16 && queries > 1 && tiles::here();
    let product = if rounds { tiles::rounded_product } else { product };
    let softcap = rule.softcap.map(|cap| cap as f32);
    let scoring = Scoring { scale: rule.scale as f32, softcap, hidden, product };
    run(Attention { scoring }, [Operand::new(q), Operand::new(k), Operand::new(v)])
}
