//! Falcon: the first models with one norm a block, the larger ones with two.

use serde_json::Value as Json;

use super::{Arch, Config, Form, Module, Reading, Writing, module, same};

const STEM: &[Module] = &[
    same("transformer.word_embeddings", "token_embd"),
    same("transformer.ln_f", "output_norm"),
    same("lm_head", "output"),
    module("transformer.h.{}.self_attention.query_key_value", "blk.{}.attn_qkv", Form::ByGroup),
    same("transformer.h.{}.self_attention.dense", "blk.{}.attn_output"),
    same("transformer.h.{}.mlp.dense_h_to_4h", "blk.{}.ffn_up"),
    same("transformer.h.{}.mlp.dense_4h_to_h", "blk.{}.ffn_down"),
];

pub const FALCON: Arch = Arch {
    id: "falcon",
    families: &["falcon"],
    applies: |reading| !reading.has("blk.0.attn_norm_2.weight"),
    modules: &[STEM, &[same("transformer.h.{}.input_layernorm", "blk.{}.attn_norm")]],
    config: |reading, config| described(reading, config, false),
    metadata,
};

pub const FALCON_NEW: Arch = Arch {
    id: "falcon",
    families: &["falcon"],
    applies: |reading| reading.has("blk.0.attn_norm_2.weight"),
    modules: &[
        STEM,
        &[
            same("transformer.h.{}.ln_mlp", "blk.{}.attn_norm"),
            same("transformer.h.{}.ln_attn", "blk.{}.attn_norm_2"),
        ],
    ],
    config: |reading, config| described(reading, config, true),
    metadata,
};

fn described(reading: &Reading<'_>, config: &mut Config, new: bool) {
    reading.base(config, "falcon", "FalconForCausalLM");
    let heads = reading.heads();
    let mut put = |key: &str, value: Json| config.insert(key.into(), value);
    put("num_kv_heads", heads.keys.into());
    put("ffn_hidden_size", reading.size("feed_forward_length").into());
    put("multi_query", (heads.keys == 1).into());
    put("new_decoder_architecture", new.into());
    put("parallel_attn", true.into());
    put("alibi", false.into());
    put("bias", reading.has("blk.0.attn_output.bias").into());
    put("layer_norm_epsilon", reading.number("attention.layer_norm_epsilon").unwrap_or(1e-5).into());
}

fn metadata(writing: &mut Writing<'_>) {
    writing.sizes();
    writing.key_heads();
    writing.text("tensor_data_layout", "jploski");
    writing.layer_norm_eps("layer_norm_epsilon", 1e-5);
    for (key, value) in [("alibi", false), ("parallel_attn", true)] {
        if writing.config_flag(key, value) != value {
            writing.refuse(format!("`{key}`: {}", !value));
        }
    }
    if writing.config_flag("bias", false) {
        writing.refuse("biases".into());
    }
    if let Some(theta) = writing.theta().filter(|theta| *theta != 10_000.0) {
        writing.number("rope.freq_base", theta);
    }
}
