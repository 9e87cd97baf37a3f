//! Command R and R+ (Cohere 2024): both halves of a block read its input through one LayerNorm without bias; scaled
//! logits; neighbours are rotated together.
//! Tensor names and defaults: transformers, `models/cohere`.

use protocol::{Result, Text};
use serde_json::json;

use super::llama_like::{Biases, LlamaLike, NormNames, QkNorms};
use super::{Builder, ConfigJson, Decoder, Family, ModelInfo, NormKind, PrefixPositions};

pub const FAMILY: Family = Family {
    id: "cohere",
    name: Text::fixed("Command R", "Command R"),
    help: Text::fixed("Cohere Command R and R+, Aya 23", "Cohere Command R、R+ 和 Aya 23"),
    model_types: &["cohere"],
    claims: |_| true,
    spellings: &[("model.", "")],
    default_targets: &["q", "v"],
    ignorable: |name| name.ends_with("rotary_emb.inv_freq"),
    prefix: PrefixPositions::Shifted,
    build,
    tiny: r#"{ "model_type": "cohere", "vocab_size": 96, "hidden_size": 32, "intermediate_size": 48,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64,
        "use_qk_norm": true, "logit_scale": 0.5, "tie_word_embeddings": true }"#,
};

fn build(config: &ConfigJson, builder: &mut Builder) -> Result<(Box<dyn Decoder>, ModelInfo)> {
    let config = config.with_defaults(&json!({
        "intermediate_size": 22528, "max_position_embeddings": 8192, "rope_theta": 500_000.0, "logit_scale": 0.0625,
        "tie_word_embeddings": true,
    }));
    let eps = config.number_or("layer_norm_eps", 1e-5);
    let own_gain = config.flag("use_qk_norm", false);
    let model = LlamaLike {
        biases: Biases::of_attention(&config),
        norm: NormKind::Layer { eps, bias: false },
        norms: NormNames { pre_mlp: None, ..NormNames::PRE },
        parallel: true,
        qk_norms: if own_gain { QkNorms::OwnGain { eps } } else { QkNorms::None },
        head_scale: config.positive("logit_scale").unwrap_or(1.0),
        ..LlamaLike::read(&config).interleaved()
    };
    model.build(&config, builder)
}
