//! Qwen 2, 2.5 and 3, dense.

use super::llama::{ATTENTION, GATED_MLP, STEM};
use super::{Arch, Module, Writing, always, same};

/// Norms of each head's queries and keys.
pub(super) const HEAD_NORMS: &[Module] = &[
    same("model.layers.{}.self_attn.q_norm", "blk.{}.attn_q_norm"),
    same("model.layers.{}.self_attn.k_norm", "blk.{}.attn_k_norm"),
];

pub const QWEN2: Arch = Arch {
    id: "qwen2",
    families: &["qwen2"],
    applies: always,
    modules: &[STEM, ATTENTION, GATED_MLP],
    config: |reading, config| {
        reading.base(config, "qwen2", "Qwen2ForCausalLM");
        config.insert("hidden_act".into(), "silu".into());
        config.insert("use_sliding_window".into(), false.into());
    },
    metadata: |writing| {
        plain(writing);
    },
};

pub const QWEN3: Arch = Arch {
    id: "qwen3",
    families: &["qwen3"],
    applies: always,
    modules: &[STEM, ATTENTION, HEAD_NORMS, GATED_MLP],
    config: |reading, config| {
        reading.base(config, "qwen3", "Qwen3ForCausalLM");
        config.insert("hidden_act".into(), "silu".into());
        config.insert("attention_bias".into(), reading.has("blk.0.attn_q.bias").into());
        config.insert("use_sliding_window".into(), false.into());
    },
    metadata: |writing| {
        plain(writing);
    },
};

fn plain(writing: &mut Writing<'_>) {
    writing.base();
    writing.rms_eps("rms_norm_eps", 1e-6);
    writing.activation(&["hidden_act"], &["silu", "swish"]);
    writing.no_window();
}
