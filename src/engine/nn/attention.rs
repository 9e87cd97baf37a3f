//! Multi-head attention with grouped keys and values.

use burn::tensor::{DType, Tensor, s};

use super::ops::{Mask, Scores};
use super::{LatentQkv, Norm, ParamId, Pass, Proj, Rotary, ops};

/// Where query, key and value come from.
#[derive(Clone, Debug)]
pub enum QkvProj {
    Split {
        q: Proj,
        k: Proj,
        v: Proj,
    },
    /// One matrix whose outputs are q, then k, then v.
    Fused(Proj),
    /// One matrix whose outputs are, for each key head in turn, its queries, its key and its value (GPT-NeoX,
    /// Bloom, Falcon, ChatGLM-6B).
    Grouped(Proj),
    /// Through fewer dimensions (MiniCPM3).
    Latent(LatentQkv),
}

/// Norms of queries and keys before they are rotated.
#[derive(Clone, Debug)]
pub enum QkNorm {
    /// Over each head (Qwen3, Gemma 3).
    PerHead { q: Norm, k: Norm },
    /// Over all heads together (OLMo 2).
    Whole { q: Norm, k: Norm },
    /// A LayerNorm over each head with a gain of its own, `[heads, dim]`, without bias (Cohere).
    OwnGain { q: ParamId, k: ParamId, eps: f64 },
}

/// softmax(q·kᵀ·scale + mask)·v, then the output projection.
#[derive(Clone, Debug)]
pub struct Attention {
    pub qkv: QkvProj,
    pub output: Proj,
    pub norm: Option<QkNorm>,
    pub heads: usize,
    pub kv_heads: usize,
    pub head_dim: usize,
    pub scores: Scores,
    /// Which of the model's [`View`](super::View)s this layer has.
    pub view: usize,
    /// Index of the block, which is also the cache's.
    pub layer: usize,
}

impl Attention {
    /// `[batch, time, hidden]` → the same shape.
    pub fn forward(&self, pass: &Pass<'_>, x: Tensor<3>) -> Tensor<3> {
        let view = &pass.positions.views[self.view];
        self.attend(pass, x, view.rotary.as_ref(), &view.mask)
    }

    /// As [`forward`](Self::forward), with a rotation and a mask of the caller's.
    pub fn attend(&self, pass: &Pass<'_>, x: Tensor<3>, rotary: Option<&Rotary>, mask: &Mask) -> Tensor<3> {
        let [batch, time, _] = x.dims();
        let (q, k, v) = self.project(pass, x);
        let (q, k) = match rotary {
            Some(rotary) => (rotary.rotate(q), rotary.rotate(k)),
            None => (q, k),
        };
        let (k, v) = pass.behind_prefix(self.layer, k, v);
        let (k, v) = match pass.cache {
            Some(cache) => cache.borrow_mut().append(self.layer, k, v),
            None => (k, v),
        };
        let mixed = ops::attention(q, k, v, self.scores, mask);
        // Values may be narrower than keys.
        let width = self.heads * mixed.dims()[3];
        let joined = mixed.swap_dims(1, 2).reshape([batch, time, width]);
        self.output.forward(pass, joined)
    }

    /// Query, key and value, `[batch, heads, time, dim]`.
    fn project(&self, pass: &Pass<'_>, x: Tensor<3>) -> (Tensor<4>, Tensor<4>, Tensor<4>) {
        let (q, k, v) = match &self.qkv {
            QkvProj::Split { q, k, v } => Proj::forward_all([q, k, v], pass, &x).into(),
            QkvProj::Fused(qkv) => self.cut(qkv.forward(pass, x)),
            QkvProj::Grouped(qkv) => self.cut_groups(qkv.forward(pass, x)),
            QkvProj::Latent(latent) => return latent.forward(pass, x, self.heads),
        };
        let (q, k) = match &self.norm {
            Some(norm) => norm.forward(pass, q, k, self.head_dim),
            None => (q, k),
        };
        (
            self.split_heads(q, self.heads),
            self.split_heads(k, self.kv_heads),
            self.split_heads(v, self.kv_heads),
        )
    }

    fn cut(&self, all: Tensor<3>) -> (Tensor<3>, Tensor<3>, Tensor<3>) {
        let (q_end, k_end) = (self.heads * self.head_dim, (self.heads + self.kv_heads) * self.head_dim);
        (
            all.clone().slice(s![.., .., 0..q_end]),
            all.clone().slice(s![.., .., q_end..k_end]),
            all.slice(s![.., .., k_end..]),
        )
    }

    fn cut_groups(&self, all: Tensor<3>) -> (Tensor<3>, Tensor<3>, Tensor<3>) {
        let [batch, time, _] = all.dims();
        let (groups, dim) = (self.kv_heads, self.head_dim);
        let queries = self.heads / groups;
        let groups = all.reshape([batch, time, groups, (queries + 2) * dim]);
        let part = |from: usize, heads: usize| {
            let part = groups.clone().narrow(3, from * dim, heads * dim);
            part.reshape([batch, time, self.kv_heads * heads * dim])
        };
        (part(0, queries), part(queries, 1), part(queries + 1, 1))
    }

    /// `[batch, time, heads·dim]` → `[batch, heads, time, dim]`.
    fn split_heads(&self, x: Tensor<3>, heads: usize) -> Tensor<4> {
        let [batch, time, _] = x.dims();
        x.reshape([batch, time, heads, self.head_dim]).swap_dims(1, 2)
    }
}

impl QkNorm {
    /// Queries and keys, `[batch, time, heads·dim]`.
    fn forward(&self, pass: &Pass<'_>, q: Tensor<3>, k: Tensor<3>, dim: usize) -> (Tensor<3>, Tensor<3>) {
        match self {
            Self::PerHead { q: q_norm, k: k_norm } => {
                (q_norm.per_head(pass, q, dim), k_norm.per_head(pass, k, dim))
            }
            Self::Whole { q: q_norm, k: k_norm } => (q_norm.forward(pass, q), k_norm.forward(pass, k)),
            Self::OwnGain { q: q_gain, k: k_gain, eps } => {
                (with_own_gain(pass, q, *q_gain, *eps), with_own_gain(pass, k, *k_gain, *eps))
            }
        }
    }
}

/// The LayerNorm of each head of `[batch, time, heads·dim]`, times its own row of the gain `[heads, dim]`.
fn with_own_gain(pass: &Pass<'_>, x: Tensor<3>, gain: ParamId, eps: f64) -> Tensor<3> {
    let gain = pass.matrix(gain).cast(DType::F32);
    let ([batch, time, all], [heads, dim], dtype) = (x.dims(), gain.dims(), x.dtype());
    let rows = x.cast(DType::F32).reshape([batch, time * heads, dim]);
    let options = (&gain.device().inner(), DType::F32);
    let (ones, zeros) = (Tensor::ones([dim], options), Tensor::zeros([dim], options));
    let normed = ops::layer_norm(rows, ones, zeros, eps).reshape([batch, time, all]);
    (normed * gain.flatten::<1>(0, 1).unsqueeze()).cast(dtype)
}
