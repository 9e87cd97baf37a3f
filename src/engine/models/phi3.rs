//! Phi-3, 3.5 and 4 (Abdin et al. 2024, arXiv:2404.14219): Llama with fused query-key-value and gate-up matrices;
//! long contexts by LongRoPE.
//! Tensor names and defaults: transformers, `models/phi3`.

use protocol::{Result, Text};
use serde_json::json;

use super::llama_like::{LlamaLike, MlpForm, QkvForm};
use super::{Builder, ConfigJson, Decoder, Family, ModelInfo, PrefixPositions};

pub const FAMILY: Family = Family {
    id: "phi3",
    name: Text::fixed("Phi-3, Phi-4", "Phi-3、Phi-4"),
    help: Text::fixed(
        "Phi-3 mini and medium, Phi-3.5 mini, Phi-4 and Phi-4 mini",
        "Phi-3 mini 和 medium、Phi-3.5 mini、Phi-4 和 Phi-4 mini",
    ),
    model_types: &["phi3"],
    claims: |_| true,
    spellings: &[("model.", "")],
    default_targets: &["qkv", "o"],
    ignorable: |name| name.ends_with("rotary_emb.inv_freq"),
    prefix: PrefixPositions::Shifted,
    build,
    tiny: r#"{ "model_type": "phi3", "vocab_size": 96, "hidden_size": 32, "intermediate_size": 48,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64,
        "sliding_window": 8, "partial_rotary_factor": 0.5, "original_max_position_embeddings": 32,
        "rope_scaling": { "type": "longrope", "short_factor": [1.0, 1.1], "long_factor": [1.0, 4.0] } }"#,
};

fn build(config: &ConfigJson, builder: &mut Builder) -> Result<(Box<dyn Decoder>, ModelInfo)> {
    let config = config.with_defaults(&json!({
        "intermediate_size": 8192, "max_position_embeddings": 4096, "original_max_position_embeddings": 4096,
        "rms_norm_eps": 1e-5,
    }));
    let mlp = MlpForm::GatedFused;
    let model = LlamaLike { qkv: QkvForm::Fused, mlp, ..LlamaLike::read(&config) };
    model.windowed(&config).build(&config, builder)
}
