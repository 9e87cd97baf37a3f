//! Phi-1, Phi-1.5, Phi-2 (Gunasekar et al. 2023, arXiv:2306.11644): one LayerNorm for attention and feed-forward layer
//! side by side, biases everywhere, rotary positions on a part of each head. Tensor names and switches: transformers,
//! `models/phi`.

use protocol::{Result, Text};
use serde_json::json;

use super::llama_like::{Biases, LlamaLike, MlpForm, Names, NormNames, QkNorms};
use super::{Builder, ConfigJson, Decoder, Family, ModelInfo, NormKind, PrefixPositions};
use crate::nn::Activation;

pub const FAMILY: Family = Family {
    id: "phi",
    name: Text::fixed("Phi", "Phi"),
    help: Text::fixed("Phi-1, Phi-1.5 and Phi-2", "Phi-1、Phi-1.5 和 Phi-2"),
    model_types: &["phi"],
    claims: |_| true,
    spellings: &[],
    default_targets: &["q", "v", "up", "down"],
    ignorable: |name| name.ends_with("rotary_emb.inv_freq"),
    prefix: PrefixPositions::Shifted,
    build,
    tiny: r#"{ "model_type": "phi", "vocab_size": 96, "hidden_size": 32, "intermediate_size": 48,
        "num_hidden_layers": 2, "num_attention_heads": 4, "max_position_embeddings": 64, "qk_layernorm": true }"#,
};

const NAMES: Names = Names {
    output: "self_attn.dense",
    q_norm: "self_attn.q_layernorm",
    k_norm: "self_attn.k_layernorm",
    plain: ["mlp.fc1", "mlp.fc2"],
    norm: "model.final_layernorm",
    ..Names::LLAMA
};

fn build(config: &ConfigJson, builder: &mut Builder) -> Result<(Box<dyn Decoder>, ModelInfo)> {
    let config = config.with_defaults(&json!({ "partial_rotary_factor": 0.5, "intermediate_size": 8192 }));
    if config.flag("tie_word_embeddings", false) {
        config.problem("a tied head with a bias is not known".into());
    }
    LlamaLike {
        names: NAMES,
        activation: config.activation(&["hidden_act"], Activation::GeluTanh),
        biases: Biases { qkv: true, output: true, mlp: true, head: true },
        norm: NormKind::Layer { eps: config.number_or("layer_norm_eps", 1e-5), bias: true },
        norms: NormNames { pre_mlp: None, ..NormNames::PRE },
        qk_norms: if config.flag("qk_layernorm", false) { QkNorms::PerHead } else { QkNorms::None },
        mlp: MlpForm::Plain,
        parallel: true,
        ..LlamaLike::read(&config)
    }
    .build(&config, builder)
}
