//! Llama and what is built like it: Mistral, MiniCPM, Baichuan.

use serde_json::json;

use super::{Arch, Config, Form, Module, Reading, Writing, always, module, same};

/// What all models in the spelling of Llama have.
pub(super) const STEM: &[Module] = &[
    same("model.embed_tokens", "token_embd"),
    same("model.norm", "output_norm"),
    same("lm_head", "output"),
    same("model.layers.{}.input_layernorm", "blk.{}.attn_norm"),
    same("model.layers.{}.post_attention_layernorm", "blk.{}.ffn_norm"),
];
pub(super) const GATED_MLP: &[Module] = &[
    same("model.layers.{}.mlp.gate_proj", "blk.{}.ffn_gate"),
    same("model.layers.{}.mlp.up_proj", "blk.{}.ffn_up"),
    same("model.layers.{}.mlp.down_proj", "blk.{}.ffn_down"),
];
pub(super) const ATTENTION: &[Module] = &[
    same("model.layers.{}.self_attn.q_proj", "blk.{}.attn_q"),
    same("model.layers.{}.self_attn.k_proj", "blk.{}.attn_k"),
    same("model.layers.{}.self_attn.v_proj", "blk.{}.attn_v"),
    same("model.layers.{}.self_attn.o_proj", "blk.{}.attn_output"),
];
/// The same with rows in llama.cpp's order.
const ROTARY_ATTENTION: &[Module] = &[
    module("model.layers.{}.self_attn.q_proj", "blk.{}.attn_q", Form::Queries),
    module("model.layers.{}.self_attn.k_proj", "blk.{}.attn_k", Form::Keys),
    same("model.layers.{}.self_attn.v_proj", "blk.{}.attn_v"),
    same("model.layers.{}.self_attn.o_proj", "blk.{}.attn_output"),
];

pub const LLAMA: Arch = Arch {
    id: "llama",
    families: &["llama", "mistral"],
    applies: always,
    modules: &[STEM, ROTARY_ATTENTION, GATED_MLP],
    config: |reading, config| {
        reading.base(config, "llama", "LlamaForCausalLM");
        rotated_head(reading, config);
        config.insert("hidden_act".into(), "silu".into());
        config.insert("attention_bias".into(), reading.has("blk.0.attn_q.bias").into());
        config.insert("mlp_bias".into(), reading.has("blk.0.ffn_up.bias").into());
        experts(reading);
    },
    metadata: |writing| {
        llama_like(writing);
        writing.no_window();
    },
};

/// What llama.cpp asks of this layout and of its relatives.
fn llama_like(writing: &mut Writing<'_>) {
    writing.base();
    writing.rms_eps("rms_norm_eps", 1e-6);
    writing.activation(&["hidden_act"], &["silu", "swish"]);
    writing.whole("vocab_size", writing.info.vocabulary as u64);
    writing.whole("rope.dimension_count", writing.rotated());
}

/// The length of a head that only the rotary embedding tells, where files lack the key for it.
fn rotated_head(reading: &Reading<'_>, config: &mut Config) {
    if let Some(rotated) = reading.whole("rope.dimension_count")
        && !config.contains_key("head_dim")
    {
        config.remove("partial_rotary_factor");
        config.insert("head_dim".into(), rotated.into());
    }
}

fn experts(reading: &Reading<'_>) {
    if let Some(count) = reading.whole("expert_count").filter(|count| *count > 0) {
        reading.problem(format!("the model has {count} experts, which are not read from GGUF"));
    }
}

/// Three scales besides, which llama.cpp takes from the metadata.
pub const MINICPM: Arch = Arch {
    id: "minicpm",
    families: &["minicpm"],
    applies: always,
    modules: LLAMA.modules,
    config: |reading, config| {
        reading.base(config, "minicpm", "MiniCPMForCausalLM");
        config.insert("hidden_act".into(), "silu".into());
        let hidden = reading.size("embedding_length") as f64;
        let depth = (reading.size("block_count") as f64).sqrt();
        let scale = |key: &str, default: f64| reading.number(key).unwrap_or(default);
        config.insert("scale_emb".into(), scale("embedding_scale", 12.0).into());
        let residual = scale("residual_scale", 1.4 / depth) * depth;
        config.insert("scale_depth".into(), tidy(residual).into());
        let base = hidden / scale("logit_scale", hidden / 256.0);
        config.insert("dim_model_base".into(), json!(base.round() as u64));
    },
    metadata: |writing| {
        writing.base();
        writing.rms_eps("rms_norm_eps", 1e-6);
        writing.activation(&["hidden_act"], &["silu", "swish"]);
        let (hidden, depth) = (writing.info.hidden as f64, (writing.info.num_layers as f64).sqrt());
        let number = |key: &str, default: f64| writing.config_number(key, default);
        let scales =
            (number("scale_emb", 1.0), number("scale_depth", depth), number("dim_model_base", hidden));
        writing.number("embedding_scale", scales.0);
        writing.number("residual_scale", scales.1 / depth);
        writing.number("logit_scale", hidden / scales.2);
    },
};

