//! Tensor names of a decoder, without `.weight`.

/// Names outside norms. What belongs to a block stands behind `{layers}.{index}.`.
#[derive(Clone, Copy, Debug)]
pub struct Names {
    pub embedding: &'static str,
    /// A norm right after the embedding (Bloom).
    pub embedding_norm: Option<&'static str>,
    pub layers: &'static str,
    pub q: &'static str,
    pub k: &'static str,
    pub v: &'static str,
    /// Query, key and value in one matrix.
    pub qkv: &'static str,
    pub output: &'static str,
    pub q_norm: &'static str,
    pub k_norm: &'static str,
    /// Gate and up in one matrix, and down.
    pub gated_fused: [&'static str; 2],
    /// Up and down of a layer without a gate.
    pub plain: [&'static str; 2],
    pub norm: &'static str,
    pub head: &'static str,
}

/// Names of a block's norms; None where there is none.
#[derive(Clone, Copy, Debug)]
pub struct NormNames {
    pub pre_attention: Option<&'static str>,
    pub post_attention: Option<&'static str>,
    pub pre_mlp: Option<&'static str>,
    pub post_mlp: Option<&'static str>,
}

impl Names {
    pub const LLAMA: Self = Self {
        embedding: "model.embed_tokens",
        embedding_norm: None,
        layers: "model.layers",
        q: "self_attn.q_proj",
        k: "self_attn.k_proj",
        v: "self_attn.v_proj",
        qkv: "self_attn.qkv_proj",
        output: "self_attn.o_proj",
        q_norm: "self_attn.q_norm",
        k_norm: "self_attn.k_norm",
        gated_fused: ["mlp.gate_up_proj", "mlp.down_proj"],
        plain: ["mlp.c_fc", "mlp.c_proj"],
        norm: "model.norm",
        head: "lm_head",
    };
}

impl NormNames {
    pub const PRE: Self = Self {
        pre_attention: Some("input_layernorm"),
        post_attention: None,
        pre_mlp: Some("post_attention_layernorm"),
        post_mlp: None,
    };

    /// Gemma 2 and 3.
    pub const SANDWICH: Self = Self {
        pre_attention: Some("input_layernorm"),
        post_attention: Some("post_attention_layernorm"),
        pre_mlp: Some("pre_feedforward_layernorm"),
        post_mlp: Some("post_feedforward_layernorm"),
    };
}
