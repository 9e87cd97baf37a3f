//! GLM-4-0414: GLM-4 with a norm after each half as well as before it.
//! Tensor names and defaults: transformers, `models/glm4`.

use protocol::{Result, Text};

use super::llama_like::{LlamaLike, NormNames};
use super::{Builder, ConfigJson, Decoder, Family, ModelInfo, PrefixPositions, glm};

pub const FAMILY: Family = Family {
    id: "glm4",
    name: Text::fixed("GLM-4-0414", "GLM-4-0414"),
    help: Text::fixed(
        "GLM-4-0414 and GLM-Z1 with 9 and 32 B parameters",
        "GLM-4-0414 和 GLM-Z1，90 亿和 320 亿参数",
    ),
    model_types: &["glm4"],
    claims: |_| true,
    spellings: &[("model.", "")],
    default_targets: &["q", "v"],
    ignorable: |name| name.ends_with("rotary_emb.inv_freq"),
    prefix: PrefixPositions::Shifted,
    build,
    tiny: r#"{ "model_type": "glm4", "vocab_size": 96, "hidden_size": 32, "intermediate_size": 48,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64,
        "head_dim": 12, "partial_rotary_factor": 0.5 }"#,
};

fn build(config: &ConfigJson, builder: &mut Builder) -> Result<(Box<dyn Decoder>, ModelInfo)> {
    let config = glm::with_defaults(config);
    let norms = NormNames {
        post_attention: Some("post_self_attn_layernorm"),
        post_mlp: Some("post_mlp_layernorm"),
        ..NormNames::PRE
    };
    LlamaLike { norms, ..glm::base(&config) }.build(&config, builder)
}
