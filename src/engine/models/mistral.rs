//! Mistral 7B, Nemo, Small (Jiang et al. 2023, arXiv:2310.06825): Llama whose layers may look back over a window only.
//! Tensor names and defaults: transformers, `models/mistral`.

use protocol::{Result, Text};
use serde_json::json;

use super::llama_like::LlamaLike;
use super::{Builder, ConfigJson, Decoder, Family, ModelInfo, PrefixPositions};

pub const FAMILY: Family = Family {
    id: "mistral",
    name: Text::fixed("Mistral", "Mistral"),
    help: Text::fixed(
        "Mistral 7B, Nemo, Small and their descendants",
        "Mistral 7B、Nemo、Small 及其衍生模型",
    ),
    model_types: &["mistral"],
    claims: |_| true,
    spellings: &[("model.", "")],
    default_targets: &["q", "v"],
    ignorable: |name| name.ends_with("rotary_emb.inv_freq"),
    prefix: PrefixPositions::Shifted,
    build,
    tiny: r#"{ "model_type": "mistral", "vocab_size": 96, "hidden_size": 32, "intermediate_size": 48,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64,
        "sliding_window": 8 }"#,
};

fn build(config: &ConfigJson, builder: &mut Builder) -> Result<(Box<dyn Decoder>, ModelInfo)> {
    let config = config.with_defaults(&json!({
        "num_key_value_heads": 8, "intermediate_size": 14336, "max_position_embeddings": 131_072,
        "sliding_window": 4096,
    }));
    LlamaLike::read(&config).windowed(&config).build(&config, builder)
}
