//! StarCoder 2 (Lozhkov et al. 2024, arXiv:2402.19173): LayerNorm, biases everywhere, a feed-forward layer without a
//! gate, and a sliding window.
//! Tensor names and defaults: transformers, `models/starcoder2`.

use protocol::{Result, Text};
use serde_json::json;

use super::llama_like::{Biases, LlamaLike, MlpForm};
use super::{Builder, ConfigJson, Decoder, Family, ModelInfo, NormKind, PrefixPositions};

pub const FAMILY: Family = Family {
    id: "starcoder2",
    name: Text::fixed("StarCoder 2", "StarCoder 2"),
    help: Text::fixed(
        "StarCoder 2 with 3, 7 and 15 B parameters, for code",
        "StarCoder 2，30 亿、70 亿和 150 亿参数，用于代码",
    ),
    model_types: &["starcoder2"],
    claims: |_| true,
    spellings: &[("model.", "")],
    default_targets: &["q", "v"],
    ignorable: |name| name.ends_with("rotary_emb.inv_freq"),
    prefix: PrefixPositions::Shifted,
    build,
    tiny: r#"{ "model_type": "starcoder2", "vocab_size": 96, "hidden_size": 32, "intermediate_size": 48,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64,
        "hidden_act": "gelu_pytorch_tanh", "sliding_window": 8 }"#,
};

fn build(config: &ConfigJson, builder: &mut Builder) -> Result<(Box<dyn Decoder>, ModelInfo)> {
    let config = config.with_defaults(&json!({
        "num_key_value_heads": 2, "intermediate_size": 12288, "max_position_embeddings": 4096,
        "hidden_act": "gelu_pytorch_tanh", "initializer_range": 0.018_042, "tie_word_embeddings": true,
    }));
    let bias = config.flag("use_bias", true);
    let biases = Biases { qkv: bias, output: bias, mlp: bias, head: false };
    let norm = NormKind::Layer { eps: config.number_or("norm_epsilon", 1e-5), bias: true };
    let model = LlamaLike { biases, norm, mlp: MlpForm::Plain, ..LlamaLike::read(&config) };
    model.windowed(&config).build(&config, builder)
}
