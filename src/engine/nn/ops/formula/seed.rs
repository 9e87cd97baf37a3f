//! Starting a backward pass from a gradient that is already known: without the product of the two tensors, and the sum of
//! it, that `(output · gradient).sum().backward()` makes.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::NoCheckpointing};
use burn::backend::autodiff::grads::Gradients as Store;
use burn::backend::autodiff::ops::{Backward, NodeGuard, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, DispatchDevice, DispatchKindConversion, DispatchTensor, Flex};
use burn::tensor::{DType, Gradients, Int, Tensor};

use super::super::route;
use super::{node, plain};

/// Hands the kept gradient to the parent.
#[derive(Clone, Debug)]
struct Seed;

impl<B: Backend> Backward<B, 1> for Seed {
    type State = FloatTensor<B>;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Store, _checkpointer: &mut Checkpointer) {
        let _one = grads.consume::<B>(&ops.node);
        if let [Some(parent)] = &ops.parents {
            grads.register::<B>(parent.id, ops.state);
        }
    }
}

fn start<B: Backend, const D: usize>(node: NodeGuard, gradient: Tensor<D>) -> Gradients
where
    DispatchTensor: DispatchKindConversion<B> + DispatchKindConversion<Autodiff<B>>,
{
    let scalar = Tensor::<1>::zeros([1], (&gradient.device(), DType::F32));
    let prepared = Backward::<B, 1>::prepare::<NoCheckpointing>(Seed, [node]).compute_bound();
    let root = match prepared.stateful() {
        OpsKind::Tracked(prepared) => prepared.finish(plain::<B, D>(gradient), plain::<B, 1>(scalar)),
        OpsKind::UnTracked(_) => panic!("backward from a tensor that no trained tensor went into"),
    };
    Tensor::<1>::from_primitive::<Autodiff<B>>(root).backward()
}

/// See [`backward_from`](super::super::backward_from).
pub fn backward_from<const D: usize>(output: Tensor<D>, gradient: Tensor<D>) -> Gradients {
    let gradient = gradient.inner();
    match gradient.device().as_dispatch() {
        DispatchDevice::Flex(_) => start::<Flex, D>(node::<Flex, D>(output).node(), gradient),
        #[cfg(feature = "gpu")]
        DispatchDevice::Cube(_) => {
            start::<burn::backend::Cube, D>(node::<burn::backend::Cube, D>(output).node(), gradient)
        }
        DispatchDevice::Autodiff(_) => unreachable!("the device inside of autodiff"),
    }
}

/// See [`cross_entropy_backward`](super::super::cross_entropy_backward).
pub fn cross_entropy_backward(
    logits: Tensor<2>,
    targets: Tensor<1, Int>,
    weight: f32,
) -> (Tensor<1>, Gradients) {
    match logits.device().inner().as_dispatch() {
        DispatchDevice::Flex(_) => in_place::<Flex>(logits, targets, weight),
        #[cfg(feature = "gpu")]
        DispatchDevice::Cube(_) => in_place::<burn::backend::Cube>(logits, targets, weight),
        DispatchDevice::Autodiff(_) => unreachable!("the device inside of autodiff"),
    }
}

fn in_place<B: Backend>(logits: Tensor<2>, targets: Tensor<1, Int>, weight: f32) -> (Tensor<1>, Gradients)
where
    DispatchTensor: DispatchKindConversion<B> + DispatchKindConversion<Autodiff<B>>,
{
    // The logits leave their node here, so that a kernel may overwrite them.
    let (logits, node) = node::<B, 2>(logits).into_parts();
    let (sum, gradient) = route::cross_entropy(Tensor::from_primitive::<B>(logits), targets.inner(), weight);
    (sum, start::<B, 2>(node, gradient))
}
