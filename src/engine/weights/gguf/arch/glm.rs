//! ChatGLM 2 and 3 and GLM-4 in their own spelling, GLM-4 in that of transformers, and GLM-4-0414.

use serde_json::{Value as Json, json};

use super::llama::{ATTENTION, STEM};
use super::{Arch, Module, Reading, Writing, always, same};

pub const CHATGLM: Arch = Arch {
    id: "chatglm",
    families: &["chatglm", "chatglm2", "chatglm3"],
    applies: |reading| reading.has("blk.0.attn_qkv.weight"),
    modules: &[&[
        same("transformer.embedding.word_embeddings", "token_embd"),
        same("transformer.encoder.final_layernorm", "output_norm"),
        same("transformer.output_layer", "output"),
        same("transformer.encoder.layers.{}.input_layernorm", "blk.{}.attn_norm"),
        same("transformer.encoder.layers.{}.self_attention.query_key_value", "blk.{}.attn_qkv"),
        same("transformer.encoder.layers.{}.self_attention.dense", "blk.{}.attn_output"),
        same("transformer.encoder.layers.{}.post_attention_layernorm", "blk.{}.ffn_norm"),
        same("transformer.encoder.layers.{}.mlp.dense_h_to_4h", "blk.{}.ffn_up"),
        same("transformer.encoder.layers.{}.mlp.dense_4h_to_h", "blk.{}.ffn_down"),
    ]],
    config: |reading, config| {
        reading.identity(config, "chatglm", "ChatGLMModel");
        let heads = reading.heads();
        let mut put = |key: &str, value: Json| config.insert(key.into(), value);
        put("padded_vocab_size", reading.vocabulary().into());
        put("num_layers", reading.size("block_count").into());
        put("hidden_size", reading.size("embedding_length").into());
        put("ffn_hidden_size", reading.size("feed_forward_length").into());
        put("kv_channels", reading.head_dim().into());
        put("num_attention_heads", heads.queries.into());
        put("multi_query_attention", (heads.keys != heads.queries).into());
        put("multi_query_group_num", heads.keys.into());
        put("seq_length", reading.size("context_length").into());
        put("layernorm_epsilon", eps(reading).into());
        put("rope_ratio", (reading.number("rope.freq_base").unwrap_or(BASE) / BASE).into());
        for (key, flag) in [
            ("rmsnorm", true),
            ("post_layer_norm", true),
            ("apply_residual_connection_post_layernorm", false),
            ("add_bias_linear", reading.has("blk.0.attn_output.bias")),
            ("add_qkv_bias", reading.has("blk.0.attn_qkv.bias")),
            ("original_rope", true),
        ] {
            put(key, flag.into());
        }
    },
    metadata: |writing| {
        writing.sizes();
        writing.key_heads();
        writing.rms_eps("layernorm_epsilon", 1e-5);
        writing.whole("rope.dimension_count", writing.rotated());
        writing.number("rope.freq_base", writing.theta().unwrap_or(BASE));
        for (key, value) in [
            ("rmsnorm", true),
            ("post_layer_norm", true),
            ("apply_residual_connection_post_layernorm", false),
        ] {
            if writing.config_flag(key, value) != value {
                writing.refuse(format!("`{key}`: {}", !value));
            }
        }
    },
};

const BASE: f64 = 10_000.0;
const FUSED_MLP: &[Module] = &[
    same("model.layers.{}.mlp.gate_up_proj", "blk.{}.ffn_up"),
    same("model.layers.{}.mlp.down_proj", "blk.{}.ffn_down"),
];

pub const GLM: Arch = Arch {
    id: "chatglm",
    families: &["glm"],
    applies: |reading| reading.has("blk.0.attn_q.weight"),
    modules: &[STEM, ATTENTION, FUSED_MLP],
    config: |reading, config| {
        reading.base(config, "glm", "GlmForCausalLM");
        common(reading, config);
    },
    metadata: |writing| {
        writing.sizes();
        writing.key_heads();
        writing.rms_eps("rms_norm_eps", 1.5625e-7);
        writing.activation(&["hidden_act"], &["silu", "swish"]);
        rotated(writing);
        writing.number("rope.freq_base", writing.theta().unwrap_or(BASE));
    },
};

pub const GLM4: Arch = Arch {
    id: "glm4",
    families: &["glm4"],
    applies: always,
    modules: &[
        STEM,
        ATTENTION,
        FUSED_MLP,
        &[
            same("model.layers.{}.post_self_attn_layernorm", "blk.{}.post_attention_norm"),
            same("model.layers.{}.post_mlp_layernorm", "blk.{}.post_ffw_norm"),
        ],
    ],
    config: |reading, config| {
        reading.base(config, "glm4", "Glm4ForCausalLM");
        common(reading, config);
    },
    metadata: |writing| {
        writing.base();
        writing.rms_eps("rms_norm_eps", 1.5625e-7);
        writing.activation(&["hidden_act"], &["silu", "swish"]);
        rotated(writing);
    },
};

fn eps(reading: &Reading<'_>) -> f64 {
    reading.number("attention.layer_norm_rms_epsilon").unwrap_or(1e-5)
}

fn common(reading: &Reading<'_>, config: &mut super::Config) {
    config.insert("hidden_act".into(), "silu".into());
    config.insert("attention_bias".into(), reading.has("blk.0.attn_q.bias").into());
    config.insert("head_dim".into(), reading.head_dim().into());
    config.entry("partial_rotary_factor").or_insert_with(|| json!(1.0));
}

fn rotated(writing: &mut Writing<'_>) {
    writing.whole("rope.dimension_count", writing.rotated());
    if writing.info.head_dim * writing.info.heads != writing.info.hidden {
        writing.head_lengths();
    }
}
