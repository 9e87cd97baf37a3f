//! Starting a backward pass from a gradient that is already known.

use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::NoCheckpointing};
use burn::backend::autodiff::grads::Gradients as Store;
use burn::backend::autodiff::ops::{Backward, NodeGuard, Ops, OpsKind};
use burn::tensor::{Gradients, Int, Tensor};
use burn_flex::{Flex, FlexTensor};

use super::bridge::{Operand, primitive};
use super::buffer::tensor;
use super::loss;

/// Hands the kept gradient to the parent.
#[derive(Clone, Debug)]
struct Seed;

impl Backward<Flex, 1> for Seed {
    type State = FlexTensor;

    fn backward(self, ops: Ops<FlexTensor, 1>, grads: &mut Store, _checkpointer: &mut Checkpointer) {
        let _one = grads.consume::<Flex>(&ops.node);
        if let [Some(parent)] = &ops.parents {
            grads.register::<Flex>(parent.id, ops.state);
        }
    }
}

fn start(node: NodeGuard, gradient: FlexTensor) -> Gradients {
    let scalar = tensor(vec![0.0], [1]);
    let prepared = Seed.prepare::<NoCheckpointing>([node]).compute_bound();
    let root = match prepared.stateful() {
        OpsKind::Tracked(prepared) => prepared.finish(gradient, scalar),
        OpsKind::UnTracked(_) => panic!("backward from a tensor that no trained tensor went into"),
    };
    Tensor::<1>::from_primitive::<Autodiff<Flex>>(root).backward()
}

/// See [`super::super::backward_from`].
pub fn backward_from<const D: usize>(output: Tensor<D>, gradient: Tensor<D>) -> Gradients {
    let gradient = primitive(gradient.inner());
    start(Operand::new(output).lift().node(), gradient)
}

/// See [`super::super::cross_entropy_backward`].
pub fn cross_entropy_backward(
    logits: Tensor<2>,
    targets: Tensor<1, Int>,
    weight: f32,
) -> (Tensor<1>, Gradients) {
    // The logits leave their node here, so that the kernel may overwrite them.
    let (logits, node) = Operand::new(logits).lift().into_parts();
    let logits = Tensor::from_primitive::<Flex>(logits);
    let (sum, gradient) = loss::cross_entropy(logits, targets, weight);
    (sum, start(node, primitive(gradient)))
}
