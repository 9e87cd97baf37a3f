//! Normalisation layers.

use burn::tensor::Tensor;

use super::{ParamId, Pass, ops};

/// RMSNorm or LayerNorm over the last axis.
#[derive(Clone, Debug)]
pub enum Norm {
    /// With `unit` the gain is `1 + weight` (Gemma).
    Rms {
        weight: ParamId,
        eps: f64,
        unit: bool,
    },
    Layer {
        weight: ParamId,
        bias: Option<ParamId>,
        eps: f64,
    },
}

impl Norm {
    /// `[batch, time, width]` → the same shape.
    pub fn forward(&self, pass: &Pass<'_>, x: Tensor<3>) -> Tensor<3> {
        match self {
            Self::Rms { weight, eps, unit: false } => ops::rms_norm(x, pass.vector(*weight), *eps),
            Self::Rms { weight, eps, unit: true } => ops::rms_norm_unit(x, pass.vector(*weight), *eps),
            Self::Layer { weight, bias, eps } => {
                let weight = pass.vector(*weight);
                let bias = match bias {
                    Some(bias) => pass.vector(*bias),
                    None => Tensor::zeros(weight.dims(), (&weight.device().inner(), weight.dtype())),
                };
                ops::layer_norm(x, weight, bias, *eps)
            }
        }
    }

    /// The norm of every head by itself: `[batch, time, heads·width]`, where the norm is `width` wide.
    pub fn per_head(&self, pass: &Pass<'_>, x: Tensor<3>, width: usize) -> Tensor<3> {
        let [batch, time, all] = x.dims();
        let heads = x.reshape([batch, time * (all / width), width]);
        self.forward(pass, heads).reshape([batch, time, all])
    }
}
