//! The numerical operations every model is made of, one function each.
//!
//! All functions take and return [`burn::tensor::Tensor`], work on every backend, and (where the
//! name is not marked *plain*) are differentiable through Burn's autodiff. Norms, activations,
//! rotary embedding and softmax calculate in `f32` whatever the element type; the result is cast
//! back to the input's type.
//!
//! [`compose`] holds the same functions as plain compositions of tensor operations: the reference the tests compare with.
//! `formula` gives them gradients of their own: the path of every backend without a fused kernel. [`own`] has kernels for GPUs
//! that stand in for parts of them.

mod codes;
pub mod compose;
mod cpu;
mod formula;
mod matmul;
pub mod own;
mod route;
#[cfg(test)]
mod tests;
mod unpack;

pub use codes::{CODE_BLOCK, Code, SIGNED_CODE, UNSIGNED_CODE};
pub use cpu::{Awake, FEW as FEW_ROWS, unpack_bytes, unpack_nibbles};
pub use formula::{READY_MASK, chunk_queries};
pub use matmul::{LowRank, adapts_at_once, linear, linear_adapted, linear_in_out, matmul2};
pub use route::{
    adamw, attention, awake, backward_from, cast, cross_entropy, cross_entropy_backward, decode_blocks,
    encode_blocks, gelu_erf, gelu_tanh, layer_norm, logprobs, ready_mask, rms_norm, rms_norm_unit, rope,
    silu, silu_mul, sum_of_squares,
};
pub use unpack::{Bytes, Nibbles, ScaleBytes};

pub(super) use cpu::vectorised;

use std::sync::Arc;

use burn::tensor::Tensor;

/// Which keys a query may see.
#[derive(Clone, Debug)]
pub enum Mask {
    /// Those that precede it, and its own.
    Causal(Causal),
    /// Added to the scaled scores before the softmax: `[B, 1 or H, Tq, Tk]`, `f32`. Use a large
    /// negative finite number (`-1e9`) for "not visible".
    Bias(Tensor<4>),
}

/// Query `i` sees keys `j <= i + offset`; `offset` is `Tk - Tq` (the length of the cache).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Causal {
    /// Number of keys that precede the first query.
    pub offset: usize,
    /// Sliding window `w`: of those, query `i` sees only keys with `i + offset - j < w`
    /// (transformers, `masking_utils.sliding_window_overlay`).
    pub window: Option<usize>,
    /// ALiBi (Press et al. 2021, arXiv:2108.12409): `slope · (j - i - offset)` is added to the score, one
    /// slope a query head.
    pub slopes: Option<Arc<[f32]>>,
    /// Rows that hold several texts, or begin late; None: all rows alike, from their first key on.
    pub starts: Option<Starts>,
}

/// The first keys that queries see. A query sees the keys in front of all texts and those of its own text, as though
/// these followed each other: what lies between counts as no distance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Starts {
    /// Keys in front of every text of a row.
    pub front: usize,
    /// Queries of a row.
    pub queries: usize,
    /// `[batch, queries]`: the first key of the query's text, from `front` to the query's own key. Of a query that is in
    /// front itself: `front`.
    pub first: Arc<[u32]>,
}

impl Starts {
    /// The first key of the text that `query` of row `row` is in.
    pub fn first(&self, row: usize, query: usize) -> usize {
        self.first[row * self.queries + query] as usize
    }

    /// How many keys lie between the front and the query's text.
    pub fn gap(&self, row: usize, query: usize) -> usize {
        self.first(row, query).saturating_sub(self.front)
    }

    pub fn rows(&self) -> usize {
        self.first.len() / self.queries.max(1)
    }

    /// The same with `tokens` more keys in front.
    fn behind(self, tokens: usize) -> Self {
        let first = self.first.iter().map(|first| first + tokens as u32).collect();
        Self { front: self.front + tokens, first, ..self }
    }
}

/// The same mask over keys that have `tokens` more in front, which every query sees.
pub fn behind(mask: Mask, tokens: usize) -> Mask {
    match mask {
        mask if tokens == 0 => mask,
        Mask::Causal(causal) => Mask::Causal(Causal {
            offset: causal.offset + tokens,
            starts: causal.starts.map(|starts| starts.behind(tokens)),
            ..causal
        }),
        Mask::Bias(bias) => {
            let [batch, heads, queries, _] = bias.dims();
            let seen = Tensor::zeros([batch, heads, queries, tokens], (&bias.device(), bias.dtype()));
            Mask::Bias(Tensor::cat(vec![seen, bias], 3))
        }
    }
}

impl Mask {
    /// Every earlier key, and the query's own.
    pub fn causal(offset: usize) -> Self {
        Self::Causal(Causal { offset, ..Causal::default() })
    }
}

/// How scores come from the products of queries and keys.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scores {
    /// Factor on `q·k`.
    pub scale: f64,
    /// `c · tanh(score / c)` before the mask (Gemma 2).
    pub softcap: Option<f64>,
}

impl Scores {
    pub fn scaled(scale: f64) -> Self {
        Self { scale, softcap: None }
    }
}

/// The numbers of one AdamW update (`torch.optim.AdamW`).
#[derive(Clone, Debug)]
pub struct AdamWArgs {
    /// Learning rate of this update.
    pub lr: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the corrected second moment.
    pub eps: f64,
    /// Decoupled weight decay, multiplied by `lr`.
    pub weight_decay: f64,
    /// Number of this update, counted from 1.
    pub step: u32,
    /// `[1]`, on the parameter's device: the factor for the gradient (clipping), never read back.
    pub grad_scale: Tensor<1>,
}

/// A flat parameter in an update of AdamW, all of one length; parameter and moments are `f32`.
pub struct Moments {
    pub param: Tensor<1>,
    pub gradient: Tensor<1>,
    pub m: Tensor<1>,
    pub v: Tensor<1>,
}

/// The factors of one AdamW update, rounded once.
#[derive(Clone, Copy, Debug)]
struct Factors {
    beta1: f32,
    beta2: f32,
    /// `1 − β1`.
    rest1: f32,
    /// `1 − β2`.
    rest2: f32,
    /// What the decay leaves of the parameter.
    keep: f32,
    /// `lr / (1 − β1^t)`.
    step: f32,
    /// `√(1 − β2^t)`.
    root: f32,
    eps: f32,
}
