//! Feed-forward layers.

use burn::tensor::Tensor;

use super::{Pass, Proj, ops};

/// Non-linearities, by the names that config.json uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    Silu,
    /// `gelu_new`, `gelu_pytorch_tanh`.
    GeluTanh,
    /// `gelu`.
    GeluErf,
    Relu,
}

impl Activation {
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "silu" | "swish" => Some(Self::Silu),
            "gelu_new" | "gelu_pytorch_tanh" | "gelu_fast" => Some(Self::GeluTanh),
            "gelu" => Some(Self::GeluErf),
            "relu" => Some(Self::Relu),
            _ => None,
        }
    }

    pub fn forward(self, x: Tensor<3>) -> Tensor<3> {
        match self {
            Self::Silu => ops::silu(x),
            Self::GeluTanh => ops::gelu_tanh(x),
            Self::GeluErf => ops::gelu_erf(x),
            Self::Relu => burn::tensor::activation::relu(x),
        }
    }
}

/// down(act(gate(x)) · up(x)).
#[derive(Clone, Debug)]
pub struct GatedMlp {
    pub gate: Proj,
    pub up: Proj,
    pub down: Proj,
    pub activation: Activation,
}

impl GatedMlp {
    pub fn forward(&self, pass: &Pass<'_>, x: Tensor<3>) -> Tensor<3> {
        let gate = self.gate.forward(pass, x.clone());
        let up = self.up.forward(pass, x);
        let inner = match self.activation {
            Activation::Silu => ops::silu_mul(gate, up),
            other => other.forward(gate) * up,
        };
        self.down.forward(pass, inner)
    }
}

/// down(act(up(x))).
#[derive(Clone, Debug)]
pub struct Mlp {
    pub up: Proj,
    pub down: Proj,
    pub activation: Activation,
}

impl Mlp {
    pub fn forward(&self, pass: &Pass<'_>, x: Tensor<3>) -> Tensor<3> {
        self.down.forward(pass, self.activation.forward(self.up.forward(pass, x)))
    }
}
