//! Qwen3, dense (Qwen Team 2025, arXiv:2505.09388): Llama with a norm over each head of queries and keys.
//! Tensor names and defaults: transformers, `models/qwen3`.

use protocol::{Result, Text};
use serde_json::json;

use super::llama_like::{Biases, LlamaLike, QkNorms};
use super::{Builder, ConfigJson, Decoder, Family, ModelInfo, PrefixPositions, qwen2};

pub const FAMILY: Family = Family {
    id: "qwen3",
    name: Text::fixed("Qwen3", "通义千问 3"),
    help: Text::fixed(
        "Qwen3 without experts, from 0.6 B to 32 B parameters",
        "通义千问 3 稠密模型，6 亿到 320 亿参数",
    ),
    model_types: &["qwen3"],
    claims: |_| true,
    spellings: &[("model.", "")],
    default_targets: &["q", "v"],
    ignorable: |name| name.ends_with("rotary_emb.inv_freq"),
    prefix: PrefixPositions::Shifted,
    build,
    tiny: r#"{ "model_type": "qwen3", "vocab_size": 96, "hidden_size": 32, "intermediate_size": 48,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64,
        "head_dim": 12, "tie_word_embeddings": true }"#,
};

fn build(config: &ConfigJson, builder: &mut Builder) -> Result<(Box<dyn Decoder>, ModelInfo)> {
    let config = config.with_defaults(&json!({
        "num_key_value_heads": 32, "head_dim": 128, "intermediate_size": 22016, "max_position_embeddings": 32768,
        "sliding_window": 4096, "max_window_layers": 28,
    }));
    let biases = Biases::of_attention(&config);
    let model = LlamaLike { biases, qk_norms: QkNorms::PerHead, ..LlamaLike::read(&config) };
    let first = config.size_or_zero("max_window_layers");
    qwen2::windowed(model, &config, |layer| layer >= first).build(&config, builder)
}
