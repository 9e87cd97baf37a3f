//! ChatGLM2-6B, ChatGLM3-6B and GLM-4-9B in their original layout (Du et al. 2022, arXiv:2103.10360; GLM team 2024,
//! arXiv:2406.12793): RMSNorm, one matrix for query, key and value with fewer key heads, rotary positions on neighbouring
//! dimensions of the first half of each head. Published code: THUDM, `modeling_chatglm.py`.

use protocol::{Result, Text};

use super::llama_like::{Biases, LlamaLike, MlpForm, Names, QkvForm, Sizes};
use super::{Builder, ConfigJson, Decoder, Family, ModelInfo, NormKind, PrefixPositions, chatglm_6b};
use crate::nn::{Activation, Rope, RopeScaling};

pub const FAMILY: Family = Family {
    id: "chatglm",
    name: Text::fixed("ChatGLM2, ChatGLM3, GLM-4", "ChatGLM2、ChatGLM3、GLM-4"),
    help: Text::fixed(
        "ChatGLM2-6B, ChatGLM3-6B and GLM-4-9B as first published",
        "最初发布格式的 ChatGLM2-6B、ChatGLM3-6B 和 GLM-4-9B",
    ),
    model_types: &["chatglm"],
    claims: |config| !chatglm_6b::is_first(config),
    spellings: &[],
    default_targets: &["qkv"],
    ignorable: |name| name.ends_with("rotary_pos_emb.inv_freq"),
    prefix: PrefixPositions::Unshifted,
    build,
    tiny: r#"{ "model_type": "chatglm", "padded_vocab_size": 96, "hidden_size": 32, "ffn_hidden_size": 48,
        "num_layers": 2, "num_attention_heads": 4, "kv_channels": 8, "multi_query_attention": true,
        "multi_query_group_num": 2, "seq_length": 64, "add_qkv_bias": true, "rope_ratio": 50 }"#,
};

const NAMES: Names = Names {
    embedding: "transformer.embedding.word_embeddings",
    layers: "transformer.encoder.layers",
    qkv: "self_attention.query_key_value",
    output: "self_attention.dense",
    gated_fused: ["mlp.dense_h_to_4h", "mlp.dense_4h_to_h"],
    norm: "transformer.encoder.final_layernorm",
    head: "transformer.output_layer",
    ..Names::LLAMA
};

fn build(config: &ConfigJson, builder: &mut Builder) -> Result<(Box<dyn Decoder>, ModelInfo)> {
    if !config.flag("post_layer_norm", true) {
        config.problem("`post_layer_norm` is false: a model without a final norm is not known".into());
    }
    let grouped = config.flag("multi_query_attention", false);
    let sizes = sizes(config, grouped);
    let eps = config.number_or("layernorm_epsilon", 1e-5);
    let rms = config.flag("rmsnorm", true);
    let linear = config.flag("add_bias_linear", false);
    LlamaLike {
        names: NAMES,
        activation: Activation::Silu,
        biases: Biases {
            qkv: linear || config.flag("add_qkv_bias", false),
            output: linear,
            mlp: linear,
            head: false,
        },
        norm: if rms { NormKind::Rms { eps } } else { NormKind::Layer { eps, bias: true } },
        qkv: if grouped { QkvForm::Fused } else { QkvForm::Grouped },
        mlp: MlpForm::GatedFused,
        normed_residual: config.flag("apply_residual_connection_post_layernorm", false).then_some(1.0),
        ..LlamaLike::of(config, sizes.clone(), rope(config, &sizes))
    }
    .build(config, builder)
}

fn sizes(config: &ConfigJson, grouped: bool) -> Sizes {
    let hidden = config.size("hidden_size");
    let heads = config.count("num_attention_heads");
    let kv_heads = if grouped { config.size_or("multi_query_group_num", 1) } else { heads };
    if !heads.is_multiple_of(kv_heads) {
        config.problem(format!("{heads} query heads cannot share {kv_heads} key heads evenly"));
    }
    Sizes {
        vocabulary: config.size("padded_vocab_size"),
        layers: config.count("num_layers"),
        hidden,
        inner: config.size("ffn_hidden_size"),
        heads,
        kv_heads,
        head_dim: config.size_or("kv_channels", (hidden / heads).max(1)),
        context: config.size_or("seq_length", 2048),
        tied: config.flag("tie_word_embeddings", false),
    }
}

/// Long-context models stretch the base by `rope_ratio`.
fn rope(config: &ConfigJson, sizes: &Sizes) -> Rope {
    let theta = 10_000.0 * config.number_or("rope_ratio", 1.0);
    if !sizes.head_dim.is_multiple_of(4) || theta <= 1.0 {
        config.problem(format!("rotary embedding of half a head of {} with base {theta}", sizes.head_dim));
    }
    Rope {
        theta,
        dim: sizes.head_dim / 2,
        max_position: sizes.context,
        scaling: RopeScaling::None,
        interleaved: config.flag("original_rope", true),
    }
}
