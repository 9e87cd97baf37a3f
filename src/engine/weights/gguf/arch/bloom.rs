//! Bloom.

use serde_json::Value as Json;

use super::{Arch, Form, always, module, same};

pub const BLOOM: Arch = Arch {
    id: "bloom",
    families: &["bloom"],
    applies: always,
    modules: &[&[
        same("transformer.word_embeddings", "token_embd"),
        same("transformer.word_embeddings_layernorm", "token_embd_norm"),
        same("transformer.ln_f", "output_norm"),
        same("lm_head", "output"),
        same("transformer.h.{}.input_layernorm", "blk.{}.attn_norm"),
        module("transformer.h.{}.self_attention.query_key_value", "blk.{}.attn_qkv", Form::ByPart),
        same("transformer.h.{}.self_attention.dense", "blk.{}.attn_output"),
        same("transformer.h.{}.post_attention_layernorm", "blk.{}.ffn_norm"),
        same("transformer.h.{}.mlp.dense_h_to_4h", "blk.{}.ffn_up"),
        same("transformer.h.{}.mlp.dense_4h_to_h", "blk.{}.ffn_down"),
    ]],
    config: |reading, config| {
        reading.identity(config, "bloom", "BloomForCausalLM");
        let mut put = |key: &str, value: Json| config.insert(key.into(), value);
        put("hidden_size", reading.size("embedding_length").into());
        put("n_layer", reading.size("block_count").into());
        put("n_head", reading.size("attention.head_count").into());
        put("seq_length", reading.size("context_length").into());
        put("layer_norm_epsilon", reading.number("attention.layer_norm_epsilon").unwrap_or(1e-5).into());
    },
    metadata: |writing| {
        writing.sizes();
        writing.key_heads();
        writing.layer_norm_eps("layer_norm_epsilon", 1e-5);
        if writing.config_flag("apply_residual_connection_post_layernorm", false) {
            writing.refuse("residuals after the norm (`apply_residual_connection_post_layernorm`)".into());
        }
    },
};
