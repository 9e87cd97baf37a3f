//! GLM-4-9B as transformers has it (Zeng et al. 2024, arXiv:2406.12793): half of each head is rotated, neighbours
//! together; fused gate-up matrix; biases on query, key and value.
//! Tensor names and defaults: transformers, `models/glm`.

use protocol::{Result, Text};
use serde_json::json;

use super::llama_like::{Biases, LlamaLike, MlpForm};
use super::{Builder, ConfigJson, Decoder, Family, ModelInfo, PrefixPositions};

pub const FAMILY: Family = Family {
    id: "glm",
    name: Text::fixed("GLM-4 (transformers)", "GLM-4（transformers）"),
    help: Text::fixed(
        "GLM-4-9B and GLM-Edge in the layout of transformers",
        "transformers 格式的 GLM-4-9B 和 GLM-Edge",
    ),
    model_types: &["glm"],
    claims: |_| true,
    spellings: &[("model.", "")],
    default_targets: &["q", "v"],
    ignorable: |name| name.ends_with("rotary_emb.inv_freq"),
    prefix: PrefixPositions::Shifted,
    build,
    tiny: r#"{ "model_type": "glm", "vocab_size": 96, "hidden_size": 32, "intermediate_size": 48,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64,
        "head_dim": 12, "partial_rotary_factor": 0.5 }"#,
};

fn build(config: &ConfigJson, builder: &mut Builder) -> Result<(Box<dyn Decoder>, ModelInfo)> {
    let config = with_defaults(config);
    base(&config).build(&config, builder)
}

/// What the classes of GLM-4 and GLM-4-0414 have by themselves.
pub(super) fn with_defaults(config: &ConfigJson) -> ConfigJson {
    config.with_defaults(&json!({
        "num_key_value_heads": 2, "head_dim": 128, "intermediate_size": 13696, "max_position_embeddings": 131_072,
        "rms_norm_eps": 1.5625e-7, "partial_rotary_factor": 0.5, "attention_bias": true,
    }))
}

/// What GLM-4 and GLM-4-0414 share.
pub(super) fn base(config: &ConfigJson) -> LlamaLike {
    let biases = Biases { qkv: config.flag("attention_bias", true), ..Biases::default() };
    LlamaLike { biases, mlp: MlpForm::GatedFused, ..LlamaLike::read(config).interleaved() }
}
