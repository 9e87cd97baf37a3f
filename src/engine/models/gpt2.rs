//! GPT-2, all sizes (Radford et al. 2019): LayerNorm, learned positions, fused query-key-value,
//! Conv1D weights `[in, out]`. Tensor names and switches: transformers, `models/gpt2`.

use burn::tensor::{Int, Tensor};
use protocol::{Result, Text};

use super::build::LinearShape;
use super::{Builder, ConfigJson, Decoder, Family, ModelInfo};
use crate::nn::{Activation, Attention, Embedding, Mlp, Norm, ParamId, Pass, Proj, QkvProj, Role};

pub const FAMILY: Family = Family {
    id: "gpt2",
    name: Text::fixed("GPT-2", "GPT-2"),
    help: Text::fixed("GPT-2, from 124 M to 1.5 B parameters", "GPT-2，1.24 亿到 15 亿参数"),
    model_types: &["gpt2"],
    optional_prefix: "transformer.",
    default_targets: &["qkv"],
    ignorable: |name| name.ends_with(".attn.bias") || name.ends_with(".attn.masked_bias"),
    build,
};

struct Gpt2 {
    tokens: Embedding,
    positions: ParamId,
    blocks: Vec<Block>,
    norm: Norm,
    head: Proj,
}

struct Block {
    norm_1: Norm,
    attention: Attention,
    norm_2: Norm,
    mlp: Mlp,
}

struct Sizes {
    hidden: usize,
    inner: usize,
    heads: usize,
    eps: f64,
    scale_attention: bool,
    scale_by_layer: bool,
    activation: Activation,
}

fn sizes(config: &ConfigJson) -> Sizes {
    let hidden = config.size("n_embd");
    let heads = config.size("n_head");
    if !hidden.is_multiple_of(heads) {
        config.problem(format!("a hidden size of {hidden} is not divisible by {heads} heads"));
    }
    let name = config.text_or("activation_function", "gelu_new");
    let activation = Activation::from_name(name).unwrap_or_else(|| {
        config.problem(format!("activation `{name}` is not known"));
        Activation::GeluTanh
    });
    Sizes {
        hidden,
        inner: config.size_or("n_inner", 4 * hidden),
        heads,
        eps: config.number_or("layer_norm_epsilon", 1e-5),
        scale_attention: config.flag("scale_attn_weights", true),
        scale_by_layer: config.flag("scale_attn_by_inverse_layer_idx", false),
        activation,
    }
}

fn build(config: &ConfigJson, builder: &mut Builder) -> Result<(Box<dyn Decoder>, ModelInfo)> {
    let sizes = sizes(config);
    let vocabulary = config.size("vocab_size");
    let num_layers = config.size("n_layer");
    let context = config.size_or("n_positions", 1024);
    let tied = config.flag("tie_word_embeddings", true);
    config.finish()?;
    let tokens = builder.embedding("transformer.wte", vocabulary, sizes.hidden);
    let positions = builder.matrix("transformer.wpe.weight".into(), [context, sizes.hidden]);
    let blocks = (0..num_layers).map(|layer| block(builder, &sizes, layer)).collect();
    let norm = builder.layer_norm("transformer.ln_f", sizes.hidden, sizes.eps);
    let head = builder.head(tied.then_some(&tokens), sizes.hidden, vocabulary);
    let info = ModelInfo {
        num_layers,
        hidden: sizes.hidden,
        inner: sizes.inner,
        vocabulary,
        heads: sizes.heads,
        kv_heads: sizes.heads,
        head_dim: sizes.hidden / sizes.heads,
        context,
        learned_positions: true,
        tied_head: tied,
        rope: None,
        initializer_range: config.number_or("initializer_range", 0.02),
    };
    Ok((Box::new(Gpt2 { tokens, positions, blocks, norm, head }), info))
}

fn block(builder: &mut Builder, sizes: &Sizes, layer: usize) -> Block {
    let path = format!("transformer.h.{layer}");
    let mut conv = |name: &str, inputs, outputs, role| {
        builder.conv1d(format!("{path}.{name}"), LinearShape { inputs, outputs, bias: true }, role, Some(layer))
    };
    let (hidden, inner) = (sizes.hidden, sizes.inner);
    let qkv = QkvProj::Fused(conv("attn.c_attn", hidden, 3 * hidden, Role::FusedQkv));
    let output = conv("attn.c_proj", hidden, hidden, Role::Output);
    let mlp = Mlp {
        up: conv("mlp.c_fc", hidden, inner, Role::Up),
        down: conv("mlp.c_proj", inner, hidden, Role::Down),
        activation: sizes.activation,
    };
    let head_dim = hidden / sizes.heads;
    let mut scale = if sizes.scale_attention { (head_dim as f64).powf(-0.5) } else { 1.0 };
    if sizes.scale_by_layer {
        scale /= (layer + 1) as f64;
    }
    let heads = sizes.heads;
    Block {
        norm_1: builder.layer_norm(&format!("{path}.ln_1"), hidden, sizes.eps),
        attention: Attention { qkv, output, heads, kv_heads: heads, head_dim, scale, layer },
        norm_2: builder.layer_norm(&format!("{path}.ln_2"), hidden, sizes.eps),
        mlp,
    }
}

impl Decoder for Gpt2 {
    fn embed(&self, pass: &Pass<'_>, ids: Tensor<2, Int>) -> Tensor<3> {
        let positions = pass.matrix(self.positions).select(0, pass.positions.ids.clone());
        self.tokens.forward(pass, ids) + positions.unsqueeze()
    }

    fn block(&self, index: usize, pass: &Pass<'_>, hidden: Tensor<3>) -> Tensor<3> {
        let block = &self.blocks[index];
        let hidden = hidden.clone() + block.attention.forward(pass, block.norm_1.forward(pass, hidden));
        hidden.clone() + block.mlp.forward(pass, block.norm_2.forward(pass, hidden))
    }

    fn final_norm(&self, pass: &Pass<'_>, hidden: Tensor<3>) -> Tensor<3> {
        self.norm.forward(pass, hidden)
    }

    fn head(&self, pass: &Pass<'_>, hidden: Tensor<3>) -> Tensor<3> {
        self.head.forward(pass, hidden)
    }
}
