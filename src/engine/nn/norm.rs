//! Normalisation layers.

use burn::tensor::Tensor;

use super::{ParamId, Pass, ops};

/// RMSNorm or LayerNorm over the last axis.
#[derive(Clone, Debug)]
pub enum Norm {
    Rms { weight: ParamId, eps: f64 },
    Layer { weight: ParamId, bias: ParamId, eps: f64 },
}

impl Norm {
    pub fn forward(&self, pass: &Pass<'_>, x: Tensor<3>) -> Tensor<3> {
        match self {
            Self::Rms { weight, eps } => ops::rms_norm(x, pass.vector(*weight), *eps),
            Self::Layer { weight, bias, eps } => {
                ops::layer_norm(x, pass.vector(*weight), pass.vector(*bias), *eps)
            }
        }
    }
}
