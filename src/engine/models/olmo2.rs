//! OLMo 2 (Team OLMo 2024, arXiv:2501.00656): norms after each half instead of before, and norms over all queries
//! and all keys.
//! Tensor names and defaults: transformers, `models/olmo2`.

use protocol::{Result, Text};
use serde_json::json;

use super::llama_like::{Biases, LlamaLike, NormNames, QkNorms};
use super::{Builder, ConfigJson, Decoder, Family, ModelInfo, PrefixPositions};

pub const FAMILY: Family = Family {
    id: "olmo2",
    name: Text::fixed("OLMo 2", "OLMo 2"),
    help: Text::fixed("OLMo 2 with 1 to 32 B parameters", "OLMo 2，10 亿到 320 亿参数"),
    model_types: &["olmo2"],
    claims: |_| true,
    spellings: &[("model.", "")],
    default_targets: &["q", "v"],
    ignorable: |name| name.ends_with("rotary_emb.inv_freq"),
    prefix: PrefixPositions::Shifted,
    build,
    tiny: r#"{ "model_type": "olmo2", "vocab_size": 96, "hidden_size": 32, "intermediate_size": 48,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64 }"#,
};

fn build(config: &ConfigJson, builder: &mut Builder) -> Result<(Box<dyn Decoder>, ModelInfo)> {
    let config = config.with_defaults(&json!({ "intermediate_size": 11008, "rms_norm_eps": 1e-5 }));
    let norms = NormNames {
        pre_attention: None,
        post_attention: Some("post_attention_layernorm"),
        pre_mlp: None,
        post_mlp: Some("post_feedforward_layernorm"),
    };
    let biases = Biases::of_attention(&config);
    LlamaLike { biases, norms, qk_norms: QkNorms::Whole, ..LlamaLike::read(&config) }.build(&config, builder)
}
