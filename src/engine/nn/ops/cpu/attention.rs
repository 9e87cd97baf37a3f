//! Softmax attention tile by tile: no matrix of scores, no repeated keys, fully hidden tiles are
//! skipped (FlashAttention-2, Dao 2023, arXiv:2307.08691).

use burn::tensor::Tensor;
use burn_flex::FlexTensor;
use rayon::prelude::*;

use super::super::Mask;
use super::attention_backward::gradients;
use super::bridge::{Fused, Operand, primitive, run};
use super::buffer::tensor;
use super::gemm::{Into, Matrix, product};
use super::simd::{exp, exp_sum, max, vectorised};

/// Queries and keys of a tile. Measured at widths of 64: smaller tiles repack the keys too often,
/// larger ones calculate more hidden scores.
pub(super) const QUERIES: usize = 128;
pub(super) const KEYS: usize = 128;

#[derive(Clone, Debug)]
pub(super) enum Hidden {
    /// Query `i` sees keys `j <= i + offset`.
    After(usize),
    /// Added to the scores, `[B, 1 or H, Tq, Tk]`.
    Bias(FlexTensor),
}

#[derive(Clone, Debug)]
pub(super) struct Attention {
    pub scale: f32,
    pub hidden: Hidden,
}

/// Head by head view of a `[B, H, T, D]` tensor whose last axis is in order.
pub(super) struct Heads<'a> {
    elements: &'a [f32],
    strides: [usize; 3],
    pub dims: [usize; 4],
}

impl<'a> Heads<'a> {
    pub fn new(tensor: &'a FlexTensor) -> Self {
        let layout = tensor.layout();
        let strides = layout.strides();
        let elements: &[f32] = tensor.storage();
        Self {
            elements: &elements[layout.start_offset()..],
            strides: std::array::from_fn(|axis| strides[axis] as usize),
            dims: layout.shape().dims(),
        }
    }

    /// The rows of one head from `first` on.
    pub fn rows(&self, batch: usize, head: usize, first: usize) -> Matrix<'a> {
        let start = batch * self.strides[0] + head * self.strides[1] + first * self.strides[2];
        Matrix::by_rows(&self.elements[start..], self.strides[2])
    }

    /// One row of one head.
    pub fn row(&self, batch: usize, head: usize, row: usize) -> &'a [f32] {
        &self.rows(batch, head, row).elements[..self.dims[3]]
    }
}

/// The tensor, copied only if [`Heads`] cannot view it.
pub(super) fn viewable(tensor: FlexTensor) -> FlexTensor {
    let layout = tensor.layout();
    let in_order = layout.strides()[3] == 1 || layout.shape()[3] == 1;
    let forward = layout.strides().iter().all(|stride| *stride >= 0);
    if in_order && forward { tensor } else { tensor.to_contiguous() }
}

/// A result `[B, H, T, D]` that lies as `[B, T, H, D]`, so that joining the heads copies nothing.
pub(super) struct Joined {
    elements: Vec<f32>,
    dims: [usize; 4],
}

impl Joined {
    pub fn new(dims: [usize; 4]) -> Self {
        Self { elements: vec![0.0; dims.iter().product()], dims }
    }

    /// The rows of every `(batch, head)`, in this order.
    pub fn heads(&mut self) -> Vec<Vec<&mut [f32]>> {
        let [batches, heads, time, width] = self.dims;
        let mut rows: Vec<Vec<&mut [f32]>> = (0..batches * heads).map(|_| Vec::with_capacity(time)).collect();
        if width > 0 {
            for (index, row) in self.elements.chunks_exact_mut(width).enumerate() {
                rows[index / (time * heads) * heads + index % heads].push(row);
            }
        }
        rows
    }

    pub fn into_tensor(self) -> FlexTensor {
        let [batches, heads, time, width] = self.dims;
        tensor(self.elements, [batches, time, heads, width]).transpose(1, 2)
    }
}

