//! Llama 1, 2, 3, 3.1, 3.2, 3.3 (Touvron et al. 2023, arXiv:2302.13971; Dubey et al. 2024,
//! arXiv:2407.21783): RMSNorm, rotary embedding, grouped keys, SwiGLU.
//! Tensor names and switches: transformers, `models/llama`.

use burn::tensor::{Int, Tensor};
use protocol::{Result, Text};

use super::build::LinearShape;
use super::{Builder, ConfigJson, Decoder, Family, ModelInfo};
use crate::nn::{Activation, Attention, Embedding, GatedMlp, Norm, Pass, Proj, QkvProj, Role};

pub const FAMILY: Family = Family {
    id: "llama",
    name: Text::fixed("Llama", "Llama"),
    help: Text::fixed("Llama 1, 2, 3 and their many descendants", "Llama 1、2、3 及其众多衍生模型"),
    model_types: &["llama"],
    optional_prefix: "model.",
    default_targets: &["q", "v"],
    ignorable: |name| name.ends_with("rotary_emb.inv_freq"),
    build,
};

struct Llama {
    embed: Embedding,
    blocks: Vec<Block>,
    norm: Norm,
    head: Proj,
}

struct Block {
    input_norm: Norm,
    attention: Attention,
    post_norm: Norm,
    mlp: GatedMlp,
}

struct Sizes {
    hidden: usize,
    inner: usize,
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
    eps: f64,
    attention_bias: bool,
    mlp_bias: bool,
    activation: Activation,
}

fn sizes(config: &ConfigJson) -> Sizes {
    let hidden = config.size("hidden_size");
    let heads = config.size("num_attention_heads");
    let kv_heads = config.size_or("num_key_value_heads", heads);
    if !heads.is_multiple_of(kv_heads) {
        config.problem(format!("{heads} query heads cannot share {kv_heads} key heads evenly"));
    }
    if !hidden.is_multiple_of(heads) && config.raw().get("head_dim").is_none_or(serde_json::Value::is_null) {
        config.problem(format!("a hidden size of {hidden} is not divisible by {heads} heads"));
    }
    let name = config.text_or("hidden_act", "silu");
    let activation = Activation::from_name(name).unwrap_or_else(|| {
        config.problem(format!("activation `{name}` is not known"));
        Activation::Silu
    });
    Sizes {
        hidden,
        inner: config.size("intermediate_size"),
        heads,
        kv_heads,
        head_dim: config.size_or("head_dim", (hidden / heads).max(1)),
        eps: config.number_or("rms_norm_eps", 1e-6),
        attention_bias: config.flag("attention_bias", false),
        mlp_bias: config.flag("mlp_bias", false),
        activation,
    }
}

fn build(config: &ConfigJson, builder: &mut Builder) -> Result<(Box<dyn Decoder>, ModelInfo)> {
    let sizes = sizes(config);
    let vocabulary = config.size("vocab_size");
    let num_layers = config.size("num_hidden_layers");
    let tied = config.flag("tie_word_embeddings", false);
    let rope = config.rope(sizes.head_dim, 10_000.0);
    config.finish()?;
    let embed = builder.embedding("model.embed_tokens", vocabulary, sizes.hidden);
    let blocks = (0..num_layers).map(|layer| block(builder, &sizes, layer)).collect();
    let norm = builder.rms_norm("model.norm", sizes.hidden, sizes.eps);
    let head = builder.head(tied.then_some(&embed), sizes.hidden, vocabulary);
    let info = ModelInfo {
        num_layers,
        hidden: sizes.hidden,
        inner: sizes.inner,
        vocabulary,
        heads: sizes.heads,
        kv_heads: sizes.kv_heads,
        head_dim: sizes.head_dim,
        context: config.size_or("max_position_embeddings", 2048),
        learned_positions: false,
        tied_head: tied,
        rope: Some(rope),
        initializer_range: config.number_or("initializer_range", 0.02),
    };
    Ok((Box::new(Llama { embed, blocks, norm, head }), info))
}

fn block(builder: &mut Builder, sizes: &Sizes, layer: usize) -> Block {
    let path = format!("model.layers.{layer}");
    let mut linear = |name: &str, inputs, outputs, bias, role| {
        builder.linear(format!("{path}.{name}"), LinearShape { inputs, outputs, bias }, role, Some(layer))
    };
    let (hidden, q_size, kv_size) =
        (sizes.hidden, sizes.heads * sizes.head_dim, sizes.kv_heads * sizes.head_dim);
    let qkv = QkvProj::Split {
        q: linear("self_attn.q_proj", hidden, q_size, sizes.attention_bias, Role::Query),
        k: linear("self_attn.k_proj", hidden, kv_size, sizes.attention_bias, Role::Key),
        v: linear("self_attn.v_proj", hidden, kv_size, sizes.attention_bias, Role::Value),
    };
    let output = linear("self_attn.o_proj", q_size, hidden, sizes.attention_bias, Role::Output);
    let mlp = GatedMlp {
        gate: linear("mlp.gate_proj", hidden, sizes.inner, sizes.mlp_bias, Role::Gate),
        up: linear("mlp.up_proj", hidden, sizes.inner, sizes.mlp_bias, Role::Up),
        down: linear("mlp.down_proj", sizes.inner, hidden, sizes.mlp_bias, Role::Down),
        activation: sizes.activation,
    };
    let attention = Attention {
        qkv,
        output,
        heads: sizes.heads,
        kv_heads: sizes.kv_heads,
        head_dim: sizes.head_dim,
        scale: (sizes.head_dim as f64).powf(-0.5),
        layer,
    };
    Block {
        input_norm: builder.rms_norm(&format!("{path}.input_layernorm"), hidden, sizes.eps),
        attention,
        post_norm: builder.rms_norm(&format!("{path}.post_attention_layernorm"), hidden, sizes.eps),
        mlp,
    }
}

impl Decoder for Llama {
    fn embed(&self, pass: &Pass<'_>, ids: Tensor<2, Int>) -> Tensor<3> {
        self.embed.forward(pass, ids)
    }

    fn block(&self, index: usize, pass: &Pass<'_>, hidden: Tensor<3>) -> Tensor<3> {
        let block = &self.blocks[index];
        let attended = block.attention.forward(pass, block.input_norm.forward(pass, hidden.clone()));
        let hidden = hidden + attended;
        let mixed = block.mlp.forward(pass, block.post_norm.forward(pass, hidden.clone()));
        hidden + mixed
    }

    fn final_norm(&self, pass: &Pass<'_>, hidden: Tensor<3>) -> Tensor<3> {
        self.norm.forward(pass, hidden)
    }

    fn head(&self, pass: &Pass<'_>, hidden: Tensor<3>) -> Tensor<3> {
        self.head.forward(pass, hidden)
    }
}
