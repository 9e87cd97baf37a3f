//! The numerical operations every model is made of, one function each.
//!
//! All functions take and return [`burn::tensor::Tensor`], work on every backend, and (where the
//! name is not marked *plain*) are differentiable through Burn's autodiff. Norms, activations,
//! rotary embedding and softmax calculate in `f32` whatever the element type; the result is cast
//! back to the input's type.
//!
//! [`compose`] holds the same functions as plain compositions of tensor operations: the path of
//! every backend without a fused kernel, and the reference the tests compare with.

pub mod compose;
mod cpu;
mod matmul;
mod route;
#[cfg(test)]
mod tests;

pub use matmul::{linear, linear_in_out, matmul2};
pub use route::{
    adamw, attention, backward_from, cross_entropy, cross_entropy_backward, gelu_erf, gelu_tanh, layer_norm,
    logprobs, rms_norm, rope, silu, silu_mul, sum_of_squares,
};

use burn::tensor::Tensor;

/// Which keys a query may see.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "one mask is made for a whole batch")]
pub enum Mask {
    /// Query `i` sees keys `j <= i + offset`; `offset` is `Tk - Tq` (the length of the cache).
    Causal {
        /// Number of keys that precede the first query.
        offset: usize,
    },
    /// Added to the scaled scores before the softmax: `[B, 1 or H, Tq, Tk]`, `f32`. Use a large
    /// negative finite number (`-1e9`) for "not visible".
    Bias(Tensor<4>),
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
