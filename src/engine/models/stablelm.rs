//! StableLM 3B and 2 (Bellagente et al. 2024, arXiv:2402.17834): Llama's layers with LayerNorm and a quarter of each
//! head rotated.
//! Tensor names and defaults: transformers, `models/stablelm`.

use protocol::{Result, Text};
use serde_json::json;

use super::llama_like::{Biases, LlamaLike, NormNames};
use super::{Builder, ConfigJson, Decoder, Family, ModelInfo, NormKind, PrefixPositions};

pub const FAMILY: Family = Family {
    id: "stablelm",
    name: Text::fixed("StableLM", "StableLM"),
    help: Text::fixed(
        "StableLM 3B, and StableLM 2 with 1.6 and 12 B",
        "StableLM 3B，以及 16 亿和 120 亿参数的 StableLM 2",
    ),
    model_types: &["stablelm"],
    claims: |_| true,
    spellings: &[("model.", "")],
    default_targets: &["q", "v"],
    ignorable: |name| name.ends_with("rotary_emb.inv_freq"),
    prefix: PrefixPositions::Shifted,
    build,
    tiny: r#"{ "model_type": "stablelm", "vocab_size": 96, "hidden_size": 32, "intermediate_size": 48,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64,
        "use_qkv_bias": true }"#,
};

fn build(config: &ConfigJson, builder: &mut Builder) -> Result<(Box<dyn Decoder>, ModelInfo)> {
    let config = config.with_defaults(&json!({
        "intermediate_size": 6912, "max_position_embeddings": 4096, "partial_rotary_factor": 0.25,
    }));
    if config.flag("qk_layernorm", false) {
        config.problem("`qk_layernorm` is true: norms of every head by itself are not known here".into());
    }
    let parallel = config.flag("use_parallel_residual", false);
    let pre_mlp = NormNames::PRE.pre_mlp.filter(|_| !parallel);
    let model = LlamaLike {
        biases: Biases { qkv: config.flag("use_qkv_bias", false), ..Biases::default() },
        norm: NormKind::Layer { eps: config.number_or("layer_norm_eps", 1e-5), bias: true },
        norms: NormNames { pre_mlp, ..NormNames::PRE },
        parallel,
        ..LlamaLike::read(&config)
    };
    model.build(&config, builder)
}
