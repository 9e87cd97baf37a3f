//! Latent attention in config.json and in the files.

use super::build::LinearShape;
use super::{Builder, ConfigJson, NormKind};
use crate::nn::{LatentDims, LatentQkv, LatentQuery, Role};

/// Epsilon of the norms inside, whatever config.json says of the others.
const NORM: NormKind = NormKind::Rms { eps: 1e-6 };

/// Sizes of latent attention.
#[derive(Clone, Copy, Debug)]
pub struct Latent {
    /// Of what queries come from; None where they come from the hidden state.
    pub query: Option<usize>,
    pub dims: LatentDims,
    /// Of the two maps from the hidden state.
    pub bias: bool,
}

impl Latent {
    /// Values are `value` wide where the config does not say.
    pub fn read(config: &ConfigJson, value: usize) -> Self {
        let query = config.raw().get("q_lora_rank").filter(|rank| !rank.is_null());
        let dims = LatentDims {
            latent: config.size("kv_lora_rank"),
            plain: config.size("qk_nope_head_dim"),
            rotated: config.size("qk_rope_head_dim"),
            value: config.size_or("v_head_dim", value),
        };
        let bias = config.flag("attention_bias", false);
        Self { query: query.map(|_| config.size("q_lora_rank")), dims, bias }
    }

    /// Width of a head's query and key.
    pub fn head_dim(&self) -> usize {
        self.dims.plain + self.dims.rotated
    }

    /// The matrices of the attention at `path`.
    pub fn build(
        &self,
        builder: &mut Builder,
        path: &str,
        layer: usize,
        [hidden, heads]: [usize; 2],
    ) -> LatentQkv {
        let LatentDims { latent, plain, rotated, value } = self.dims;
        let at = |name: &str| format!("{path}.{name}");
        let linear = |builder: &mut Builder, name: &str, [inputs, outputs]: [usize; 2], bias, role| {
            builder.linear(at(name), LinearShape { inputs, outputs, bias }, role, Some(layer))
        };
        let queries = heads * self.head_dim();
        let query = match self.query {
            None => LatentQuery::Direct(linear(builder, "q_proj", [hidden, queries], false, Role::Query)),
            Some(rank) => LatentQuery::Latent {
                down: linear(builder, "q_a_proj", [hidden, rank], self.bias, Role::Query),
                norm: builder.norm(NORM, &at("q_a_layernorm"), rank),
                up: linear(builder, "q_b_proj", [rank, queries], false, Role::Query),
            },
        };
        let (down, up) = ([hidden, latent + rotated], [latent, heads * (plain + value)]);
        LatentQkv {
            query,
            kv_down: linear(builder, "kv_a_proj_with_mqa", down, self.bias, Role::KeyValue),
            kv_norm: builder.norm(NORM, &at("kv_a_layernorm"), latent),
            kv_up: linear(builder, "kv_b_proj", up, false, Role::KeyValue),
            dims: self.dims,
        }
    }
}
