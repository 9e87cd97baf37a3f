//! Command R.

use super::llama::{ATTENTION, GATED_MLP};
use super::qwen::HEAD_NORMS;
use super::{Arch, always, same};

pub const COHERE: Arch = Arch {
    id: "command-r",
    families: &["cohere"],
    applies: always,
    modules: &[
        &[
            same("model.embed_tokens", "token_embd"),
            same("model.norm", "output_norm"),
            same("model.layers.{}.input_layernorm", "blk.{}.attn_norm"),
        ],
        ATTENTION,
        HEAD_NORMS,
        GATED_MLP,
    ],
    config: |reading, config| {
        reading.base(config, "cohere", "CohereForCausalLM");
        config.insert("hidden_act".into(), "silu".into());
        config.insert("use_qk_norm".into(), reading.has("blk.0.attn_q_norm.weight").into());
        config.insert("logit_scale".into(), reading.number("logit_scale").unwrap_or(0.0625).into());
        let eps = reading.number("attention.layer_norm_epsilon").unwrap_or(1e-5);
        config.insert("layer_norm_eps".into(), eps.into());
    },
    metadata: |writing| {
        writing.base();
        writing.layer_norm_eps("layer_norm_eps", 1e-5);
        writing.activation(&["hidden_act"], &["silu", "swish"]);
        writing.number("logit_scale", writing.config_number("logit_scale", 0.0625));
        writing.text("rope.scaling.type", "none");
        if !writing.info.tied_head {
            writing.refuse("a head of its own".into());
        }
    },
};
