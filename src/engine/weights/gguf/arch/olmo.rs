//! OLMo 2.

use super::llama::{ATTENTION, GATED_MLP};
use super::qwen::HEAD_NORMS;
use super::{Arch, always, same};

pub const OLMO2: Arch = Arch {
    id: "olmo2",
    families: &["olmo2"],
    applies: always,
    modules: &[
        &[
            same("model.embed_tokens", "token_embd"),
            same("model.norm", "output_norm"),
            same("lm_head", "output"),
            same("model.layers.{}.post_attention_layernorm", "blk.{}.post_attention_norm"),
            same("model.layers.{}.post_feedforward_layernorm", "blk.{}.post_ffw_norm"),
        ],
        ATTENTION,
        HEAD_NORMS,
        GATED_MLP,
    ],
    config: |reading, config| {
        reading.base(config, "olmo2", "Olmo2ForCausalLM");
        config.insert("hidden_act".into(), "silu".into());
        config.insert("attention_bias".into(), reading.has("blk.0.attn_q.bias").into());
    },
    metadata: |writing| {
        writing.base();
        writing.rms_eps("rms_norm_eps", 1e-5);
        writing.activation(&["hidden_act"], &["silu", "swish"]);
        if writing.config_whole("sliding_window").is_some() {
            writing.refuse("a sliding window".into());
        }
    },
};
