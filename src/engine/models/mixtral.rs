//! Mixtral 8x7B and 8x22B (Jiang et al. 2024, arXiv:2401.04088): Mistral with a mixture of experts in every layer.
//! Tensor names and defaults: transformers, `models/mixtral`.

use protocol::{Result, Text};
use serde_json::json;

use super::build::GatedNames;
use super::experts::Experts;
use super::llama_like::LlamaLike;
use super::{Builder, ConfigJson, Decoder, Family, ModelInfo, PrefixPositions};

pub const FAMILY: Family = Family {
    id: "mixtral",
    name: Text::fixed("Mixtral", "Mixtral"),
    help: Text::fixed(
        "Mixtral 8x7B, 8x22B and their descendants: mixtures of experts",
        "Mixtral 8x7B、8x22B 及其衍生模型：混合专家",
    ),
    model_types: &["mixtral"],
    claims: |_| true,
    spellings: &[("model.", "")],
    default_targets: &["q", "v"],
    ignorable: |name| name.ends_with("rotary_emb.inv_freq"),
    prefix: PrefixPositions::Shifted,
    build,
    tiny: r#"{ "model_type": "mixtral", "vocab_size": 96, "hidden_size": 32, "intermediate_size": 48,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64,
        "num_local_experts": 4, "num_experts_per_tok": 2 }"#,
};

fn build(config: &ConfigJson, builder: &mut Builder) -> Result<(Box<dyn Decoder>, ModelInfo)> {
    let config = config.with_defaults(&json!({
        "num_key_value_heads": 8, "intermediate_size": 14336, "max_position_embeddings": 131_072,
        "rms_norm_eps": 1e-5, "rope_theta": 1e6, "num_local_experts": 8, "num_experts_per_tok": 2,
    }));
    let model = LlamaLike::read(&config).windowed(&config);
    let experts = Experts {
        count: config.count("num_local_experts"),
        chosen: config.size("num_experts_per_tok"),
        inner: model.sizes.inner,
        normalised: true,
        shared: None,
        module: "block_sparse_moe",
        names: GatedNames { gate: "w1", up: "w3", down: "w2" },
        sparse: vec![true; model.sizes.layers],
    };
    experts.check(&config);
    LlamaLike { experts: Some(experts), ..model }.build(&config, builder)
}
