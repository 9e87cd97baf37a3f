//! Phi 3, 3.5 and 4.

use serde_json::Value as Json;

use super::llama::STEM;
use super::{Arch, Writing, always, same};

pub const PHI3: Arch = Arch {
    id: "phi3",
    families: &["phi3"],
    applies: always,
    modules: &[
        STEM,
        &[
            same("model.layers.{}.self_attn.qkv_proj", "blk.{}.attn_qkv"),
            same("model.layers.{}.self_attn.o_proj", "blk.{}.attn_output"),
            same("model.layers.{}.mlp.gate_up_proj", "blk.{}.ffn_up"),
            same("model.layers.{}.mlp.down_proj", "blk.{}.ffn_down"),
        ],
    ],
    config: |reading, config| {
        reading.base(config, "phi3", "Phi3ForCausalLM");
        config.insert("hidden_act".into(), "silu".into());
        let original = reading.whole("rope.scaling.original_context_length");
        if let Some(original) = original {
            config.insert("original_max_position_embeddings".into(), original.into());
        }
        // 0 says that there is none (Phi 4).
        let window = reading.whole("attention.sliding_window").filter(|window| *window > 0);
        config.insert("sliding_window".into(), window.map_or(Json::Null, Json::from));
    },
    metadata,
};

fn metadata(writing: &mut Writing<'_>) {
    writing.sizes();
    writing.key_heads();
    writing.activation(&["hidden_act"], &["silu", "swish"]);
    writing.rms_eps("rms_norm_eps", 1e-5);
    let context = writing.info.context as f64;
    let long = writing.long_rope();
    let said = || writing.config_number("original_max_position_embeddings", 4096.0);
    let original = long.as_ref().map_or_else(said, |long| long.original as f64);
    writing.whole("rope.scaling.original_context_length", original as u64);
    writing.whole("rope.dimension_count", writing.rotated());
    writing.number("rope.freq_base", writing.theta().unwrap_or(10_000.0));
    writing.whole("attention.sliding_window", writing.config_whole("sliding_window").unwrap_or(0));
    if let Some(long) = long {
        let factor = context / original;
        let attention = if factor > 1.0 { (1.0 + factor.ln() / original.ln()).sqrt() } else { 1.0 };
        writing.number("rope.scaling.attn_factor", attention);
        writing.long_factors(&long);
    }
    writing.no_window();
}
