//! Mixtures of experts in config.json and in the files.

use serde_json::Value;

use super::build::{GatedNames, GatedShape, LinearShape};
use super::{Builder, ConfigJson};
use crate::nn::{Moe, Role, SharedExpert};

/// No published model has so many experts over all layers: a file that asks for more is damaged or hostile.
const MOST_EXPERTS: usize = 1 << 17;

/// The feed-forward layers of a model with experts.
#[derive(Clone, Debug)]
pub struct Experts {
    pub count: usize,
    /// Experts a token.
    pub chosen: usize,
    /// Width of an expert.
    pub inner: usize,
    /// The weights of the chosen experts sum to 1.
    pub normalised: bool,
    /// Width of the expert that every token goes through; it has a gate.
    pub shared: Option<usize>,
    /// Module of the router and the experts, below the layer.
    pub module: &'static str,
    pub names: GatedNames,
    /// Whether a layer has experts; one that has none is as in a dense model.
    pub sparse: Vec<bool>,
}

impl Experts {
    /// Qwen's keys: every `decoder_sparse_step`-th of `layers` layers has experts, but none of `mlp_only_layers`.
    pub fn of_qwen(config: &ConfigJson, layers: usize, shared: Option<usize>) -> Self {
        let step = config.size_or("decoder_sparse_step", 1);
        let dense: Vec<usize> = match config.raw().get("mlp_only_layers") {
            None | Some(Value::Null) => Vec::new(),
            Some(list) => indices(list).unwrap_or_else(|| {
                config.problem("`mlp_only_layers` is not a list of layers".into());
                Vec::new()
            }),
        };
        // transformers 5 may write the second.
        let counted =
            ["num_local_experts", "num_experts"].into_iter().find(|key| config.raw().contains_key(*key));
        let experts = Self {
            count: config.count(counted.unwrap_or("num_experts")),
            chosen: config.size("num_experts_per_tok"),
            inner: config.size("moe_intermediate_size"),
            normalised: config.flag("norm_topk_prob", false),
            shared,
            module: "mlp",
            names: GatedNames::PROJ,
            sparse: (0..layers).map(|layer| (layer + 1) % step == 0 && !dense.contains(&layer)).collect(),
        };
        experts.check(config);
        experts
    }

    /// Records what cannot be.
    pub fn check(&self, config: &ConfigJson) {
        if self.chosen > self.count {
            config.problem(format!("{} of {} experts cannot be chosen", self.chosen, self.count));
        }
        if self.count * self.sparse.len() > MOST_EXPERTS {
            config.problem(format!("{} experts in {} layers are too many", self.count, self.sparse.len()));
        }
    }

    /// Width of all that one token goes through, with what goes into each expert and comes out of it.
    pub fn work(&self, hidden: usize) -> usize {
        self.chosen * (self.inner + hidden) + self.shared.unwrap_or(0)
    }

    /// Router and experts below `layer_path`; `shape` is that of an expert.
    pub fn build(&self, builder: &mut Builder, layer_path: &str, shape: GatedShape) -> Moe {
        let path = format!("{layer_path}.{}", self.module);
        let shape = GatedShape { inner: self.inner, ..shape };
        let gate = |outputs| LinearShape { inputs: shape.hidden, outputs, bias: false };
        let router =
            builder.linear(format!("{path}.gate"), gate(self.count), Role::Router, Some(shape.layer));
        let experts = (0..self.count)
            .map(|expert| builder.gated(&format!("{path}.experts.{expert}"), &self.names, &shape))
            .collect();
        let shared = self.shared.map(|inner| {
            let mlp =
                builder.gated(&format!("{path}.shared_expert"), &self.names, &GatedShape { inner, ..shape });
            let path = format!("{path}.shared_expert_gate");
            SharedExpert { mlp, gate: Some(builder.linear(path, gate(1), Role::Router, Some(shape.layer))) }
        });
        Moe { router, experts, chosen: self.chosen, normalised: self.normalised, shared }
    }
}

