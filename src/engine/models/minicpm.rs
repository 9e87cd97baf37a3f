//! MiniCPM 1B and 2B, and 4 (Hu et al. 2024, arXiv:2404.06395): Llama with scaled embedding, residuals and head.
//! Keys and defaults: `configuration_minicpm.py` of the published folders.

use protocol::{Result, Text};
use serde_json::json;

use super::llama_like::{Biases, LlamaLike};
use super::{Builder, ConfigJson, Decoder, Family, ModelInfo, PrefixPositions};

pub const FAMILY: Family = Family {
    id: "minicpm",
    name: Text::fixed("MiniCPM", "MiniCPM"),
    help: Text::fixed(
        "MiniCPM 1B and 2B, and those of MiniCPM4 with dense attention",
        "MiniCPM 1B、2B，以及使用稠密注意力的 MiniCPM4",
    ),
    model_types: &["minicpm"],
    claims: |_| true,
    spellings: &[("model.", "")],
    default_targets: &["q", "v"],
    ignorable: |name| name.ends_with("rotary_emb.inv_freq"),
    prefix: PrefixPositions::Shifted,
    build,
    tiny: r#"{ "model_type": "minicpm", "vocab_size": 96, "hidden_size": 32, "intermediate_size": 48,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64,
        "scale_emb": 12, "scale_depth": 1.4, "dim_model_base": 16 }"#,
};

fn build(config: &ConfigJson, builder: &mut Builder) -> Result<(Box<dyn Decoder>, ModelInfo)> {
    let config = config.with_defaults(&json!({
        "scale_emb": 1, "scale_depth": 1, "dim_model_base": 1, "tie_word_embeddings": true,
    }));
    let set = |key: &str| config.raw().get(key).is_some_and(|value| !value.is_null());
    if set("sparse_config") {
        config
            .problem("`sparse_config`: sparse attention is not supported; null means dense attention".into());
    }
    if set("num_experts") {
        config.problem("`num_experts`: MiniCPM with experts is not supported".into());
    }
    let biases = Biases::of_attention(&config);
    LlamaLike { biases, ..scaled(&config, LlamaLike::read(&config)) }.build(&config, builder)
}

/// The scales of MiniCPM; a key that is null scales nothing.
pub(super) fn scaled(config: &ConfigJson, model: LlamaLike) -> LlamaLike {
    let (layers, hidden) = (model.sizes.layers as f64, model.sizes.hidden as f64);
    LlamaLike {
        embedding_scale: config.positive("scale_emb").unwrap_or(1.0),
        residual_scale: config.positive("scale_depth").map_or(1.0, |depth| depth / layers.sqrt()),
        head_scale: config.positive("dim_model_base").map_or(1.0, |base| base / hidden),
        ..model
    }
}
