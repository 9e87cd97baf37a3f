//! MiniCPM3 4B (OpenBMB 2024): MiniCPM's scales with latent attention.
//! Tensor names and defaults: transformers, `models/minicpm3`.

use protocol::{Result, Text};
use serde_json::json;

use super::latent::Latent;
use super::llama_like::{Biases, LlamaLike, Sizes};
use super::{Builder, ConfigJson, Decoder, Family, ModelInfo, PrefixPositions, minicpm};

pub const FAMILY: Family = Family {
    id: "minicpm3",
    name: Text::fixed("MiniCPM3", "MiniCPM3"),
    help: Text::fixed("MiniCPM3 with 4 B parameters", "MiniCPM3，40 亿参数"),
    model_types: &["minicpm3"],
    claims: |_| true,
    spellings: &[("model.", "")],
    default_targets: &["q", "kv"],
    ignorable: |name| name.ends_with("rotary_emb.inv_freq"),
    prefix: PrefixPositions::Shifted,
    build,
    tiny: r#"{ "model_type": "minicpm3", "vocab_size": 96, "hidden_size": 32, "intermediate_size": 48,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 4, "max_position_embeddings": 64,
        "q_lora_rank": 16, "kv_lora_rank": 12, "qk_nope_head_dim": 6, "qk_rope_head_dim": 4, "v_head_dim": 6,
        "dim_model_base": 16 }"#,
};

fn build(config: &ConfigJson, builder: &mut Builder) -> Result<(Box<dyn Decoder>, ModelInfo)> {
    let config = config.with_defaults(&json!({
        "intermediate_size": 6400, "max_position_embeddings": 32768, "rms_norm_eps": 1e-5, "initializer_range": 0.1,
        "kv_lora_rank": 256, "q_lora_rank": 768, "qk_nope_head_dim": 64, "qk_rope_head_dim": 32,
        "scale_emb": 12, "scale_depth": 1.4, "dim_model_base": 256, "tie_word_embeddings": true,
    }));
    let mut sizes = Sizes::read(&config);
    let latent = Latent::read(&config, sizes.hidden / sizes.heads);
    // Every head has a key of its own once it comes out of the latent dimensions.
    if sizes.kv_heads != sizes.heads {
        config
            .problem(format!("{} key heads, wanted as many as query heads: {}", sizes.kv_heads, sizes.heads));
    }
    if scales_scores(&config) {
        config.problem("`mscale_all_dim` in the rotary scaling is not supported".into());
    }
    sizes.head_dim = latent.head_dim();
    let rope = config.rope(latent.dims.rotated, 10_000.0);
    let model = minicpm::scaled(&config, LlamaLike::of(&config, sizes, rope));
    let biases = Biases { qkv: false, ..Biases::of_attention(&config) };
    LlamaLike { latent: Some(latent), biases, ..model }.build(&config, builder)
}

/// Whether the rotary scaling has a factor for the scores too.
fn scales_scores(config: &ConfigJson) -> bool {
    let sections = ["rope_parameters", "rope_scaling"].map(|key| config.raw().get(key));
    sections.into_iter().flatten().any(|section| section.get("mscale_all_dim").is_some())
}
