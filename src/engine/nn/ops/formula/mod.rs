//! Operations with a gradient of their own, made of Burn's tensor operations: the path of every device and element type
//! without a kernel, and inside them the choice of a GPU's own ones.
//!
//! Autodiff through a composition keeps what each of its steps has made. A formula keeps its operands alone and calculates
//! the rest again, in two passes that Burn can fuse.

mod activation;
mod attention;
mod linear;
mod norm;
mod rope;
mod seed;

pub use activation::{composed_swiglu_gradients, gelu_erf, gelu_tanh, silu, silu_mul};
#[cfg(test)]
pub use attention::attention_in_chunks;
pub use attention::{READY_MASK, attention, chunk_queries, composed_gradients, composed_probabilities};
pub use linear::linear;
pub use norm::{Kind as NormKind, Norm, layer_norm, rms_norm, rms_norm_unit};
pub use rope::rope;
pub use seed::{backward_from, cross_entropy_backward};

use std::fmt::Debug;

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::NoCheckpointing};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{
    Autodiff, AutodiffBackend, Backend, DispatchDevice, DispatchKindConversion, DispatchTensor, Flex,
};
use burn::tensor::Tensor;

/// An operation on `N` tensors of rank `D`, outside autodiff.
pub trait Formula<const N: usize, const D: usize>: Clone + Debug + Send + 'static {
    fn value(&self, operands: [Tensor<D>; N]) -> Tensor<D>;

    /// The gradients of the operands, from that of the value. Those not `wanted` may be `None`.
    fn gradients(
        &self,
        operands: [Tensor<D>; N],
        gradient: Tensor<D>,
        wanted: [bool; N],
    ) -> [Option<Tensor<D>>; N];
}

/// The value: inside autodiff if any operand is.
fn run<const N: usize, const D: usize>(formula: impl Formula<N, D>, operands: [Tensor<D>; N]) -> Tensor<D> {
    if !operands.iter().any(Tensor::is_autodiff) {
        return formula.value(operands);
    }
    match operands[0].device().inner().as_dispatch() {
        DispatchDevice::Flex(_) => recorded::<Flex, N, D>(formula, operands),
        #[cfg(feature = "gpu")]
        DispatchDevice::Cube(_) => recorded::<burn::backend::Cube, N, D>(formula, operands),
        DispatchDevice::Autodiff(_) => unreachable!("the device inside of autodiff"),
    }
}

fn recorded<B: Backend, const N: usize, const D: usize>(
    formula: impl Formula<N, D>,
    operands: [Tensor<D>; N],
) -> Tensor<D>
where
    DispatchTensor: DispatchKindConversion<B> + DispatchKindConversion<Autodiff<B>>,
{
    let operands = operands.map(node::<B, D>);
    let nodes = operands.each_ref().map(|operand| operand.node());
    let inner = operands.map(|operand| operand.into_primitive());
    let step = Step::<_, D>(formula.clone());
    let value = formula.value(inner.clone().map(|operand| Tensor::from_primitive::<B>(operand)));
    let value = plain::<B, D>(value);
    let output = match step.prepare::<NoCheckpointing>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prepared) => prepared.finish(inner, value),
        OpsKind::UnTracked(prepared) => prepared.finish(value),
    };
    Tensor::from_primitive::<Autodiff<B>>(output)
}

/// The operand inside autodiff, as a constant if it was outside.
fn node<B: Backend, const D: usize>(operand: Tensor<D>) -> FloatTensor<Autodiff<B>>
where
    DispatchTensor: DispatchKindConversion<B> + DispatchKindConversion<Autodiff<B>>,
{
    if operand.is_autodiff() {
        operand.try_into_primitive::<Autodiff<B>>().expect("a tensor inside autodiff, on the others' device")
    } else {
        Autodiff::<B>::from_inner(plain::<B, D>(operand))
    }
}

fn plain<B: Backend, const D: usize>(tensor: Tensor<D>) -> FloatTensor<B>
where
    DispatchTensor: DispatchKindConversion<B>,
{
    tensor.try_into_primitive::<B>().expect("a tensor outside autodiff, on the others' device")
}

#[derive(Clone, Debug)]
struct Step<F, const D: usize>(F);

impl<B: Backend, F: Formula<N, D>, const N: usize, const D: usize> Backward<B, N> for Step<F, D>
where
    DispatchTensor: DispatchKindConversion<B>,
{
    type State = [FloatTensor<B>; N];

    fn backward(self, ops: Ops<Self::State, N>, grads: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let gradient = Tensor::from_primitive::<B>(grads.consume::<B>(&ops.node));
        let wanted = ops.parents.each_ref().map(Option::is_some);
        let operands = ops.state.map(|operand| Tensor::from_primitive::<B>(operand));
        let gradients = self.0.gradients(operands, gradient, wanted);
        for (parent, gradient) in ops.parents.iter().zip(gradients) {
            if let (Some(parent), Some(gradient)) = (parent, gradient) {
                grads.register::<B>(parent.id, plain::<B, D>(gradient));
            }
        }
    }
}