/// Four factors besides.
pub const GRANITE: Arch = Arch {
    id: "granite",
    families: &["granite"],
    applies: always,
    modules: LLAMA.modules,
    config: |reading, config| {
        reading.base(config, "granite", "GraniteForCausalLM");
        config.insert("hidden_act".into(), "silu".into());
        config.insert("attention_bias".into(), reading.has("blk.0.attn_q.bias").into());
        for (key, name) in GRANITE_FACTORS {
            config.insert(key.into(), reading.number(name).unwrap_or(1.0).into());
        }
        experts(reading);
    },
    metadata: |writing| {
        llama_like(writing);
        for (key, name) in GRANITE_FACTORS {
            writing.number(name, writing.config_number(key, 1.0));
        }
    },
};

const GRANITE_FACTORS: [(&str, &str); 4] = [
    ("attention_multiplier", "attention.scale"),
    ("embedding_multiplier", "embedding_scale"),
    ("residual_multiplier", "residual_scale"),
    ("logits_scaling", "logit_scale"),
];

/// A number that went through f32, without the digits it got there.
fn tidy(number: f64) -> f64 {
    let rounded = (number * 1e5).round() / 1e5;
    if (rounded - number).abs() < 1e-6 { rounded } else { number }
}

/// Queries, keys and values in one matrix, which llama.cpp takes apart. It tells ALiBi by the number of blocks.
pub const BAICHUAN: Arch = Arch {
    id: "baichuan",
    families: &["baichuan"],
    applies: always,
    modules: &[
        STEM_OF_BAICHUAN,
        GATED_MLP,
        &[
            Module {
                hf: "model.layers.{}.self_attn.W_pack",
                gguf: "blk.{}.attn_q",
                form: Form::Queries,
                part: (0, 3),
            },
            Module {
                hf: "model.layers.{}.self_attn.W_pack",
                gguf: "blk.{}.attn_k",
                form: Form::Keys,
                part: (1, 3),
            },
            Module {
                hf: "model.layers.{}.self_attn.W_pack",
                gguf: "blk.{}.attn_v",
                form: Form::Plain,
                part: (2, 3),
            },
            same("model.layers.{}.self_attn.o_proj", "blk.{}.attn_output"),
        ],
    ],
    config: |reading, config| {
        reading.base(config, "baichuan", "BaichuanForCausalLM");
        config.insert("hidden_act".into(), "silu".into());
        if reading.size("block_count") == ALIBI_BLOCKS {
            let length = config.remove("max_position_embeddings");
            config.insert("model_max_length".into(), length.unwrap_or_default());
        }
    },
    metadata: |writing| {
        writing.base();
        writing.rms_eps("rms_norm_eps", 1e-6);
        writing.activation(&["hidden_act"], &["silu", "swish"]);
        let alibi = writing.info.views.iter().all(|view| view.rope.is_none());
        let blocks = writing.info.num_layers as u64;
        if alibi != (blocks == ALIBI_BLOCKS) {
            writing.refuse(format!(
                "{} with {blocks} blocks: it takes exactly those with {ALIBI_BLOCKS} for ALiBi",
                if alibi { "ALiBi" } else { "a rotary embedding" }
            ));
        }
        // The second generation scales the rows of its head; it is told as the family tells it.
        writing.unit_rows =
            writing.config.contains_key("z_loss_weight") || writing.info.vocabulary == 125_696;
        writing.text("tensor_data_layout", "Meta AI original pth");
        writing.whole("rope.dimension_count", writing.info.head_dim as u64);
    },
};

const ALIBI_BLOCKS: u64 = 40;
const STEM_OF_BAICHUAN: &[Module] = &[
    same("model.embed_tokens", "token_embd"),
    same("model.norm", "output_norm"),
    module("lm_head", "output", Form::UnitRows),
    same("model.layers.{}.input_layernorm", "blk.{}.attn_norm"),
    same("model.layers.{}.post_attention_layernorm", "blk.{}.ffn_norm"),
];
