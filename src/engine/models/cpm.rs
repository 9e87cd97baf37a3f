//! What CPM-Ant and CPM-Bee share: linear maps that divide by the root of their inputs, blocks that shrink their
//! sum, a relative position bias. Source: OpenBMB/CPM-Bee, `cpm_live/layers` and `cpm_live/models/*_torch.py`.

use burn::tensor::Tensor;

use super::build::LinearShape;
use super::{Builder, ConfigJson, ModelInfo, NormKind};
use crate::nn::ops::{Mask, Scores};
use crate::nn::{
    Activation, Attention, DistanceBuckets, FeedForward, GateUp, GatedMlp, Norm, ParamId, Pass, Proj,
    QkvProj, Role, ViewSpec,
};

/// Sizes under the original keys or those of the Hugging Face port.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    pub vocabulary: usize,
    pub hidden: usize,
    pub inner: usize,
    pub layers: usize,
    pub heads: usize,
    pub head_dim: usize,
    pub distances: DistanceBuckets,
    pub eps: f64,
    pub initializer_range: f64,
}

/// Whether products and sums are scaled as the original code does it, or plain (the port of CPM-Ant).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scaling {
    Original,
    Plain,
}

impl Scaling {
    /// Factor on what comes out of a matrix with so many inputs.
    pub fn factor(self, inputs: usize) -> f64 {
        match self {
            Self::Original => 1.0 / (inputs as f64).sqrt(),
            Self::Plain => 1.0,
        }
    }

    /// What each sum with the residual is divided by.
    fn divisor(self) -> f64 {
        match self {
            Self::Original => 1.05,
            Self::Plain => 1.0,
        }
    }
}

impl Sizes {
    /// Problems are gathered in the config. `buckets` is the default number of distance buckets.
    pub fn read(config: &ConfigJson, buckets: usize) -> Self {
        let distances = DistanceBuckets {
            buckets: config.size_or("position_bias_num_buckets", buckets),
            max_distance: config.size_or("position_bias_max_distance", 2048),
        };
        if distances.buckets < 4 || distances.max_distance <= distances.buckets / 4 {
            let DistanceBuckets { buckets, max_distance } = distances;
            config.problem(format!("{buckets} position buckets for distances up to {max_distance}"));
        }
        let hidden = config.size(given(config, "dim_model", "hidden_size"));
        let heads = config.count(given(config, "num_heads", "num_attention_heads"));
        Self {
            vocabulary: config.size("vocab_size"),
            hidden,
            inner: config.size("dim_ff"),
            layers: config.count(given(config, "num_layers", "num_hidden_layers")),
            heads,
            head_dim: config.size_or("dim_head", (hidden / heads).max(1)),
            distances,
            eps: config.number_or("eps", 1e-6),
            // Large, because products are scaled.
            initializer_range: config.number_or("init_std", 1.0),
        }
    }

    pub fn info(&self, vocabulary: usize, tied_head: bool) -> ModelInfo {
        ModelInfo {
            num_layers: self.layers,
            hidden: self.hidden,
            inner: self.inner,
            vocabulary,
            heads: self.heads,
            kv_heads: self.heads,
            head_dim: self.head_dim,
            context: self.distances.max_distance,
            learned_positions: false,
            tied_head,
            views: vec![ViewSpec::default()],
            whole_prompt: true,
            initializer_range: self.initializer_range,
            variant: None,
        }
    }
}

fn given<'a>(config: &ConfigJson, original: &'a str, port: &'a str) -> &'a str {
    if config.raw().contains_key(original) { original } else { port }
}

/// One block; a half that was pruned away is passed by.
#[derive(Clone, Debug)]
pub struct CpmBlock {
    pub attention: Option<(Norm, Attention)>,
    pub mlp: Option<(Norm, FeedForward)>,
    layer: usize,
    divisor: f64,
}

/// Where a block's tensors are, and which of its halves there are.
#[derive(Clone, Copy, Debug)]
pub struct BlockPlan<'a> {
    /// Of the encoder, such as `cpmbee.encoder`.
    pub path: &'a str,
    pub layer: usize,
    pub scaling: Scaling,
    pub attention: bool,
    pub mlp: bool,
}

