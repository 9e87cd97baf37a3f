//! Gemma, the first (Gemma Team 2024, arXiv:2403.08295): norms with a gain of 1 + weight, GELU, a scaled embedding.
//! Tensor names and defaults: transformers, `models/gemma`.

use protocol::{Result, Text};
use serde_json::json;

use super::llama_like::{Biases, LlamaLike};
use super::{Builder, ConfigJson, Decoder, Family, ModelInfo, NormKind, PrefixPositions};
use crate::nn::Activation;

pub const FAMILY: Family = Family {
    id: "gemma",
    name: Text::fixed("Gemma", "Gemma"),
    help: Text::fixed("Gemma 2B and 7B, the first generation", "第一代 Gemma 2B 和 7B"),
    model_types: &["gemma"],
    claims: |_| true,
    spellings: &[("model.", "")],
    default_targets: &["q", "v"],
    ignorable: |name| name.ends_with("rotary_emb.inv_freq"),
    prefix: PrefixPositions::Shifted,
    build,
    tiny: r#"{ "model_type": "gemma", "vocab_size": 96, "hidden_size": 32, "intermediate_size": 48,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64,
        "head_dim": 12 }"#,
};

fn build(config: &ConfigJson, builder: &mut Builder) -> Result<(Box<dyn Decoder>, ModelInfo)> {
    let config = config.with_defaults(&json!({
        "num_key_value_heads": 16, "head_dim": 256, "intermediate_size": 24576, "max_position_embeddings": 8192,
        "tie_word_embeddings": true,
    }));
    // Old files say `gelu` and mean its approximation.
    let activation = match config.activation(&["hidden_activation", "hidden_act"], Activation::GeluTanh) {
        Activation::GeluErf => Activation::GeluTanh,
        other => other,
    };
    LlamaLike { activation, ..base(&config, LlamaLike::read(&config)) }.build(&config, builder)
}

/// What all Gemmas share.
pub(super) fn base(config: &ConfigJson, model: LlamaLike) -> LlamaLike {
    if config.flag("use_bidirectional_attention", false) {
        config
            .problem("`use_bidirectional_attention`: a model that sees later tokens is not supported".into());
    }
    LlamaLike {
        norm: NormKind::RmsUnit { eps: config.number_or("rms_norm_eps", 1e-6) },
        biases: Biases::of_attention(config),
        embedding_scale: (model.sizes.hidden as f64).sqrt(),
        ..model
    }
}
