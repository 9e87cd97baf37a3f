//! Bloom (Le Scao et al. 2022, arXiv:2211.05100): LayerNorm, also on the embedding, ALiBi, and one matrix for query, key
//! and value, head by head. Tensor names and switches: transformers, `models/bloom`.

use protocol::{Result, Text};

use super::llama_like::{Biases, LlamaLike, MlpForm, Names, QkvForm, Sizes};
use super::{Builder, ConfigJson, Decoder, Family, ModelInfo, NormKind, PrefixPositions};
use crate::nn::{Activation, ViewSpec};

pub const FAMILY: Family = Family {
    id: "bloom",
    name: Text::fixed("Bloom", "Bloom"),
    help: Text::fixed(
        "Bloom and BloomZ, from 560 M to 176 B parameters",
        "Bloom 与 BloomZ，5.6 亿到 1760 亿参数",
    ),
    model_types: &["bloom"],
    claims: |_| true,
    spellings: &[("transformer.", "")],
    default_targets: &["qkv"],
    ignorable: |_| false,
    prefix: PrefixPositions::Shifted,
    build,
    tiny: r#"{ "model_type": "bloom", "vocab_size": 96, "hidden_size": 36, "n_layer": 2, "n_head": 6, "seq_length": 64 }"#,
};

const NAMES: Names = Names {
    embedding: "transformer.word_embeddings",
    embedding_norm: Some("transformer.word_embeddings_layernorm"),
    layers: "transformer.h",
    qkv: "self_attention.query_key_value",
    output: "self_attention.dense",
    plain: ["mlp.dense_h_to_4h", "mlp.dense_4h_to_h"],
    norm: "transformer.ln_f",
    ..Names::LLAMA
};

fn build(config: &ConfigJson, builder: &mut Builder) -> Result<(Box<dyn Decoder>, ModelInfo)> {
    let sizes = sizes(config);
    let view = ViewSpec::alibi(sizes.heads);
    LlamaLike {
        names: NAMES,
        activation: Activation::GeluTanh,
        biases: Biases { qkv: true, output: true, mlp: true, head: false },
        norm: NormKind::Layer { eps: config.number_or("layer_norm_epsilon", 1e-5), bias: true },
        qkv: QkvForm::Grouped,
        mlp: MlpForm::Plain,
        normed_residual: config.flag("apply_residual_connection_post_layernorm", false).then_some(1.0),
        ..LlamaLike::seeing(config, sizes, view)
    }
    .build(config, builder)
}

/// Each size under the key of the hub's configs, or under that of transformers.
fn sizes(config: &ConfigJson) -> Sizes {
    let key = |keys: [&'static str; 2]| -> &'static str {
        let given = keys.into_iter().find(|key| config.raw().contains_key(*key));
        given.unwrap_or(keys[0])
    };
    let hidden = config.size(key(["hidden_size", "n_embed"]));
    let heads = config.count(key(["n_head", "num_attention_heads"]));
    if !hidden.is_multiple_of(heads) {
        config.problem(format!("a hidden size of {hidden} is not divisible by {heads} heads"));
    }
    Sizes {
        vocabulary: config.size("vocab_size"),
        layers: config.count(key(["n_layer", "num_hidden_layers"])),
        hidden,
        inner: 4 * hidden,
        heads,
        kv_heads: heads,
        head_dim: (hidden / heads).max(1),
        context: config.size_or("seq_length", 2048),
        tied: config.flag("tie_word_embeddings", true),
    }
}
