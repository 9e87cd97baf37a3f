//! Granite 3 (IBM 2024): Llama with factors on embedding, scores, residuals and logits.
//! Tensor names and defaults: transformers, `models/granite`.

use protocol::{Result, Text};
use serde_json::json;

use super::llama_like::{Biases, LlamaLike};
use super::{Builder, ConfigJson, Decoder, Family, ModelInfo, PrefixPositions};
use crate::nn::ops::Scores;

pub const FAMILY: Family = Family {
    id: "granite",
    name: Text::fixed("Granite", "Granite"),
    help: Text::fixed("IBM Granite 3 without experts", "IBM Granite 3 稠密模型"),
    model_types: &["granite"],
    claims: |_| true,
    spellings: &[("model.", "")],
    default_targets: &["q", "v"],
    ignorable: |name| name.ends_with("rotary_emb.inv_freq"),
    prefix: PrefixPositions::Shifted,
    build,
    tiny: r#"{ "model_type": "granite", "vocab_size": 96, "hidden_size": 32, "intermediate_size": 48,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64,
        "embedding_multiplier": 6.0, "attention_multiplier": 0.2, "residual_multiplier": 0.4, "logits_scaling": 2.0 }"#,
};

fn build(config: &ConfigJson, builder: &mut Builder) -> Result<(Box<dyn Decoder>, ModelInfo)> {
    let config = config.with_defaults(&json!({ "intermediate_size": 11008 }));
    let factor = |key: &str| config.positive(key).unwrap_or(1.0);
    let model = LlamaLike {
        biases: Biases::of_attention(&config),
        embedding_scale: factor("embedding_multiplier"),
        scores: Scores::scaled(factor("attention_multiplier")),
        residual_scale: factor("residual_multiplier"),
        head_scale: 1.0 / factor("logits_scaling"),
        ..LlamaLike::read(&config)
    };
    model.build(&config, builder)
}
