//! The decoder that most families are: embedding, blocks, norm, head, with the switches in which they differ.

use burn::tensor::{DType, Int, Tensor};

use super::{Attention, Embedding, FeedForward, Norm, ParamId, Pass, Proj};

/// One block: attention and feed-forward layer around the residual stream.
#[derive(Clone, Debug)]
pub struct Block {
    pub pre_attention: Option<Norm>,
    pub attention: Attention,
    /// Before the sum with the residual (Gemma 2, OLMo 2).
    pub post_attention: Option<Norm>,
    /// None: the feed-forward layer of a parallel block reads what attention reads.
    pub pre_mlp: Option<Norm>,
    pub mlp: FeedForward,
    pub post_mlp: Option<Norm>,
    /// Both halves read the block's input (GPT-NeoX, Falcon, Phi, Cohere).
    pub parallel: bool,
    /// Factor on what each half adds (MiniCPM, Granite).
    pub residual_scale: f64,
    /// What each half adds to is its own normed input, times this, instead of the stream (ChatGLM-6B; Bloom, where
    /// its config says so).
    pub normed_residual: Option<f64>,
}

impl Block {
    /// `[batch, time, hidden]` → the same shape.
    pub fn forward(&self, pass: &Pass<'_>, hidden: Tensor<3>) -> Tensor<3> {
        let input = normed(self.pre_attention.as_ref(), pass, hidden.clone());
        let attended = self.attention.forward(pass, input.clone());
        let attended = self.added(normed(self.post_attention.as_ref(), pass, attended));
        let (residual, input) = if self.parallel {
            let input = match &self.pre_mlp {
                Some(norm) => norm.forward(pass, hidden.clone()),
                None => input,
            };
            (hidden + attended, input)
        } else {
            let sum = self.residual(hidden, &input) + attended;
            let input = normed(self.pre_mlp.as_ref(), pass, sum.clone());
            (self.residual(sum, &input), input)
        };
        let adapter = pass.block_adapter(self.attention.layer);
        let mut mixed = self.mlp.forward(pass, input.clone());
        if let Some(adapter) = adapter {
            mixed = adapter.mlp(pass, &input, mixed);
        }
        let output = residual + self.added(normed(self.post_mlp.as_ref(), pass, mixed));
        match adapter {
            Some(adapter) => adapter.output(pass, output),
            None => output,
        }
    }

    fn residual(&self, stream: Tensor<3>, normed: &Tensor<3>) -> Tensor<3> {
        match self.normed_residual {
            Some(factor) => normed.clone().mul_scalar(factor),
            None => stream,
        }
    }

    fn added(&self, x: Tensor<3>) -> Tensor<3> {
        scaled(x, self.residual_scale)
    }
}

/// From the last hidden state to logits.
#[derive(Clone, Debug)]
pub struct Head {
    pub proj: Proj,
    /// Factor on the hidden state (MiniCPM) or, which is the same, on the logits (Cohere, Granite).
    pub scale: f64,
    /// `c · tanh(logit / c)` (Gemma 2).
    pub softcap: Option<f64>,
    /// The rows of the matrix have length 1 before the product (Baichuan 2's NormHead).
    pub unit_rows: bool,
}

impl Head {
    pub fn plain(proj: Proj) -> Self {
        Self { proj, scale: 1.0, softcap: None, unit_rows: false }
    }

    /// `[batch, time, hidden]` → `[batch, time, vocabulary]`.
    pub fn forward(&self, pass: &Pass<'_>, hidden: Tensor<3>) -> Tensor<3> {
        let hidden = scaled(hidden, self.scale);
        let logits = if self.unit_rows {
            self.proj.forward_unit_rows(pass, hidden)
        } else {
            self.proj.forward(pass, hidden)
        };
        match self.softcap {
            Some(cap) => {
                let dtype = logits.dtype();
                ((logits.cast(DType::F32) / cap).tanh() * cap).cast(dtype)
            }
            None => logits,
        }
    }
}

/// A whole decoder.
#[derive(Clone, Debug)]
pub struct Stack {
    pub embedding: Embedding,
    /// Factor on the embedding, rounded to the compute dtype as the reference does.
    pub embedding_scale: f64,
    /// Learned positions, `[context, hidden]`.
    pub positions: Option<ParamId>,
    /// Right after the embedding (Bloom).
    pub embedding_norm: Option<Norm>,
    pub blocks: Vec<Block>,
    pub norm: Norm,
    pub head: Head,
}

impl Stack {
    /// Ids `[batch, time]` → `[batch, time, hidden]`, behind an adapter's prompt where there is one.
    pub fn embed(&self, pass: &Pass<'_>, ids: Tensor<2, Int>) -> Tensor<3> {
        let tokens = scaled(self.embedding.forward(pass, ids), self.embedding_scale);
        let mut hidden = pass.behind_prompt(tokens);
        if let Some(table) = self.positions {
            let ids = pass.positions.ids.clone();
            let [rows, time] = ids.dims();
            let places = pass.matrix(table).select(0, ids.flatten(0, 1));
            let width = places.dims()[1];
            hidden = hidden + places.reshape([rows, time, width]);
        }
        normed(self.embedding_norm.as_ref(), pass, hidden)
    }
}

fn normed(norm: Option<&Norm>, pass: &Pass<'_>, x: Tensor<3>) -> Tensor<3> {
    match norm {
        Some(norm) => norm.forward(pass, x),
        None => x,
    }
}

/// The factor counts as a number of the tensor's own dtype, as a tensor of one element would in the reference.
fn scaled(x: Tensor<3>, factor: f64) -> Tensor<3> {
    if factor == 1.0 {
        return x;
    }
    let factor = match x.dtype() {
        DType::BF16 => half::bf16::from_f64(factor).to_f64(),
        DType::F16 => half::f16::from_f64(factor).to_f64(),
        _ => factor,
    };
    x.mul_scalar(factor)
}
