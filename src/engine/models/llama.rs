//! Llama 1, 2, 3, 3.1, 3.2, 3.3 (Touvron et al. 2023, arXiv:2302.13971; Dubey et al. 2024,
//! arXiv:2407.21783): RMSNorm, rotary embedding, grouped keys, SwiGLU.
//! Tensor names and switches: transformers, `models/llama`.

use protocol::{Result, Text};

use super::llama_like::{Biases, LlamaLike};
use super::{Builder, ConfigJson, Decoder, Family, ModelInfo, PrefixPositions};

pub const FAMILY: Family = Family {
    id: "llama",
    name: Text::fixed("Llama", "Llama"),
    help: Text::fixed("Llama 1, 2, 3 and their many descendants", "Llama 1、2、3 及其众多衍生模型"),
    model_types: &["llama"],
    claims: |_| true,
    spellings: &[("model.", "")],
    default_targets: &["q", "v"],
    ignorable: |name| name.ends_with("rotary_emb.inv_freq"),
    prefix: PrefixPositions::Shifted,
    build,
    tiny: r#"{ "model_type": "llama", "vocab_size": 96, "hidden_size": 32, "intermediate_size": 48,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64 }"#,
};

fn build(config: &ConfigJson, builder: &mut Builder) -> Result<(Box<dyn Decoder>, ModelInfo)> {
    LlamaLike { biases: Biases::of_attention(config), ..LlamaLike::read(config) }.build(config, builder)
}
