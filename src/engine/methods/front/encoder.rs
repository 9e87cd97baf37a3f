//! What makes a soft prompt's states out of its embedding.

use burn::tensor::{Tensor, activation, s};

use crate::nn::{Decay, Initial, Param, ParamId, ParamStore, Pass, ops};

/// A linear map of an encoder.
#[derive(Clone, Copy, Debug)]
struct Linear {
    weight: ParamId,
    bias: ParamId,
}

/// One direction of one layer of an LSTM, with torch's tensors.
#[derive(Clone, Copy, Debug)]
struct Lstm {
    input: Linear,
    hidden: Linear,
    reversed: bool,
}

/// From the embedding `[tokens, width]` to the states `[tokens, outputs]`.
#[derive(Clone, Debug)]
enum Stage {
    Linear(Linear),
    Tanh,
    Relu,
    /// Both directions, side by side.
    BothWays([Lstm; 2]),
}

/// An embedding and what comes after it.
#[derive(Clone, Debug)]
pub struct Encoder {
    embedding: ParamId,
    stages: Vec<Stage>,
}

/// Declares an encoder's parameters under a prefix of names.
pub struct Declare<'a> {
    pub params: &'a mut ParamStore,
    pub prefix: &'a str,
}

impl Declare<'_> {
    fn add(&mut self, name: &str, shape: &[usize], initial: Initial) -> ParamId {
        let decay = if shape.len() == 1 { Decay::No } else { Decay::Yes };
        let mut param = Param::new(format!("{}{name}", self.prefix), shape, decay).initially(initial);
        param.trainable = true;
        self.params.declare(param)
    }

    /// `torch.nn.Linear`'s start: U(−1/√in, 1/√in).
    fn linear(&mut self, name: &str, [inputs, outputs]: [usize; 2]) -> Stage {
        let initial = Initial::Uniform(1.0 / (inputs as f64).sqrt());
        Stage::Linear(Linear {
            weight: self.add(&format!("{name}.weight"), &[outputs, inputs], initial),
            bias: self.add(&format!("{name}.bias"), &[outputs], initial),
        })
    }

    /// `torch.nn.LSTM`'s start: U(−1/√hidden, 1/√hidden).
    fn lstm(&mut self, inputs: usize, hidden: usize, layer: usize, reversed: bool) -> Lstm {
        let initial = Initial::Uniform(1.0 / (hidden as f64).sqrt());
        let suffix = if reversed { "_reverse" } else { "" };
        let mut half = |word: &str, inputs: usize| Linear {
            weight: self.add(
                &format!("lstm_head.weight_{word}_l{layer}{suffix}"),
                &[4 * hidden, inputs],
                initial,
            ),
            bias: self.add(&format!("lstm_head.bias_{word}_l{layer}{suffix}"), &[4 * hidden], initial),
        };
        Lstm { input: half("ih", inputs), hidden: half("hh", hidden), reversed }
    }

    /// The embedding alone; `torch.nn.Embedding` starts with N(0, 1).
    pub fn table(&mut self, tokens: usize, width: usize) -> Encoder {
        let embedding = self.add("embedding.weight", &[tokens, width], Initial::Spread(1.0));
        Encoder { embedding, stages: Vec::new() }
    }

    /// Embedding → linear → tanh → linear, the maps called `maps.0` and `maps.2` (PEFT's and ChatGLM's projections).
    pub fn projected(&mut self, maps: &str, tokens: usize, [width, inner, outputs]: [usize; 3]) -> Encoder {
        let mut encoder = self.table(tokens, width);
        encoder.stages = vec![
            self.linear(&format!("{maps}.0"), [width, inner]),
            Stage::Tanh,
            self.linear(&format!("{maps}.2"), [inner, outputs]),
        ];
        encoder
    }

    /// P-tuning's MLP (PEFT, `tuners/p_tuning`): three linear maps with ReLU between them.
    pub fn mlp(&mut self, tokens: usize, width: usize, inner: usize) -> Encoder {
        let mut encoder = self.table(tokens, width);
        encoder.stages = vec![
            self.linear("mlp_head.0", [width, inner]),
            Stage::Relu,
            self.linear("mlp_head.2", [inner, inner]),
            Stage::Relu,
            self.linear("mlp_head.4", [inner, width]),
        ];
        encoder
    }

    /// P-tuning's LSTM in both directions, and two linear maps.
    pub fn lstm_and_mlp(&mut self, tokens: usize, width: usize, inner: usize, layers: usize) -> Encoder {
        let mut encoder = self.table(tokens, width);
        for layer in 0..layers {
            let inputs = if layer == 0 { width } else { 2 * inner };
            let ways = [false, true].map(|reversed| self.lstm(inputs, inner, layer, reversed));
            encoder.stages.push(Stage::BothWays(ways));
        }
        encoder.stages.extend([
            self.linear("mlp_head.0", [2 * inner, 2 * inner]),
            Stage::Relu,
            self.linear("mlp_head.2", [2 * inner, width]),
        ]);
        encoder
    }
}

impl Encoder {
    pub fn embedding(&self) -> ParamId {
        self.embedding
    }

    /// Whether the states are the embedding itself.
    pub fn is_table(&self) -> bool {
        self.stages.is_empty()
    }

    /// `[tokens, outputs]`.
    pub fn states(&self, pass: &Pass<'_>) -> Tensor<2> {
        self.stages.iter().fold(pass.matrix(self.embedding), |x, stage| stage.forward(pass, x))
    }
}

impl Stage {
    fn forward(&self, pass: &Pass<'_>, x: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Linear(linear) => linear.forward(pass, x),
            Self::Tanh => x.tanh(),
            Self::Relu => activation::relu(x),
            Self::BothWays(ways) => {
                Tensor::cat(ways.iter().map(|way| way.forward(pass, x.clone())).collect(), 1)
            }
        }
    }
}

impl Linear {
    fn forward(&self, pass: &Pass<'_>, x: Tensor<2>) -> Tensor<2> {
        let y: Tensor<3> = ops::linear(x.unsqueeze(), pass.matrix(self.weight));
        y.squeeze_dim::<2>(0) + pass.vector(self.bias).unsqueeze()
    }
}

impl Lstm {
    /// `[time, inputs]` → `[time, hidden]`, by torch's order of gates: input, forget, cell, output.
    fn forward(&self, pass: &Pass<'_>, x: Tensor<2>) -> Tensor<2> {
        let given = self.input.forward(pass, x);
        let [time, gates] = given.dims();
        let width = gates / 4;
        let mut hidden = Tensor::<2>::zeros([1, width], (&given.device(), given.dtype()));
        let mut cell = hidden.clone();
        let mut outputs = Vec::with_capacity(time);
        for step in 0..time {
            let at = if self.reversed { time - 1 - step } else { step };
            let all = given.clone().slice(s![at..at + 1, ..]) + self.hidden.forward(pass, hidden);
            let gate = |index: usize| all.clone().slice(s![.., index * width..(index + 1) * width]);
            cell = activation::sigmoid(gate(1)) * cell + activation::sigmoid(gate(0)) * gate(2).tanh();
            hidden = activation::sigmoid(gate(3)) * cell.clone().tanh();
            outputs.push(hidden.clone());
        }
        if self.reversed {
            outputs.reverse();
        }
        Tensor::cat(outputs, 0)
    }
}