fn indices(list: &Value) -> Option<Vec<usize>> {
    list.as_array()?.iter().map(|index| index.as_u64().map(|index| index as usize)).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use burn::tensor::{DType, Device, Int, Tensor, activation};

    use super::*;
    use crate::models::random_weights;
    use crate::nn::{Activation, GatedMlp, Gradients, Pass, Positions, Tape, ops};

    /// Every expert sees every token, and those that were not chosen count nothing.
    fn dense(moe: &Moe, pass: &Pass<'_>, x: Tensor<3>) -> Tensor<3> {
        let probabilities = activation::softmax(moe.router.forward(pass, x.clone()), 2);
        let least = probabilities.clone().inner().sort_descending(2).narrow(2, moe.chosen - 1, 1);
        let chosen = probabilities.clone().inner().greater_equal(least.expand(probabilities.dims())).float();
        let mut weights = probabilities * chosen;
        if moe.normalised {
            weights = weights.clone() / weights.sum_dim(2);
        }
        let part = |(index, expert): (usize, &GatedMlp)| {
            expert.forward(pass, x.clone()) * weights.clone().narrow(2, index, 1)
        };
        let mixed = moe.experts.iter().enumerate().map(part).reduce(|sum, part| sum + part).unwrap();
        let Some(SharedExpert { mlp, gate }) = &moe.shared else { return mixed };
        let factor = activation::sigmoid(gate.as_ref().unwrap().forward(pass, x.clone()));
        mixed + mlp.forward(pass, x) * factor
    }

    fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        tensor.into_data().try_into_vec().unwrap()
    }

    /// Output, gradient of the input, and gradients of all parameters for a loss of `Σ wᵢ·outputᵢ`.
    fn run(
        builder: &Builder,
        device: &Device,
        forward: impl Fn(&Pass<'_>, Tensor<3>) -> Tensor<3>,
    ) -> (Vec<f32>, Vec<f32>, BTreeMap<String, Vec<f32>>) {
        let positions = Positions::none(device);
        let tape = Tape::default();
        let pass = Pass {
            base: &builder.params,
            adapter: None,
            dtype: DType::F32,
            positions: &positions,
            tape: Some(&tape),
            prefix: None,
            cache: None,
            dropout: None,
            at: None,
        };
        let wave = |step: f64| Tensor::<1, Int>::arange(0..2 * 7 * 6, device).float().mul_scalar(step).sin();
        let x = wave(1.7).reshape([2, 7, 6]).autodiff().require_grad();
        let out = forward(&pass, x.clone());
        let mut gradients = ops::backward_from(out.clone(), wave(0.9).reshape([2, 7, 6]));
        let mut own = Gradients::new();
        tape.collect(&mut gradients, &mut own);
        let named =
            own.into_iter().map(|(id, it)| (builder.params.get(id).name.clone(), numbers(it))).collect();
        (numbers(out.inner()), numbers(x.grad(&gradients).unwrap()), named)
    }

    fn assert_near(got: &[f32], want: &[f32], what: &str) {
        assert_eq!(got.len(), want.len(), "{what}");
        let worst = got.iter().zip(want).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 2e-6, "{what}: off by {worst}");
    }

    #[test]
    fn output_and_all_gradients_are_those_of_a_dense_composition() {
        for (normalised, shared) in [(true, None), (false, None), (false, Some(5)), (true, Some(5))] {
            let experts = Experts {
                count: 5,
                chosen: 2,
                inner: 4,
                normalised,
                shared,
                module: "mlp",
                names: GatedNames::PROJ,
                sparse: vec![true],
            };
            let device = Device::flex();
            let mut builder = Builder::default();
            let activation = Activation::Silu;
            let shape = GatedShape { hidden: 6, inner: 9, bias: false, activation, layer: 0 };
            let moe = experts.build(&mut builder, "layer", shape);
            random_weights(&mut builder.params, 0.5, &device, DType::F32, 7);
            builder.params.iter_mut().for_each(|param| param.trainable = true);

            let sparse = run(&builder, &device, |pass, x| moe.forward(pass, x));
            let dense = run(&builder, &device, |pass, x| dense(&moe, pass, x));
            assert_near(&sparse.0, &dense.0, "output");
            assert_near(&sparse.1, &dense.1, "gradient of the input");
            assert!(dense.2["layer.mlp.gate.weight"].iter().any(|it| it.abs() > 1e-4), "the router learns");
            for (name, gradient) in &dense.2 {
                // An expert that no token chose has no gradient at all.
                let zeros = vec![0.0; gradient.len()];
                assert_near(sparse.2.get(name).unwrap_or(&zeros), gradient, name);
            }
        }
    }
}
