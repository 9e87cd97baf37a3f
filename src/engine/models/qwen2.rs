//! Qwen 1.5, 2 and 2.5 (Qwen Team 2024, arXiv:2407.10671): Llama with biases on query, key and value; the last layers
//! may look back over a window only.
//! Tensor names and defaults: transformers, `models/qwen2`.

use protocol::{Result, Text};
use serde_json::json;

use super::llama_like::{Biases, LlamaLike, window};
use super::{Builder, ConfigJson, Decoder, Family, ModelInfo, PrefixPositions};
use crate::nn::ViewSpec;

pub const FAMILY: Family = Family {
    id: "qwen2",
    name: Text::fixed("Qwen 1.5, 2, 2.5", "通义千问 1.5、2、2.5"),
    help: Text::fixed(
        "Qwen 1.5, 2 and 2.5, and models made from them",
        "通义千问 1.5、2、2.5 及由其衍生的模型",
    ),
    model_types: &["qwen2"],
    claims: |_| true,
    spellings: &[("model.", "")],
    default_targets: &["q", "v"],
    ignorable: |name| name.ends_with("rotary_emb.inv_freq"),
    prefix: PrefixPositions::Shifted,
    build,
    tiny: r#"{ "model_type": "qwen2", "vocab_size": 96, "hidden_size": 32, "intermediate_size": 48,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64,
        "tie_word_embeddings": true, "use_sliding_window": true, "sliding_window": 8, "max_window_layers": 1 }"#,
};

fn build(config: &ConfigJson, builder: &mut Builder) -> Result<(Box<dyn Decoder>, ModelInfo)> {
    let config = config.with_defaults(&json!({
        "num_key_value_heads": 32, "intermediate_size": 22016, "max_position_embeddings": 32768,
        "sliding_window": 4096, "max_window_layers": 28,
    }));
    let biases = Biases { qkv: true, ..Biases::default() };
    let model = LlamaLike { biases, ..LlamaLike::read(&config) };
    let first = config.size_or_zero("max_window_layers");
    windowed(model, &config, |layer| layer >= first).build(&config, builder)
}

/// With the window that `use_sliding_window` turns on, for the layers of `layer_types` or else for those of `by_default`.
pub(super) fn windowed(
    model: LlamaLike,
    config: &ConfigJson,
    by_default: impl Fn(usize) -> bool,
) -> LlamaLike {
    let used = config.flag("use_sliding_window", false);
    let Some(window) = used.then(|| window(config)).flatten() else { return model };
    let local = ViewSpec { window: Some(window), ..model.views[0].clone() };
    model.partly_windowed(config, local, by_default)
}
