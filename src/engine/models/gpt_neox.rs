//! GPT-NeoX and Pythia (Black et al. 2022, arXiv:2204.06745): LayerNorm, rotary positions on a part of each head,
//! attention and feed-forward layer side by side. Tensor names and switches: transformers, `models/gpt_neox`.

use protocol::{Result, Text};
use serde_json::json;

use super::llama_like::{Biases, LlamaLike, MlpForm, Names, QkvForm};
use super::{Builder, ConfigJson, Decoder, Family, ModelInfo, NormKind, PrefixPositions};
use crate::nn::Activation;

pub const FAMILY: Family = Family {
    id: "gpt_neox",
    name: Text::fixed("GPT-NeoX", "GPT-NeoX"),
    help: Text::fixed("GPT-NeoX-20B, Pythia and others", "GPT-NeoX-20B、Pythia 等"),
    model_types: &["gpt_neox"],
    claims: |_| true,
    spellings: &[],
    default_targets: &["qkv"],
    ignorable: |name| {
        [".attention.bias", ".attention.masked_bias", "rotary_emb.inv_freq"]
            .iter()
            .any(|end| name.ends_with(end))
    },
    prefix: PrefixPositions::Shifted,
    build,
    tiny: r#"{ "model_type": "gpt_neox", "vocab_size": 96, "hidden_size": 32, "intermediate_size": 48,
        "num_hidden_layers": 2, "num_attention_heads": 4, "max_position_embeddings": 64, "rotary_pct": 0.5 }"#,
};

const NAMES: Names = Names {
    embedding: "gpt_neox.embed_in",
    layers: "gpt_neox.layers",
    qkv: "attention.query_key_value",
    output: "attention.dense",
    plain: ["mlp.dense_h_to_4h", "mlp.dense_4h_to_h"],
    norm: "gpt_neox.final_layer_norm",
    head: "embed_out",
    ..Names::LLAMA
};

fn build(config: &ConfigJson, builder: &mut Builder) -> Result<(Box<dyn Decoder>, ModelInfo)> {
    let config = config.with_defaults(&json!({
        "rope_theta": config.number_or("rotary_emb_base", 10_000.0),
        "partial_rotary_factor": config.number_or("rotary_pct", 0.25),
        "intermediate_size": 24576,
    }));
    let bias = config.flag("attention_bias", true);
    LlamaLike {
        names: NAMES,
        activation: config.activation(&["hidden_act"], Activation::GeluErf),
        biases: Biases { qkv: bias, output: bias, mlp: true, head: false },
        norm: NormKind::Layer { eps: config.number_or("layer_norm_eps", 1e-5), bias: true },
        qkv: QkvForm::Grouped,
        mlp: MlpForm::Plain,
        parallel: config.flag("use_parallel_residual", true),
        ..LlamaLike::read(&config)
    }
    .build(&config, builder)
}