/// Copies rows of `width` one after another into rows that lie apart.
pub(super) fn copy_rows(from: &[f32], to: &mut [&mut [f32]]) {
    for (from, to) in from.chunks_exact(to.first().map_or(1, |row| row.len().max(1))).zip(to) {
        to.copy_from_slice(from);
    }
}

impl Attention {
    /// How many of `keys` keys any query before `last` sees.
    pub fn visible(&self, last: usize, keys: usize) -> usize {
        match &self.hidden {
            Hidden::After(offset) => keys.min(last + offset),
            Hidden::Bias(_) => keys,
        }
    }

    /// Scores `[queries, keys]` of one tile, scaled, with what is hidden far below all others.
    pub fn scores(&self, tile: &Tile, q: Matrix<'_>, k: Matrix<'_>, width: usize, out: &mut [f32]) {
        let dims = [tile.queries, width, tile.keys];
        product(dims, self.scale, q, k.transposed(), out, Into::Replace);
        let rows = out.chunks_exact_mut(tile.keys).take(tile.queries).enumerate();
        match &self.hidden {
            Hidden::After(offset) => rows.for_each(|(row, scores)| {
                let seen = (tile.query + row + offset + 1).saturating_sub(tile.key);
                if let Some(hidden) = scores.get_mut(seen..) {
                    hidden.fill(NOT_VISIBLE);
                }
            }),
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
        for (index, mut rows) in output.heads().into_iter().enumerate() {
            let mut query = 0;
            while !rows.is_empty() {
                let rest = rows.split_off(rows.len().min(QUERIES));
                let (sums, left) = log_sums_left.split_at_mut(rows.len());
                log_sums_left = left;
                let next = query + rows.len();
                tasks.push((index, query, rows, sums));
                (query, rows) = (next, rest);
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
        let queries = q.rows(tile.batch, tile.head, tile.query);
        let visible = self.visible(tile.query + tile.queries, k.dims[2]);
        let mut running = Running::new(tile.queries, width_v);
        while tile.key < visible {
            tile.keys = KEYS.min(visible - tile.key);
            let keys = k.rows(tile.batch, kv_head, tile.key);
            let values = v.rows(tile.batch, kv_head, tile.key);
            running.scores.resize(tile.queries * tile.keys, 0.0);
            self.scores(&tile, queries, keys, width, &mut running.scores);
            running.weigh(tile.keys, width_v);
            let weights = Matrix::by_rows(&running.scores, tile.keys);
            let dims = [tile.queries, tile.keys, width_v];
            product(dims, 1.0, weights, values, &mut running.output, Into::Add);
            tile.key += tile.keys;
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
        self.attend(&inputs.map(viewable)).0
    }

    fn forward_saving(&self, inputs: [FlexTensor; 3], _wanted: [bool; 3]) -> (FlexTensor, Saved) {
        let inputs = inputs.map(viewable);
        let (output, log_sums) = self.attend(&inputs);
        (output.clone(), Saved { inputs, output, log_sums })
    }

    fn backward(&self, saved: Saved, gradient: FlexTensor, _wanted: [bool; 3]) -> [Option<FlexTensor>; 3] {
        gradients(self, &saved, &viewable(gradient)).map(Some)
    }
}

/// See [`super::super::compose::attention`].
///
/// # Panics
/// If the dimensions do not belong together.
pub fn attention(q: Tensor<4>, k: Tensor<4>, v: Tensor<4>, scale: f64, mask: &Mask) -> Tensor<4> {
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
    let hidden = match mask {
        Mask::Causal { offset } => Hidden::After(*offset),
        Mask::Bias(bias) => {
            let bias = bias.clone().inner();
            let bias_heads = bias.dims()[1];
            let bias = bias.expand([batch, bias_heads, queries, keys]);
            Hidden::Bias(viewable(primitive(bias)))
        }
    };
    let operands = [Operand::new(q), Operand::new(k), Operand::new(v)];
    run(Attention { scale: scale as f32, hidden }, operands)
}
