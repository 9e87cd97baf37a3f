//! Multi-head attention with grouped keys and values.

use burn::tensor::{Tensor, s};

use super::{Pass, Proj, ops};

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
}

/// softmax(q·kᵀ·scale + mask)·v, then the output projection.
#[derive(Clone, Debug)]
pub struct Attention {
    pub qkv: QkvProj,
    pub output: Proj,
    pub heads: usize,
    pub kv_heads: usize,
    pub head_dim: usize,
    pub scale: f64,
    /// Index of the block, which is also the cache's.
    pub layer: usize,
}

impl Attention {
    /// `[batch, time, hidden]` → the same shape.
    pub fn forward(&self, pass: &Pass<'_>, x: Tensor<3>) -> Tensor<3> {
        let [batch, time, _] = x.dims();
        let (q, k, v) = self.project(pass, x);
        let (q, k) = match &pass.positions.rotary {
            Some((cos, sin)) => {
                (ops::rope(q, cos.clone(), sin.clone()), ops::rope(k, cos.clone(), sin.clone()))
            }
            None => (q, k),
        };
        let (k, v) = match pass.cache {
            Some(cache) => cache.borrow_mut().append(self.layer, k, v),
            None => (k, v),
        };
        let mixed = ops::attention(q, k, v, self.scale, &pass.positions.mask);
        let joined = mixed.swap_dims(1, 2).reshape([batch, time, self.heads * self.head_dim]);
        self.output.forward(pass, joined)
    }

    fn project(&self, pass: &Pass<'_>, x: Tensor<3>) -> (Tensor<4>, Tensor<4>, Tensor<4>) {
        let (q, k, v) = match &self.qkv {
            QkvProj::Split { q, k, v } => {
                (q.forward(pass, x.clone()), k.forward(pass, x.clone()), v.forward(pass, x))
            }
            QkvProj::Fused(qkv) => {
                let all = qkv.forward(pass, x);
                let (q_end, k_end) =
                    (self.heads * self.head_dim, (self.heads + self.kv_heads) * self.head_dim);
                (
                    all.clone().slice(s![.., .., 0..q_end]),
                    all.clone().slice(s![.., .., q_end..k_end]),
                    all.slice(s![.., .., k_end..]),
                )
            }
        };
        (
            self.split_heads(q, self.heads),
            self.split_heads(k, self.kv_heads),
            self.split_heads(v, self.kv_heads),
        )
    }

    /// `[batch, time, heads·dim]` → `[batch, heads, time, dim]`.
    fn split_heads(&self, x: Tensor<3>, heads: usize) -> Tensor<4> {
        let [batch, time, _] = x.dims();
        x.reshape([batch, time, heads, self.head_dim]).swap_dims(1, 2)
    }
}
