//! GPT-2, all sizes (Radford et al. 2019): LayerNorm, learned positions, fused query-key-value,
//! Conv1D weights `[in, out]`. Tensor names and switches: transformers, `models/gpt2`.

use protocol::{Result, Text};

use super::build::LinearShape;
use super::{Builder, ConfigJson, Decoder, Family, ModelInfo, NormKind, PrefixPositions};
use crate::nn::ops::Scores;
use crate::nn::{Activation, Attention, Block, FeedForward, Head, Mlp, QkvProj, Role, Stack, ViewSpec};

pub const FAMILY: Family = Family {
    id: "gpt2",
    name: Text::fixed("GPT-2", "GPT-2"),
    help: Text::fixed("GPT-2, from 124 M to 1.5 B parameters", "GPT-2，1.24 亿到 15 亿参数"),
    model_types: &["gpt2"],
    claims: |_| true,
    spellings: &[("transformer.", "")],
    default_targets: &["qkv"],
    ignorable: |name| name.ends_with(".attn.bias") || name.ends_with(".attn.masked_bias"),
    prefix: PrefixPositions::Shifted,
    build,
    tiny: r#"{ "model_type": "gpt2", "vocab_size": 96, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64 }"#,
};

struct Sizes {
    hidden: usize,
    inner: usize,
    heads: usize,
    norm: NormKind,
    scale_attention: bool,
    scale_by_layer: bool,
    activation: Activation,
}

fn sizes(config: &ConfigJson) -> Sizes {
    let hidden = config.size("n_embd");
    let heads = config.count("n_head");
    if !hidden.is_multiple_of(heads) {
        config.problem(format!("a hidden size of {hidden} is not divisible by {heads} heads"));
    }
    Sizes {
        hidden,
        inner: config.size_or("n_inner", 4 * hidden),
        heads,
        norm: NormKind::Layer { eps: config.number_or("layer_norm_epsilon", 1e-5), bias: true },
        scale_attention: config.flag("scale_attn_weights", true),
        scale_by_layer: config.flag("scale_attn_by_inverse_layer_idx", false),
        activation: config.activation(&["activation_function"], Activation::GeluTanh),
    }
}

fn build(config: &ConfigJson, builder: &mut Builder) -> Result<(Box<dyn Decoder>, ModelInfo)> {
    let sizes = sizes(config);
    let vocabulary = config.size("vocab_size");
    let num_layers = config.count("n_layer");
    let context = config.size_or("n_positions", 1024);
    let tied = config.flag("tie_word_embeddings", true);
    config.finish()?;
    let embedding = builder.embedding("transformer.wte", vocabulary, sizes.hidden);
    let positions = builder.matrix("transformer.wpe.weight".into(), [context, sizes.hidden]);
    let blocks = (0..num_layers).map(|layer| block(builder, &sizes, layer)).collect();
    let norm = builder.norm(sizes.norm, "transformer.ln_f", sizes.hidden);
    let head = Head::plain(builder.head("lm_head", tied.then_some(&embedding), sizes.hidden, vocabulary));
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
        views: vec![ViewSpec::default()],
        whole_prompt: false,
        initializer_range: config.number_or("initializer_range", 0.02),
        variant: None,
    };
    let positions = Some(positions);
    let stack =
        Stack { embedding, embedding_scale: 1.0, positions, embedding_norm: None, blocks, norm, head };
    Ok((Box::new(stack), info))
}

fn block(builder: &mut Builder, sizes: &Sizes, layer: usize) -> Block {
    let path = format!("transformer.h.{layer}");
    let mut conv = |name: &str, inputs, outputs, role| {
        builder.conv1d(
            format!("{path}.{name}"),
            LinearShape { inputs, outputs, bias: true },
            role,
            Some(layer),
        )
    };
    let (hidden, inner) = (sizes.hidden, sizes.inner);
    let qkv = conv("attn.c_attn", hidden, 3 * hidden, Role::FusedQkv);
    let output = conv("attn.c_proj", hidden, hidden, Role::Output);
    let mlp = FeedForward::Plain(Mlp {
        up: conv("mlp.c_fc", hidden, inner, Role::Up),
        down: conv("mlp.c_proj", inner, hidden, Role::Down),
        activation: sizes.activation,
    });
    builder.share_out(&qkv, 1, [(Role::Query, hidden), (Role::Key, hidden), (Role::Value, hidden)]);
    let head_dim = hidden / sizes.heads;
    let mut scale = if sizes.scale_attention { (head_dim as f64).powf(-0.5) } else { 1.0 };
    if sizes.scale_by_layer {
        scale /= (layer + 1) as f64;
    }
    let heads = sizes.heads;
    let attention = Attention {
        qkv: QkvProj::Fused(qkv),
        output,
        norm: None,
        heads,
        kv_heads: heads,
        head_dim,
        scores: Scores::scaled(scale),
        view: 0,
        layer,
    };
    Block {
        pre_attention: Some(builder.norm(sizes.norm, &format!("{path}.ln_1"), hidden)),
        attention,
        post_attention: None,
        pre_mlp: Some(builder.norm(sizes.norm, &format!("{path}.ln_2"), hidden)),
        mlp,
        post_mlp: None,
        parallel: false,
        residual_scale: 1.0,
        normed_residual: None,
    }
}
