//! Multi-head latent attention (DeepSeek-AI 2024, arXiv:2405.04434, section 2.1): queries, keys and values come through
//! fewer dimensions, and only a part of each head, whose key all heads share, is rotated.

use burn::tensor::Tensor;

use super::{Norm, Pass, Proj};

/// Queries, keys and values of latent attention. Tensor names: transformers, `models/minicpm3`.
#[derive(Clone, Debug)]
pub struct LatentQkv {
    pub query: LatentQuery,
    /// hidden → latent, then the shared rotated part of the keys.
    pub kv_down: Proj,
    pub kv_norm: Norm,
    /// latent → for each head its key without the rotated part, then its value.
    pub kv_up: Proj,
    pub dims: LatentDims,
}

/// Widths of the parts of a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LatentDims {
    /// Of what keys and values come from, for all heads together.
    pub latent: usize,
    /// Of the part of queries and keys that is not rotated.
    pub plain: usize,
    pub rotated: usize,
    pub value: usize,
}

/// Where queries come from.
#[derive(Clone, Debug)]
pub enum LatentQuery {
    Direct(Proj),
    Latent { down: Proj, norm: Norm, up: Proj },
}

impl LatentQkv {
    /// `[batch, time, hidden]` → queries and keys `[batch, heads, time, rotated + plain]`, not rotated yet, and values
    /// `[batch, heads, time, value]`.
    ///
    /// Rotary embedding turns the first dimensions of a head, so the part to be rotated is put first, in queries and
    /// keys alike: their products stay what they are.
    pub fn forward(&self, pass: &Pass<'_>, x: Tensor<3>, heads: usize) -> (Tensor<4>, Tensor<4>, Tensor<4>) {
        let LatentDims { latent, plain, rotated, value } = self.dims;
        let q = split_heads(self.query.forward(pass, x.clone()), heads);
        let q = Tensor::cat(vec![q.clone().narrow(3, plain, rotated), q.narrow(3, 0, plain)], 3);

        let down = self.kv_down.forward(pass, x);
        let shared = split_heads(down.clone().narrow(2, latent, rotated), 1).repeat_dim(1, heads);
        let kv = self.kv_up.forward(pass, self.kv_norm.forward(pass, down.narrow(2, 0, latent)));
        let kv = split_heads(kv, heads);
        let k = Tensor::cat(vec![shared, kv.clone().narrow(3, 0, plain)], 3);
        (q, k, kv.narrow(3, plain, value))
    }
}

impl LatentQuery {
    fn forward(&self, pass: &Pass<'_>, x: Tensor<3>) -> Tensor<3> {
        match self {
            Self::Direct(proj) => proj.forward(pass, x),
            Self::Latent { down, norm, up } => up.forward(pass, norm.forward(pass, down.forward(pass, x))),
        }
    }
}

/// `[batch, time, heads·dim]` → `[batch, heads, time, dim]`.
fn split_heads(x: Tensor<3>, heads: usize) -> Tensor<4> {
    let [batch, time, width] = x.dims();
    x.reshape([batch, time, heads, width / heads]).swap_dims(1, 2)
}
