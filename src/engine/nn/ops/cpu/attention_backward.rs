//! Gradient of attention: the weights are calculated again tile by tile from the log-sums.

use burn_flex::FlexTensor;
use rayon::prelude::*;

use super::attention::{Attention, KEYS, QUERIES, Saved};
use super::gemm::{Into, Matrix};
use super::heads::{Heads, Joined, copy_rows};
use super::scoring::{Scoring, Tile};
use super::simd::{dot, exp, vectorised};

/// Gradients of q, k and v.
pub(super) fn gradients(attention: &Attention, saved: &Saved, gradient: &FlexTensor) -> [FlexTensor; 3] {
    let [q, k, v] = saved.inputs.each_ref().map(Heads::new);
    let (output, gradient) = (Heads::new(&saved.output), Heads::new(gradient));
    let pass = Pass { scoring: &attention.scoring, q, k, v, output, gradient, log_sums: &saved.log_sums };
    let [batches, heads, ..] = pass.q.dims;
    let [mut dq, mut dk, mut dv] = [&pass.q, &pass.k, &pass.v].map(|x| Joined::new(x.dims));
    let partial: Vec<(Vec<f32>, Vec<f32>)> = dq
        .heads()
        .into_par_iter()
        .enumerate()
        .map(|(index, mut rows)| {
            let [dq, dk, dv] = pass.head(index / heads, index % heads);
            copy_rows(&dq, &mut rows);
            (dk, dv)
        })
        .collect();
    let group = heads / pass.k.dims[1];
    let targets = dk.heads().into_par_iter().zip(dv.heads());
    targets.zip(partial.par_chunks(group)).for_each(|((mut dk, mut dv), parts)| {
        copy_rows(&total(parts.iter().map(|part| &part.0)), &mut dk);
        copy_rows(&total(parts.iter().map(|part| &part.1)), &mut dv);
    });
    debug_assert_eq!(partial.len(), batches * heads);
    [dq, dk, dv].map(Joined::into_tensor)
}

/// Sum of the gradients of the query heads that share a key head, in their order.
fn total<'a>(mut parts: impl Iterator<Item = &'a Vec<f32>>) -> std::borrow::Cow<'a, [f32]> {
    let mut total = std::borrow::Cow::Borrowed(parts.next().map_or(&[][..], Vec::as_slice));
    for part in parts {
        total.to_mut().iter_mut().zip(part).for_each(|(total, part)| *total += part);
    }
    total
}

struct Pass<'a> {
    scoring: &'a Scoring,
    q: Heads<'a>,
    k: Heads<'a>,
    v: Heads<'a>,
    output: Heads<'a>,
    gradient: Heads<'a>,
    log_sums: &'a [f32],
}

/// A tile's queries, keys, values and gradients of the output.
struct Operands<'a> {
    q: Matrix<'a>,
    k: Matrix<'a>,
    v: Matrix<'a>,
    g: Matrix<'a>,
}

impl Pass<'_> {
    /// Gradients of one query head, and its share in those of its key head.
    fn head(&self, batch: usize, head: usize) -> [Vec<f32>; 3] {
        let [_, heads, queries, width] = self.q.dims;
        let [_, _, keys, width_v] = self.v.dims;
        let mut dq = vec![0.0; queries * width];
        let mut dk = vec![0.0; keys * width];
        let mut dv = vec![0.0; keys * width_v];
        let log_sums = &self.log_sums[(batch * heads + head) * queries..][..queries];
        let delta = self.delta(batch, head);
        let mut scratch = [vec![0.0; QUERIES * KEYS], vec![0.0; QUERIES * KEYS]];
        let mut rooms = [const { Vec::new() }; 4];
        let kv = [batch, head / (heads / self.k.dims[1])];
        for asking in self.scoring.tiles(batch, queries, QUERIES) {
            let (query, rows) = (asking.start, asking.len());
            let [room_q, room_k, room_v, room_g] = &mut rooms;
            let q = self.q.rows([batch, head], asking.clone(), room_q);
            let g = self.gradient.rows([batch, head], asking.clone(), room_g);
            for visible in self.scoring.visible(batch, asking, keys, KEYS) {
                let (key, columns) = (visible.start, visible.len());
                let tile = Tile { batch, head, query, queries: rows, key, keys: columns };
                let k = self.k.rows(kv, visible.clone(), room_k);
                let operands = Operands { q, k, v: self.v.rows(kv, visible, room_v), g };
                self.weights(&tile, &operands, &mut scratch, &log_sums[query..], &delta[query..]);
                let [weights, d_scores] = scratch.each_ref().map(|s| Matrix::by_rows(s, columns));
                let (dq, dk) = (&mut dq[query * width..], &mut dk[key * width..]);
                let dv = &mut dv[key * width_v..];
                let product = self.scoring.product;
                product([columns, rows, width_v], 1.0, weights.transposed(), g, dv, Into::Add);
                product([rows, columns, width], 1.0, d_scores, k, dq, Into::Add);
                product([columns, rows, width], 1.0, d_scores.transposed(), q, dk, Into::Add);
            }
        }
        [dq, dk, dv]
    }

    /// `Σ gradient·output` of every query.
    fn delta(&self, batch: usize, head: usize) -> Vec<f32> {
        let [mut room_g, mut room_y] = [const { Vec::new() }; 2];
        let (rows, width) = (0..self.q.dims[2], self.v.dims[3]);
        let g = self.gradient.rows([batch, head], rows.clone(), &mut room_g);
        let y = self.output.rows([batch, head], rows.clone(), &mut room_y);
        let row = |row| {
            let [g, y] = [g, y].map(|of| &of.elements[row * of.rows..][..width]);
            vectorised(
                #[inline(always)]
                || dot(g, y),
            )
        };
        rows.map(row).collect()
    }

    /// The tile's weights `p`, and the gradient of its products `p·(g·vᵀ − delta)·scale`, through the softcap.
    fn weights(
        &self,
        tile: &Tile,
        Operands { q, k, v, g }: &Operands<'_>,
        scratch: &mut [Vec<f32>; 2],
        log_sums: &[f32],
        delta: &[f32],
    ) {
        let [weights, d_scores] = scratch;
        self.scoring.products(tile, *q, *k, self.q.dims[3], weights);
        let dims = [tile.queries, self.v.dims[3], tile.keys];
        (self.scoring.product)(dims, 1.0, *g, v.transposed(), d_scores, Into::Replace);
        let uncapped = self.scoring.uncap(tile, weights, d_scores, delta);
        self.scoring.mask(tile, weights);
        let scale = self.scoring.scale;
        vectorised(
            #[inline(always)]
            || {
                let rows = weights.chunks_exact_mut(tile.keys).zip(d_scores.chunks_exact_mut(tile.keys));
                let statistics = log_sums.iter().zip(delta).take(tile.queries);
                for ((weights, d_scores), (log_sum, delta)) in rows.zip(statistics) {
                    let delta = if uncapped { 0.0 } else { *delta };
                    for (weight, d) in weights.iter_mut().zip(d_scores) {
                        *weight = exp(*weight - log_sum);
                        *d = *weight * (*d - delta) * scale;
                    }
                }
            },
        );
    }
}
