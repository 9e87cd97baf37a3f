//! Falcon (Almazrouei et al. 2023, arXiv:2311.16867): 7B with one key head, 40B, 180B and 11B with groups of them, RW
//! with ALiBi. Tensor names and switches: transformers, `models/falcon`.

use protocol::{Result, Text};

use super::llama_like::{Biases, LlamaLike, MlpForm, Names, NormNames, QkvForm, Sizes};
use super::{Builder, ConfigJson, Decoder, Family, ModelInfo, NormKind, PrefixPositions};
use crate::nn::{Activation, KeyBias, ViewSpec, alibi_slopes};

pub const FAMILY: Family = Family {
    id: "falcon",
    name: Text::fixed("Falcon", "Falcon"),
    help: Text::fixed(
        "Falcon and Falcon 2, from 1 B to 180 B parameters",
        "Falcon 与 Falcon 2，10 亿到 1800 亿参数",
    ),
    model_types: &["falcon"],
    claims: |_| true,
    spellings: &[],
    default_targets: &["qkv"],
    ignorable: |name| name.ends_with("rotary_emb.inv_freq"),
    prefix: PrefixPositions::Shifted,
    build,
    tiny: r#"{ "model_type": "falcon", "vocab_size": 96, "hidden_size": 48, "num_hidden_layers": 2,
        "num_attention_heads": 6, "num_kv_heads": 2, "new_decoder_architecture": true, "max_position_embeddings": 64 }"#,
};

const NAMES: Names = Names {
    embedding: "transformer.word_embeddings",
    layers: "transformer.h",
    qkv: "self_attention.query_key_value",
    output: "self_attention.dense",
    plain: ["mlp.dense_h_to_4h", "mlp.dense_4h_to_h"],
    norm: "transformer.ln_f",
    ..Names::LLAMA
};

fn build(config: &ConfigJson, builder: &mut Builder) -> Result<(Box<dyn Decoder>, ModelInfo)> {
    let new = config.flag("new_decoder_architecture", false);
    let one_key = !new && config.flag("multi_query", true);
    let sizes = sizes(config, new, one_key);
    let bias = config.flag("bias", false);
    let parallel = config.flag("parallel_attn", true);
    let view = view(config, &sizes);
    LlamaLike {
        names: NAMES,
        activation: config.activation(&["activation"], Activation::GeluErf),
        biases: Biases { qkv: bias, output: bias, mlp: bias, head: false },
        norm: NormKind::Layer { eps: config.number_or("layer_norm_epsilon", 1e-5), bias: true },
        norms: norms(config, new, parallel),
        qkv: if one_key { QkvForm::Fused } else { QkvForm::Grouped },
        mlp: MlpForm::Plain,
        parallel,
        ..LlamaLike::seeing(config, sizes, view)
    }
    .build(config, builder)
}

fn sizes(config: &ConfigJson, new: bool, one_key: bool) -> Sizes {
    let hidden = config.size("hidden_size");
    let heads = config.count("num_attention_heads");
    let kv_heads = match (new, one_key) {
        (true, _) => config.size_or("num_kv_heads", heads),
        (false, true) => 1,
        (false, false) => heads,
    };
    if !hidden.is_multiple_of(heads) || !heads.is_multiple_of(kv_heads) {
        config
            .problem(format!("a hidden size of {hidden} for {heads} heads that share {kv_heads} key heads"));
    }
    Sizes {
        vocabulary: config.size("vocab_size"),
        layers: config.count("num_hidden_layers"),
        hidden,
        inner: config.size_or("ffn_hidden_size", 4 * hidden),
        heads,
        kv_heads,
        head_dim: (hidden / heads).max(1),
        context: config.size_or("max_position_embeddings", 2048),
        tied: config.flag("tie_word_embeddings", true),
    }
}

fn view(config: &ConfigJson, sizes: &Sizes) -> ViewSpec {
    if !config.flag("alibi", false) {
        return ViewSpec::rotated(config.rope(sizes.head_dim, 10_000.0));
    }
    // The biases are divided as the scores are.
    let factor = (sizes.head_dim as f64).powf(-0.5) as f32;
    let slopes = alibi_slopes(sizes.heads).into();
    ViewSpec { key_bias: Some(KeyBias { slopes, factor }), ..ViewSpec::default() }
}

fn norms(config: &ConfigJson, new: bool, parallel: bool) -> NormNames {
    let count = config.size_or("num_ln_in_parallel_attn", if new { 2 } else { 1 });
    match (new, parallel, count) {
        (true, true, 2) => {
            NormNames { pre_attention: Some("ln_attn"), pre_mlp: Some("ln_mlp"), ..NormNames::PRE }
        }
        (_, true, 1) => NormNames { pre_mlp: None, ..NormNames::PRE },
        (false, false, _) => NormNames::PRE,
        _ => {
            config.problem(format!(
                "`new_decoder_architecture` {new}, `parallel_attn` {parallel} and \
                 `num_ln_in_parallel_attn` {count} do not go together"
            ));
            NormNames::PRE
        }
    }
}
