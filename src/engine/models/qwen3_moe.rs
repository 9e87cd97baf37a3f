//! Qwen3 with experts (Qwen Team 2025, arXiv:2505.09388): Qwen3 with a mixture of experts, none of them shared.
//! Tensor names and defaults: transformers, `models/qwen3_moe`.

use protocol::{Result, Text};
use serde_json::json;

use super::experts::Experts;
use super::llama_like::{Biases, LlamaLike, QkNorms};
use super::{Builder, ConfigJson, Decoder, Family, ModelInfo, PrefixPositions, qwen2};

pub const FAMILY: Family = Family {
    id: "qwen3_moe",
    name: Text::fixed("Qwen3-MoE", "通义千问 3 MoE"),
    help: Text::fixed(
        "Qwen3-30B-A3B and 235B-A22B: mixtures of experts",
        "Qwen3-30B-A3B 和 235B-A22B：混合专家",
    ),
    model_types: &["qwen3_moe"],
    claims: |_| true,
    spellings: &[("model.", "")],
    default_targets: &["q", "v"],
    ignorable: |name| name.ends_with("rotary_emb.inv_freq"),
    prefix: PrefixPositions::Shifted,
    build,
    tiny: r#"{ "model_type": "qwen3_moe", "vocab_size": 96, "hidden_size": 32, "intermediate_size": 48,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64,
        "head_dim": 12, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 24,
        "norm_topk_prob": true }"#,
};

fn build(config: &ConfigJson, builder: &mut Builder) -> Result<(Box<dyn Decoder>, ModelInfo)> {
    let config = config.with_defaults(&json!({
        "num_key_value_heads": 4, "intermediate_size": 6144, "max_position_embeddings": 32768,
        "sliding_window": 4096, "num_experts": 128, "num_experts_per_tok": 8, "moe_intermediate_size": 768,
    }));
    let biases = Biases::of_attention(&config);
    let model = LlamaLike { biases, qk_norms: QkNorms::PerHead, ..LlamaLike::read(&config) };
    let experts = Experts::of_qwen(&config, model.sizes.layers, None);
    let model = qwen2::windowed(model, &config, |_| true);
    LlamaLike { experts: Some(experts), ..model }.build(&config, builder)
}
