//! Qwen 1.5 and 2 with experts (Qwen Team 2024): Qwen2 with a mixture of experts and an expert for every token.
//! Tensor names and defaults: transformers, `models/qwen2_moe`.

use protocol::{Result, Text};
use serde_json::json;

use super::experts::Experts;
use super::llama_like::{Biases, LlamaLike};
use super::{Builder, ConfigJson, Decoder, Family, ModelInfo, PrefixPositions, qwen2};

pub const FAMILY: Family = Family {
    id: "qwen2_moe",
    name: Text::fixed("Qwen2-MoE", "通义千问 2 MoE"),
    help: Text::fixed(
        "Qwen1.5-MoE-A2.7B and Qwen2-57B-A14B: mixtures of experts",
        "Qwen1.5-MoE-A2.7B 和 Qwen2-57B-A14B：混合专家",
    ),
    model_types: &["qwen2_moe"],
    claims: |_| true,
    spellings: &[("model.", "")],
    default_targets: &["q", "v"],
    ignorable: |name| name.ends_with("rotary_emb.inv_freq"),
    prefix: PrefixPositions::Shifted,
    build,
    tiny: r#"{ "model_type": "qwen2_moe", "vocab_size": 96, "hidden_size": 32, "intermediate_size": 48,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64,
        "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 24,
        "shared_expert_intermediate_size": 40, "mlp_only_layers": [0] }"#,
};

fn build(config: &ConfigJson, builder: &mut Builder) -> Result<(Box<dyn Decoder>, ModelInfo)> {
    let config = config.with_defaults(&json!({
        "num_key_value_heads": 16, "intermediate_size": 5632, "max_position_embeddings": 32768,
        "sliding_window": 4096, "max_window_layers": 28, "qkv_bias": true, "num_experts": 60,
        "num_experts_per_tok": 4, "moe_intermediate_size": 1408, "shared_expert_intermediate_size": 5632,
    }));
    let biases = Biases { qkv: config.flag("qkv_bias", true), ..Biases::default() };
    let model = LlamaLike { biases, ..LlamaLike::read(&config) };
    let shared = config.size("shared_expert_intermediate_size");
    let experts = Experts::of_qwen(&config, model.sizes.layers, Some(shared));
    let last = config.size_or_zero("max_window_layers");
    let model = qwen2::windowed(model, &config, |layer| layer % 2 == 0 && layer < last);
    LlamaLike { experts: Some(experts), ..model }.build(&config, builder)
}
