//! Gemma 1, 2 and 3 (text). Gains are stored with 1 added.

use serde_json::Value as Json;

use super::llama::{ATTENTION, GATED_MLP};
use super::{Arch, Config, Form, Module, Reading, Writing, always, module, same};

const STEM: &[Module] = &[
    same("model.embed_tokens", "token_embd"),
    module("model.norm", "output_norm", Form::PlusOne),
    module("model.layers.{}.input_layernorm", "blk.{}.attn_norm", Form::PlusOne),
];
/// Around both halves of a block.
const SANDWICH: &[Module] = &[
    module("model.layers.{}.post_attention_layernorm", "blk.{}.post_attention_norm", Form::PlusOne),
    module("model.layers.{}.pre_feedforward_layernorm", "blk.{}.ffn_norm", Form::PlusOne),
    module("model.layers.{}.post_feedforward_layernorm", "blk.{}.post_ffw_norm", Form::PlusOne),
];

pub const GEMMA: Arch = Arch {
    id: "gemma",
    families: &["gemma"],
    applies: always,
    modules: &[
        STEM,
        &[module("model.layers.{}.post_attention_layernorm", "blk.{}.ffn_norm", Form::PlusOne)],
        ATTENTION,
        GATED_MLP,
    ],
    config: |reading, config| {
        reading.base(config, "gemma", "GemmaForCausalLM");
        activation(config);
    },
    metadata: plain,
};

pub const GEMMA2: Arch = Arch {
    id: "gemma2",
    families: &["gemma2"],
    applies: always,
    modules: &[STEM, SANDWICH, ATTENTION, GATED_MLP],
    config: |reading, config| {
        reading.base(config, "gemma2", "Gemma2ForCausalLM");
        activation(config);
        config.insert("query_pre_attn_scalar".into(), scalar(reading, LARGE_GEMMA2).into());
        config.insert(
            "sliding_window".into(),
            reading.whole("attention.sliding_window").unwrap_or(4096).into(),
        );
        layer_types(reading, config, 2);
        let cap = |key: &str| reading.number(key).map_or(Json::Null, Json::from);
        config.insert("attn_logit_softcapping".into(), cap("attn_logit_softcapping"));
        config.insert("final_logit_softcapping".into(), cap("final_logit_softcapping"));
    },
    metadata: |writing| {
        plain(writing);
        scale_is_known(writing, LARGE_GEMMA2);
        layers_alternate(writing, 2);
        writing.number("attn_logit_softcapping", writing.config_number("attn_logit_softcapping", 50.0));
        writing.number("final_logit_softcapping", writing.config_number("final_logit_softcapping", 30.0));
        writing.whole("attention.sliding_window", writing.config_whole("sliding_window").unwrap_or(4096));
    },
};

pub const GEMMA3: Arch = Arch {
    id: "gemma3",
    families: &["gemma3"],
    applies: always,
    modules: &[
        STEM,
        SANDWICH,
        &[
            module("model.layers.{}.self_attn.q_norm", "blk.{}.attn_q_norm", Form::PlusOne),
            module("model.layers.{}.self_attn.k_norm", "blk.{}.attn_k_norm", Form::PlusOne),
        ],
        ATTENTION,
        GATED_MLP,
    ],
    config: |reading, config| {
        reading.base(config, "gemma3_text", "Gemma3ForCausalLM");
        activation(config);
        if !reading.metadata.entries().iter().any(|(key, _)| key == "gemma3.rope.freq_base") {
            config.insert("rope_theta".into(), 1_000_000.0.into());
        }
        let local = reading.number("rope.freq_base_swa").unwrap_or(10_000.0);
        config.insert("rope_local_base_freq".into(), local.into());
        config.insert("query_pre_attn_scalar".into(), scalar(reading, LARGE_GEMMA3).into());
        if let Some(window) = reading.whole("attention.sliding_window") {
            config.insert("sliding_window".into(), window.into());
            layer_types(reading, config, 6);
        }
        let cap = reading.number("final_logit_softcapping").map_or(Json::Null, Json::from);
        config.insert("final_logit_softcapping".into(), cap);
    },
    metadata: |writing| {
        plain(writing);
        scale_is_known(writing, LARGE_GEMMA3);
        layers_alternate(writing, 6);
        writing.rope();
        if let Some(local) = writing.local_theta() {
            writing.number("rope.freq_base_swa", local);
        }
        if let Some(cap) = writing.config.get("final_logit_softcapping").and_then(Json::as_f64) {
            writing.number("final_logit_softcapping", cap);
        }
        writing.whole("attention.sliding_window", writing.config_whole("sliding_window").unwrap_or(4096));
    },
};

/// The numbers of blocks by which llama.cpp tells the 27B models, which scale queries by another size.
const LARGE_GEMMA2: u64 = 46;
const LARGE_GEMMA3: u64 = 62;

fn activation(config: &mut Config) {
    config.insert("hidden_act".into(), "gelu_pytorch_tanh".into());
    config.insert("hidden_activation".into(), "gelu_pytorch_tanh".into());
    config.insert("tie_word_embeddings".into(), true.into());
}

fn scalar(reading: &Reading<'_>, large: u64) -> u64 {
    match reading.size("block_count") == large {
        true => reading.size("embedding_length") / reading.size("attention.head_count").max(1),
        false => reading.head_dim(),
    }
}

/// The sizes that all three have.
fn plain(writing: &mut Writing<'_>) {
    writing.sizes();
    writing.key_heads();
    writing.rms_eps("rms_norm_eps", 1e-6);
    writing.head_lengths();
    writing.activation(&["hidden_activation"], &["gelu_pytorch_tanh", "gelu_tanh", "gelu_new", "gelu"]);
    if !writing.info.tied_head {
        writing.refuse("a head of its own".into());
    }
}

fn scale_is_known(writing: &mut Writing<'_>, large: u64) {
    let info = writing.info;
    let expected =
        if info.num_layers as u64 == large { info.hidden / info.heads } else { info.head_dim } as f64;
    let scalar = writing.config_number("query_pre_attn_scalar", 256.0);
    if scalar != expected {
        writing.refuse(format!("`query_pre_attn_scalar` {scalar}: it expects {expected}"));
    }
}

/// llama.cpp lets every `period`th block attend to everything and the others to a window, unless the file says which.
fn layers_alternate(writing: &mut Writing<'_>, period: usize) {
    let blocks = writing.info.num_layers;
    let own_period =
        writing.config_whole("sliding_window_pattern").map_or(period, |period| period.max(1) as usize);
    let kinds = writing.config.get("layer_types").and_then(Json::as_array);
    let windowed: Vec<bool> = match kinds {
        Some(kinds) => kinds.iter().map(|kind| kind.as_str() != Some("full_attention")).collect(),
        None => (0..blocks).map(|layer| (layer + 1) % own_period != 0).collect(),
    };
    if windowed.iter().enumerate().any(|(layer, windowed)| *windowed != ((layer + 1) % period != 0)) {
        writing.flags("attention.sliding_window_pattern", windowed);
    }
}

/// The same way back.
fn layer_types(reading: &Reading<'_>, config: &mut Config, period: u64) {
    let kind = |windowed: bool| if windowed { "sliding_attention" } else { "full_attention" };
    let said = reading.flags("attention.sliding_window_pattern").map(<[bool]>::to_vec);
    let blocks = reading.size("block_count").min(10_000);
    let windowed = said.unwrap_or_else(|| (0..blocks).map(|layer| (layer + 1) % period != 0).collect());
    config.insert("layer_types".into(), windowed.into_iter().map(kind).collect());
}
