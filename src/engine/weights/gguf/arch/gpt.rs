//! GPT-2, GPT-NeoX and StarCoder 2.

use serde_json::Value as Json;

use super::llama::{ATTENTION, STEM};
use super::{Arch, Form, always, module, same};

pub const GPT2: Arch = Arch {
    id: "gpt2",
    families: &["gpt2"],
    applies: always,
    modules: &[&[
        same("transformer.wte", "token_embd"),
        same("transformer.wpe", "position_embd"),
        same("transformer.ln_f", "output_norm"),
        same("lm_head", "output"),
        same("transformer.h.{}.ln_1", "blk.{}.attn_norm"),
        module("transformer.h.{}.attn.c_attn", "blk.{}.attn_qkv", Form::Transposed),
        module("transformer.h.{}.attn.c_proj", "blk.{}.attn_output", Form::Transposed),
        same("transformer.h.{}.ln_2", "blk.{}.ffn_norm"),
        module("transformer.h.{}.mlp.c_fc", "blk.{}.ffn_up", Form::Transposed),
        module("transformer.h.{}.mlp.c_proj", "blk.{}.ffn_down", Form::Transposed),
    ]],
    config: |reading, config| {
        reading.identity(config, "gpt2", "GPT2LMHeadModel");
        let mut put = |key: &str, value: Json| config.insert(key.into(), value);
        let positions = reading.tensors.get("position_embd.weight").and_then(|dims| dims.get(1)).copied();
        put("n_positions", positions.unwrap_or_else(|| reading.size("context_length")).into());
        put("n_embd", reading.size("embedding_length").into());
        put("n_inner", reading.size("feed_forward_length").into());
        put("n_layer", reading.size("block_count").into());
        put("n_head", reading.size("attention.head_count").into());
        put("layer_norm_epsilon", reading.number("attention.layer_norm_epsilon").unwrap_or(1e-5).into());
        put("activation_function", "gelu_new".into());
        // Some writers store the tied head a second time; then it is only a head of its own if it differs.
    },
    metadata: |writing| {
        writing.sizes();
        writing.layer_norm_eps("layer_norm_epsilon", 1e-5);
        writing.activation(
            &["activation_function"],
            &["gelu_new", "gelu_pytorch_tanh", "gelu_tanh", "gelu_fast"],
        );
        if !writing.config_flag("scale_attn_weights", true) {
            writing.refuse("attention without its scale (`scale_attn_weights`)".into());
        }
        if writing.config_flag("scale_attn_by_inverse_layer_idx", false) {
            writing.refuse("attention scaled by the layer (`scale_attn_by_inverse_layer_idx`)".into());
        }
    },
};

pub const GPTNEOX: Arch = Arch {
    id: "gptneox",
    families: &["gptneox", "gpt_neox"],
    applies: always,
    modules: &[&[
        same("gpt_neox.embed_in", "token_embd"),
        same("gpt_neox.final_layer_norm", "output_norm"),
        same("embed_out", "output"),
        same("gpt_neox.layers.{}.input_layernorm", "blk.{}.attn_norm"),
        same("gpt_neox.layers.{}.post_attention_layernorm", "blk.{}.ffn_norm"),
        module("gpt_neox.layers.{}.attention.query_key_value", "blk.{}.attn_qkv", Form::ByPart),
        same("gpt_neox.layers.{}.attention.dense", "blk.{}.attn_output"),
        same("gpt_neox.layers.{}.mlp.dense_h_to_4h", "blk.{}.ffn_up"),
        same("gpt_neox.layers.{}.mlp.dense_4h_to_h", "blk.{}.ffn_down"),
    ]],
    config: |reading, config| {
        reading.base(config, "gpt_neox", "GPTNeoXForCausalLM");
        let mut put = |key: &str, value: Json| config.insert(key.into(), value);
        put("layer_norm_eps", reading.number("attention.layer_norm_epsilon").unwrap_or(1e-5).into());
        put("use_parallel_residual", reading.flag("use_parallel_residual").unwrap_or(true).into());
        put("hidden_act", "gelu".into());
        let part = config.get("partial_rotary_factor").cloned().unwrap_or_else(|| 1.0.into());
        config.insert("rotary_pct".into(), part);
    },
    metadata: |writing| {
        writing.sizes();
        writing.whole("rope.dimension_count", writing.rotated());
        writing.number("rope.freq_base", writing.theta().unwrap_or(10_000.0));
        writing.flag("use_parallel_residual", writing.config_flag("use_parallel_residual", true));
        writing.layer_norm_eps("layer_norm_eps", 1e-5);
        writing.activation(&["hidden_act"], &["gelu", "gelu_new", "gelu_fast", "gelu_pytorch_tanh"]);
    },
};

pub const STARCODER2: Arch = Arch {
    id: "starcoder2",
    families: &["starcoder2"],
    applies: always,
    modules: &[
        STEM,
        ATTENTION,
        &[
            same("model.layers.{}.mlp.c_fc", "blk.{}.ffn_up"),
            same("model.layers.{}.mlp.c_proj", "blk.{}.ffn_down"),
        ],
    ],
    config: |reading, config| {
        reading.base(config, "starcoder2", "Starcoder2ForCausalLM");
        let mut put = |key: &str, value: Json| config.insert(key.into(), value);
        put("norm_epsilon", reading.number("attention.layer_norm_epsilon").unwrap_or(1e-5).into());
        put("hidden_act", "gelu_pytorch_tanh".into());
        put("use_bias", reading.has("blk.0.attn_q.bias").into());
    },
    metadata: |writing| {
        writing.base();
        writing.layer_norm_eps("norm_epsilon", 1e-5);
        writing.activation(&["hidden_act"], &["gelu_pytorch_tanh", "gelu_new", "gelu_tanh"]);
        writing.no_window();
    },
};
