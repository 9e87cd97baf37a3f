//! Gemma 3, its text model (Gemma Team 2025, arXiv:2503.19786): Gemma 2 with norms of queries and keys instead of soft
//! caps, and a rotary base of their own for the layers that look back over a window.
//! Tensor names and defaults: transformers, `models/gemma3`.

use protocol::{Result, Text};
use serde_json::json;

use super::llama_like::{LlamaLike, QkNorms, Sizes, window};
use super::{Builder, ConfigJson, Decoder, Family, ModelInfo, PrefixPositions, gemma2};
use crate::nn::ViewSpec;

pub const FAMILY: Family = Family {
    id: "gemma3",
    name: Text::fixed("Gemma 3", "Gemma 3"),
    help: Text::fixed(
        "Gemma 3 from 270 M to 27 B parameters; of models that see pictures, the part that reads text",
        "Gemma 3，2.7 亿到 270 亿参数；能看图的模型只用其文本部分",
    ),
    model_types: &["gemma3_text", "gemma3"],
    claims: |_| true,
    spellings: &[
        ("model.", "language_model.model."),
        ("lm_head.", "language_model.lm_head."),
        ("model.", "model.language_model."),
        ("model.", ""),
    ],
    default_targets: &["q", "v"],
    ignorable: |name| name.ends_with("rotary_emb.inv_freq") || is_vision(name),
    prefix: PrefixPositions::Shifted,
    build,
    tiny: r#"{ "model_type": "gemma3_text", "vocab_size": 96, "hidden_size": 32, "intermediate_size": 48,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64,
        "head_dim": 12, "query_pre_attn_scalar": 12, "sliding_window": 8, "sliding_window_pattern": 2,
        "rope_scaling": { "rope_type": "linear", "factor": 8.0 } }"#,
};

fn build(config: &ConfigJson, builder: &mut Builder) -> Result<(Box<dyn Decoder>, ModelInfo)> {
    let picture = config.model_type() == "gemma3";
    let section = if picture { config.section("text_config") } else { None };
    if picture && section.is_none() {
        config.problem("`text_config` is missing".into());
    }
    let config = section.as_ref().unwrap_or(config).with_defaults(&json!({
        "vocab_size": 262_208, "hidden_size": 2304, "intermediate_size": 9216, "num_hidden_layers": 26,
        "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256, "max_position_embeddings": 131_072,
        "hidden_activation": "gelu_pytorch_tanh", "tie_word_embeddings": true, "query_pre_attn_scalar": 256,
        "sliding_window": 4096, "sliding_window_pattern": 6,
    }));
    let sizes = Sizes::read(&config);
    let rope = |kind, keys, theta| config.rope_of(kind, keys, sizes.head_dim, theta);
    let wide = rope("full_attention", ["rope_theta", "rope_scaling"], 1e6);
    // The older spelling has no scaling for these.
    let near = rope("sliding_attention", ["rope_local_base_freq", ""], 1e4);
    let model = gemma2::base(&config, LlamaLike::of(&config, sizes, wide));
    let variant =
        picture.then(|| Text::fixed("the text part of a model that sees pictures", "能看图模型的文本部分"));
    let model = LlamaLike { qk_norms: QkNorms::PerHead, variant, ..model };
    let local = ViewSpec { window: window(&config), ..ViewSpec::rotated(near) };
    let pattern = config.size("sliding_window_pattern");
    model.partly_windowed(&config, local, |layer| (layer + 1) % pattern != 0).build(&config, builder)
}

/// What the picture half of a model has.
fn is_vision(name: &str) -> bool {
    let name = name.strip_prefix("model.").unwrap_or(name);
    name.starts_with("vision_tower.") || name.starts_with("multi_modal_projector.")
}
