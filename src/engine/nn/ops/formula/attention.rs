//! Attention whose scores never exist as a whole: queries take turns, and see only the keys that they may. The gradient
//! calculates the probabilities of each turn again (Rabe and Staats 2021, arXiv:2112.05682; the gradient as in Dao et al.
//! 2022, arXiv:2205.14135, appendix B).

use std::sync::Arc;

use burn::tensor::{Tensor, activation};

use super::super::compose::{causal_bias, f32};
use super::super::matmul::assert_same_dtype;
use super::super::own::{self, Sight};
use super::super::{Causal, Mask, Scores, Starts};
use super::{Formula, run};

/// Bytes that the `f32` scores of a turn may have.
const CHUNK_BYTES: usize = 256 << 20;
/// Queries of a turn at least: fewer would not fill a product.
const LEAST_QUERIES: usize = 128;
/// Bytes up to which a causal mask is worth making once for all layers.
pub const READY_MASK: usize = 64 << 20;

/// Queries of a turn for `rows` = batch × heads and so many keys.
pub fn chunk_queries(rows: usize, keys: usize) -> usize {
    (CHUNK_BYTES / 4 / (rows * keys).max(1) / LEAST_QUERIES * LEAST_QUERIES).max(LEAST_QUERIES)
}

#[derive(Clone, Debug)]
struct Attention {
    rule: Scores,
    mask: Mask,
    /// Queries of a turn.
    chunk: usize,
}

/// Queries `first..first + count` and the keys `from..to` that they may see.
#[derive(Clone, Copy, Debug)]
struct Turn {
    first: usize,
    count: usize,
    from: usize,
    to: usize,
}

impl Turn {
    /// All at once.
    fn whole(sight: &Sight) -> Self {
        Self { first: 0, count: sight.queries, from: 0, to: sight.keys }
    }

    fn queries(&self, x: &Tensor<4>, heads: usize) -> Tensor<4> {
        let [batch, all, _, width] = x.dims();
        // The heads of a group are neighbours, so a group's queries are rows of one matrix.
        x.clone().narrow(2, self.first, self.count).reshape([batch, heads, all / heads * self.count, width])
    }

    fn keys(&self, x: &Tensor<4>) -> Tensor<4> {
        if self.to - self.from == x.dims()[2] {
            x.clone()
        } else {
            x.clone().narrow(2, self.from, self.to - self.from)
        }
    }
}

/// What a turn's scores become.
struct Weights {
    /// The probabilities `[B, Hkv, rows, keys]`, `f32`.
    p: Tensor<4>,
    /// What the cap leaves of a score's slope, of the same shape.
    cap: Option<Tensor<4>>,
}

impl Attention {
    fn of(sight: &Sight) -> Self {
        Self { rule: sight.rule, mask: Mask::Causal(sight.causal()), chunk: sight.queries.max(1) }
    }

