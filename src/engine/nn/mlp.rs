//! Feed-forward layers.

use burn::tensor::Tensor;

use super::{Moe, Pass, Proj, ops};

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

    /// act(gate) · up.
    pub fn gated(self, gate: Tensor<3>, up: Tensor<3>) -> Tensor<3> {
        match self {
            Self::Silu => ops::silu_mul(gate, up),
            other => other.forward(gate) * up,
        }
    }
}

/// Where gate and up come from.
#[derive(Clone, Debug)]
pub enum GateUp {
    Split {
        gate: Proj,
        up: Proj,
    },
    /// One matrix whose outputs are gate, then up.
    Fused(Proj),
}

/// down(act(gate(x)) · up(x)).
#[derive(Clone, Debug)]
pub struct GatedMlp {
    pub gate_up: GateUp,
    pub down: Proj,
    pub activation: Activation,
}

impl GatedMlp {
    pub fn forward(&self, pass: &Pass<'_>, x: Tensor<3>) -> Tensor<3> {
        let (gate, up) = match &self.gate_up {
            GateUp::Split { gate, up } => Proj::forward_all([gate, up], pass, &x).into(),
            GateUp::Fused(both) => {
                let both = both.forward(pass, x);
                let width = both.dims()[2] / 2;
                (both.clone().narrow(2, 0, width), both.narrow(2, width, width))
            }
        };
        self.down.forward(pass, self.activation.gated(gate, up))
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

/// The feed-forward half of a block.
#[derive(Clone, Debug)]
pub enum FeedForward {
    Gated(GatedMlp),
    Plain(Mlp),
    Moe(Moe),
}

impl FeedForward {
    /// `[batch, time, hidden]` → the same shape.
    pub fn forward(&self, pass: &Pass<'_>, x: Tensor<3>) -> Tensor<3> {
        match self {
            Self::Gated(mlp) => mlp.forward(pass, x),
            Self::Plain(mlp) => mlp.forward(pass, x),
            Self::Moe(moe) => moe.forward(pass, x),
        }
    }
}