impl CpmBlock {
    pub fn declare(builder: &mut Builder, sizes: &Sizes, plan: &BlockPlan<'_>) -> Self {
        let kind = NormKind::Rms { eps: sizes.eps };
        let path = format!("{}.layers.{}", plan.path, plan.layer);
        let attention = plan.attention.then(|| {
            let norm =
                builder.norm(kind, &format!("{path}.self_att.layernorm_before_attention"), sizes.hidden);
            (norm, attention(builder, sizes, plan, &format!("{path}.self_att.self_attention")))
        });
        let mlp = plan.mlp.then(|| {
            let norm = builder.norm(kind, &format!("{path}.ffn.layernorm_before_ffn"), sizes.hidden);
            (norm, mlp(builder, sizes, plan, &format!("{path}.ffn.ffn")))
        });
        Self { attention, mlp, layer: plan.layer, divisor: plan.scaling.divisor() }
    }

    /// `[batch, time, hidden]` → the same shape.
    pub fn forward(&self, pass: &Pass<'_>, mut hidden: Tensor<3>, mask: &Mask) -> Tensor<3> {
        if let Some((norm, attention)) = &self.attention {
            let mixed = attention.attend(pass, norm.forward(pass, hidden.clone()), None, mask);
            hidden = self.sum(hidden, mixed);
        }
        if let Some((norm, mlp)) = &self.mlp {
            let input = norm.forward(pass, hidden.clone());
            let mut mixed = mlp.forward(pass, input.clone());
            if let Some(adapter) = pass.block_adapter(self.layer) {
                mixed = adapter.mlp(pass, &input, mixed);
            }
            hidden = self.sum(hidden, mixed);
        }
        match pass.block_adapter(self.layer) {
            Some(adapter) => adapter.output(pass, hidden),
            None => hidden,
        }
    }

    fn sum(&self, residual: Tensor<3>, added: Tensor<3>) -> Tensor<3> {
        let sum = residual + added;
        if self.divisor == 1.0 { sum } else { sum.div_scalar(self.divisor) }
    }
}

fn linear(
    builder: &mut Builder,
    plan: &BlockPlan<'_>,
    path: String,
    [inputs, outputs]: [usize; 2],
    role: Role,
) -> Proj {
    let shape = LinearShape { inputs, outputs, bias: false };
    builder.scaled_linear(path, shape, role, Some(plan.layer), plan.scaling.factor(inputs))
}

fn attention(builder: &mut Builder, sizes: &Sizes, plan: &BlockPlan<'_>, path: &str) -> Attention {
    let joined = sizes.heads * sizes.head_dim;
    let mut proj = |name: &str, shape, role| linear(builder, plan, format!("{path}.{name}"), shape, role);
    Attention {
        qkv: QkvProj::Split {
            q: proj("project_q", [sizes.hidden, joined], Role::Query),
            k: proj("project_k", [sizes.hidden, joined], Role::Key),
            v: proj("project_v", [sizes.hidden, joined], Role::Value),
        },
        output: proj("attention_out", [joined, sizes.hidden], Role::Output),
        norm: None,
        heads: sizes.heads,
        kv_heads: sizes.heads,
        head_dim: sizes.head_dim,
        scores: Scores::scaled((sizes.head_dim as f64).powf(-0.5)),
        view: 0,
        layer: plan.layer,
    }
}

fn mlp(builder: &mut Builder, sizes: &Sizes, plan: &BlockPlan<'_>, path: &str) -> FeedForward {
    let mut proj = |name: &str, shape, role| linear(builder, plan, format!("{path}.{name}"), shape, role);
    FeedForward::Gated(GatedMlp {
        gate_up: GateUp::Split {
            gate: proj("w_in.w_0", [sizes.hidden, sizes.inner], Role::Gate),
            up: proj("w_in.w_1", [sizes.hidden, sizes.inner], Role::Up),
        },
        down: proj("w_out", [sizes.inner, sizes.hidden], Role::Down),
        activation: Activation::GeluErf,
    })
}

/// The table of the relative position bias, `[rows, heads]`.
pub fn bias_table(builder: &mut Builder, prefix: &str, rows: usize, heads: usize) -> ParamId {
    builder.matrix(format!("{prefix}.position_bias.relative_attention_bias"), [rows, heads])
}