    fn turns(&self, queries: usize, keys: usize) -> impl DoubleEndedIterator<Item = Turn> + '_ {
        (0..queries.div_ceil(self.chunk)).map(move |index| {
            let first = index * self.chunk;
            let count = self.chunk.min(queries - first);
            let (from, to) = self.seen(first, count, keys);
            Turn { first, count, from, to }
        })
    }

    fn seen(&self, first: usize, count: usize, keys: usize) -> (usize, usize) {
        let Mask::Causal(Causal { offset, window, starts, .. }) = &self.mask else { return (0, keys) };
        let from = match (window, starts) {
            (Some(window), None) => (offset + first + 1).saturating_sub(*window),
            _ => 0,
        };
        (from.min(keys.saturating_sub(1)), (offset + first + count).min(keys))
    }

    /// What the queries of a turn see.
    fn sight(&self, causal: &Causal, turn: &Turn, heads: usize) -> Sight {
        let Causal { offset, window, slopes, starts } = causal;
        let starts = starts.as_ref().map(|starts| (starts.front, firsts(starts, turn)));
        Sight {
            heads,
            queries: turn.count,
            keys: turn.to - turn.from,
            rule: self.rule,
            // Several texts are seen from the first key on.
            before: (offset + turn.first).saturating_sub(turn.from),
            window: *window,
            slopes: slopes.clone(),
            starts,
        }
    }

    /// The same, if a kernel makes the probabilities of these scores from it.
    fn served(&self, turn: &Turn, scores: &Tensor<4>, heads: usize) -> Option<Sight> {
        let Mask::Causal(causal) = &self.mask else { return None };
        own::softmax_serves(&scores.device(), scores.dtype())
            .then(|| self.sight(causal, turn, heads))
            .filter(|sight| own::softmax_fits(scores, sight))
    }

    fn bias(&self, turn: &Turn, heads: usize, device: &burn::tensor::Device) -> Tensor<4> {
        match &self.mask {
            Mask::Bias(bias) => f32(bias.clone().narrow(2, turn.first, turn.count)),
            Mask::Causal(causal) => {
                let sight = self.sight(causal, turn, heads);
                causal_bias([sight.queries, sight.keys], &sight.causal(), device)
            }
        }
    }

    /// From the products of queries and keys.
    fn weights(&self, turn: &Turn, scores: Tensor<4>, heads: usize) -> Weights {
        let shape = scores.dims();
        let [batch, _, _, keys] = shape;
        let bias = self.bias(turn, heads, &scores.device());
        let scores = f32(scores) * self.rule.scale;
        let (scores, cap) = match self.rule.softcap {
            Some(cap) => {
                let bent = (scores / cap).tanh();
                (bent.clone() * cap, Some(1.0 - bent.square()))
            }
            None => (scores, None),
        };
        let scores = scores.reshape([batch, heads, turn.count, keys]) + bias;
        Weights { p: activation::softmax(scores, 3).reshape(shape), cap }
    }

    /// The probabilities, in the scores' element type.
    fn probabilities(&self, turn: &Turn, scores: Tensor<4>, heads: usize) -> Tensor<4> {
        match self.served(turn, &scores, heads) {
            Some(sight) => own::probabilities(scores, sight),
            None => {
                let dtype = scores.dtype();
                self.weights(turn, scores, heads).p.cast(dtype)
            }
        }
    }

    /// The probabilities and the gradient of the scores, from that of the probabilities; all of one element type.
    fn score_gradients(&self, turn: &Turn, scores: Tensor<4>, dp: Tensor<4>, heads: usize) -> [Tensor<4>; 2] {
        match self.served(turn, &scores, heads) {
            Some(sight) => own::score_gradients(scores, dp, sight),
            None => self.composed_gradients(turn, scores, dp, heads),
        }
    }

    fn composed_gradients(
        &self,
        turn: &Turn,
        scores: Tensor<4>,
        dp: Tensor<4>,
        heads: usize,
    ) -> [Tensor<4>; 2] {
        let dtype = scores.dtype();
        let Weights { p, cap } = self.weights(turn, scores, heads);
        let dp = f32(dp);
        let along = (dp.clone() * p.clone()).sum_dim(3);
        let ds = p.clone() * (dp - along) * self.rule.scale;
        let ds = match cap {
            Some(cap) => ds * cap,
            None => ds,
        };
        [p.cast(dtype), ds.cast(dtype)]
    }

    /// The gradients of a turn: q, k, v.
    fn turn_gradients(
        &self,
        turn: &Turn,
        [q, k, v]: [&Tensor<4>; 3],
        gradient: &Tensor<4>,
    ) -> [Tensor<4>; 3] {
        let (heads, groups) = (q.dims()[1], k.dims()[1]);
        let (q, g) = (turn.queries(q, groups), turn.queries(gradient, groups));
        let (k, v) = (turn.keys(k), turn.keys(v));
        let scores = q.clone().matmul(k.clone().swap_dims(2, 3));
        let dp = g.clone().matmul(v.swap_dims(2, 3));
        let [p, ds] = self.score_gradients(turn, scores, dp, heads);
        let dv = p.swap_dims(2, 3).matmul(g);
        let dk = ds.clone().swap_dims(2, 3).matmul(q);
        let [batch, _, _, width] = k.dims();
        [ds.matmul(k).reshape([batch, heads, turn.count, width]), dk, dv]
    }
}

/// What [`own::probabilities`] gives, as a composition.
pub fn composed_probabilities(scores: Tensor<4>, sight: &Sight) -> Tensor<4> {
    let (attention, turn, dtype) = (Attention::of(sight), Turn::whole(sight), scores.dtype());
    attention.weights(&turn, scores, sight.heads).p.cast(dtype)
}

/// What [`own::score_gradients`] gives, as a composition.
pub fn composed_gradients(scores: Tensor<4>, gradient: Tensor<4>, sight: &Sight) -> [Tensor<4>; 2] {
    Attention::of(sight).composed_gradients(&Turn::whole(sight), scores, gradient, sight.heads)
}

