//! Gemma 2 (Gemma Team 2024, arXiv:2408.00118): Gemma with norms on both sides of each half, soft caps on scores and
//! logits, and every other layer looking back over a window only.
//! Tensor names and defaults: transformers, `models/gemma2`.

use protocol::{Result, Text};
use serde_json::json;

use super::llama_like::{LlamaLike, NormNames, window};
use super::{Builder, ConfigJson, Decoder, Family, ModelInfo, PrefixPositions, gemma};
use crate::nn::ViewSpec;
use crate::nn::ops::Scores;

pub const FAMILY: Family = Family {
    id: "gemma2",
    name: Text::fixed("Gemma 2", "Gemma 2"),
    help: Text::fixed("Gemma 2 with 2, 9 and 27 B parameters", "Gemma 2，20 亿、90 亿和 270 亿参数"),
    model_types: &["gemma2"],
    claims: |_| true,
    spellings: &[("model.", "")],
    default_targets: &["q", "v"],
    ignorable: |name| name.ends_with("rotary_emb.inv_freq"),
    prefix: PrefixPositions::Shifted,
    build,
    tiny: r#"{ "model_type": "gemma2", "vocab_size": 96, "hidden_size": 32, "intermediate_size": 48,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64,
        "head_dim": 12, "query_pre_attn_scalar": 12, "sliding_window": 8 }"#,
};

fn build(config: &ConfigJson, builder: &mut Builder) -> Result<(Box<dyn Decoder>, ModelInfo)> {
    let config = config.with_defaults(&json!({
        "num_key_value_heads": 4, "head_dim": 256, "intermediate_size": 9216, "max_position_embeddings": 8192,
        "hidden_activation": "gelu_pytorch_tanh", "tie_word_embeddings": true, "query_pre_attn_scalar": 256,
        "sliding_window": 4096, "attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0,
    }));
    let model = base(&config, LlamaLike::read(&config));
    let local = ViewSpec { window: window(&config), ..model.views[0].clone() };
    model.partly_windowed(&config, local, |layer| layer % 2 == 0).build(&config, builder)
}

/// What Gemma 2 and 3 share.
pub(super) fn base(config: &ConfigJson, model: LlamaLike) -> LlamaLike {
    let scale = config.positive("query_pre_attn_scalar").unwrap_or(256.0).powf(-0.5);
    LlamaLike {
        norms: NormNames::SANDWICH,
        scores: Scores { scale, softcap: config.positive("attn_logit_softcapping") },
        head_softcap: config.positive("final_logit_softcapping"),
        ..gemma::base(config, model)
    }
}