/// The first keys of the texts of a turn's queries.
fn firsts(starts: &Starts, turn: &Turn) -> Arc<[u32]> {
    let rows = starts.first.chunks(starts.queries.max(1));
    rows.flat_map(|row| row.iter().skip(turn.first).take(turn.count).copied()).collect()
}

/// `part` added to the keys `from..to` of `all`, which is `f32`.
fn add_to(all: Tensor<4>, part: Tensor<4>, turn: &Turn) -> Tensor<4> {
    let part = f32(part);
    let [batch, heads, keys, width] = all.dims();
    if turn.to - turn.from == keys {
        return all + part;
    }
    let place = [0..batch, 0..heads, turn.from..turn.to, 0..width];
    let sum = all.clone().slice(place.clone()) + part;
    all.slice_assign(place, sum)
}

impl Formula<3, 4> for Attention {
    fn value(&self, [q, k, v]: [Tensor<4>; 3]) -> Tensor<4> {
        let [batch, heads, queries, _] = q.dims();
        let [_, groups, keys, width] = v.dims();
        let parts = self.turns(queries, keys).map(|turn| {
            let scores = turn.queries(&q, groups).matmul(turn.keys(&k).swap_dims(2, 3));
            let p = self.probabilities(&turn, scores, heads);
            p.matmul(turn.keys(&v)).reshape([batch, heads, turn.count, width])
        });
        joined(parts.collect())
    }

    fn gradients(
        &self,
        [q, k, v]: [Tensor<4>; 3],
        gradient: Tensor<4>,
        _wanted: [bool; 3],
    ) -> [Option<Tensor<4>>; 3] {
        let (dtype, keys) = (q.dtype(), k.dims()[2]);
        let turns: Vec<Turn> = self.turns(q.dims()[2], keys).collect();
        if let [turn] = turns.as_slice()
            && turn.to - turn.from == keys
        {
            return self.turn_gradients(turn, [&q, &k, &v], &gradient).map(Some);
        }
        let zeros = |x: &Tensor<4>| Tensor::zeros(x.dims(), (&x.device(), burn::tensor::DType::F32));
        let (mut dk, mut dv) = (zeros(&k), zeros(&v));
        let mut dq = Vec::new();
        for turn in turns {
            let [of_q, of_k, of_v] = self.turn_gradients(&turn, [&q, &k, &v], &gradient);
            dq.push(of_q);
            dk = add_to(dk, of_k, &turn);
            dv = add_to(dv, of_v, &turn);
        }
        [Some(joined(dq)), Some(dk.cast(dtype)), Some(dv.cast(dtype))]
    }
}

/// The turns' queries behind one another.
fn joined(mut parts: Vec<Tensor<4>>) -> Tensor<4> {
    match parts.len() {
        1 => parts.remove(0),
        _ => Tensor::cat(parts, 2),
    }
}

/// See [`compose::attention`](super::super::compose::attention). A bias gets no gradient.
///
/// # Panics
/// If the element types of `q`, `k`, `v` differ or `H` is no multiple of `Hkv`.
pub fn attention(q: Tensor<4>, k: Tensor<4>, v: Tensor<4>, rule: Scores, mask: &Mask) -> Tensor<4> {
    let [batch, heads, _, _] = q.dims();
    let chunk = chunk_queries(batch * heads, k.dims()[2]);
    attention_in_chunks(q, k, v, rule, mask, chunk)
}

/// [`attention`] of so many queries at a time.
///
/// # Panics
/// As [`attention`].
pub fn attention_in_chunks(
    q: Tensor<4>,
    k: Tensor<4>,
    v: Tensor<4>,
    rule: Scores,
    mask: &Mask,
    chunk: usize,
) -> Tensor<4> {
    assert_same_dtype("attention (q, k)", &q, &k);
    assert_same_dtype("attention (q, v)", &q, &v);
    let (heads, groups) = (q.dims()[1], v.dims()[1]);
    assert!(heads % groups == 0, "attention: {heads} query heads cannot share {groups} key heads");
    let mask = match mask {
        Mask::Bias(bias) if bias.is_autodiff() => Mask::Bias(bias.clone().inner()),
        mask => mask.clone(),
    };
    run(Attention { rule, mask, chunk: chunk.max(1) }, [q, k, v])
}
