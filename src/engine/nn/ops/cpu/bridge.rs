//! Joins a kernel on CPU buffers to Burn's tensors and autodiff.

use std::fmt::Debug;

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::NoCheckpointing};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, AutodiffBackend, DispatchDevice, GradientCheckpointingStrategy};
use burn::tensor::{DType, Device, Tensor};
use burn_flex::{Flex, FlexTensor};

use super::super::own;

/// An operation on `N` tensors with a gradient of its own.
pub trait Fused<const N: usize>: Clone + Debug + Send + 'static {
    /// What the gradient needs.
    type Saved: Clone + Debug + Send + 'static;

    /// The result. Inputs that nobody else holds may be overwritten.
    fn forward(&self, inputs: [FlexTensor; N]) -> FlexTensor;

    /// The result with what the gradients of the `wanted` inputs need.
    fn forward_saving(&self, inputs: [FlexTensor; N], wanted: [bool; N]) -> (FlexTensor, Self::Saved);

    /// The gradients of the inputs, from that of the result. Those not `wanted` may be `None`.
    fn backward(
        &self,
        saved: Self::Saved,
        gradient: FlexTensor,
        wanted: [bool; N],
    ) -> [Option<FlexTensor>; N];
}

/// A tensor inside autodiff.
pub type Node = FloatTensor<Autodiff<Flex>>;

/// A tensor on the CPU, inside autodiff or outside.
pub enum Operand {
    Plain(FlexTensor),
    Tracked(Node),
}

impl Operand {
    /// # Panics
    /// If the tensor does not [`fit`](fits).
    pub fn new<const D: usize>(tensor: Tensor<D>) -> Self {
        if tensor.is_autodiff() {
            let inner = tensor.try_into_primitive::<Autodiff<Flex>>();
            Self::Tracked(inner.expect("an f32 tensor of the CPU backend inside autodiff"))
        } else {
            Self::Plain(primitive(tensor))
        }
    }

    pub fn dtype(&self) -> DType {
        match self {
            Self::Plain(tensor) => tensor.dtype(),
            Self::Tracked(tensor) => tensor.clone().into_primitive().dtype(),
        }
    }

    /// The operand inside autodiff, as a constant if it was outside.
    pub fn lift(self) -> Node {
        match self {
            Self::Plain(tensor) => Autodiff::<Flex>::from_inner(tensor),
            Self::Tracked(tensor) => tensor,
        }
    }
}

/// The buffer of a tensor outside autodiff.
///
/// # Panics
/// If the tensor does not [`fit`](fits).
pub fn primitive<const D: usize>(tensor: Tensor<D>) -> FlexTensor {
    tensor.try_into_primitive::<Flex>().expect("an f32 tensor of the CPU backend")
}

/// Whether the kernels here can take this tensor.
pub fn fits<const D: usize>(tensor: &Tensor<D>) -> bool {
    serves(&tensor.device(), tensor.dtype())
}

/// Whether [`linear`](super::linear) and [`cast`](super::cast) can take this tensor: in 16 bits, too.
pub fn fits_linear<const D: usize>(tensor: &Tensor<D>) -> bool {
    matches!(tensor.dtype(), DType::F32 | DType::BF16 | DType::F16) && plain(&tensor.device())
}

/// Whether the other kernels can that take 16 bits, too: activations, losses, what
/// [`run_rounded`](super::rounded::run_rounded) runs.
pub fn fits_rounded<const D: usize>(tensor: &Tensor<D>) -> bool {
    serves_rounded(&tensor.device(), tensor.dtype())
}

/// Whether the kernels here serve tensors of this kind: `f32`, on the CPU backend.
pub fn serves(device: &Device, dtype: DType) -> bool {
    dtype == DType::F32 && plain(device)
}

/// As [`fits_rounded`].
pub fn serves_rounded(device: &Device, dtype: DType) -> bool {
    let halves = matches!(dtype, DType::BF16 | DType::F16) && !own::off();
    (dtype == DType::F32 || halves) && plain(device)
}

/// Whether the device is the CPU, and autodiff calculates nothing a second time by itself.
fn plain(device: &Device) -> bool {
    let strategy = device.gradient_checkpointing_strategy();
    matches!(strategy, None | Some(GradientCheckpointingStrategy::Disabled)) && here(device)
}

/// Whether the device is the CPU.
pub fn here(device: &Device) -> bool {
    matches!(device.clone().inner().as_dispatch(), DispatchDevice::Flex(_))
}

/// Runs the operation: inside autodiff if any operand is.
pub fn run<const N: usize, const D: usize>(operation: impl Fused<N>, operands: [Operand; N]) -> Tensor<D> {
    if operands.iter().all(|operand| matches!(operand, Operand::Plain(_))) {
        let inputs = operands.map(|operand| match operand {
            Operand::Plain(tensor) => tensor,
            Operand::Tracked(tensor) => tensor.into_primitive(),
        });
        return Tensor::from_primitive::<Flex>(operation.forward(inputs));
    }
    let operands = operands.map(Operand::lift);
    let wanted = operands.each_ref().map(Node::is_tracked);
    let nodes = operands.each_ref().map(Node::node);
    let inputs = operands.map(Node::into_primitive);
    let prepared = Step(operation.clone()).prepare::<NoCheckpointing>(nodes).compute_bound();
    let output = match prepared.stateful() {
        OpsKind::Tracked(prepared) => {
            let (output, saved) = operation.forward_saving(inputs, wanted);
            prepared.finish(saved, output)
        }
        OpsKind::UnTracked(prepared) => prepared.finish(operation.forward(inputs)),
    };
    Tensor::from_primitive::<Autodiff<Flex>>(output)
}

#[derive(Clone, Debug)]
struct Step<O>(O);

impl<const N: usize, O: Fused<N>> Backward<Flex, N> for Step<O> {
    type State = O::Saved;

    fn backward(self, ops: Ops<Self::State, N>, grads: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let gradient = grads.consume::<Flex>(&ops.node);
        let wanted = ops.parents.each_ref().map(Option::is_some);
        let gradients = self.0.backward(ops.state, gradient, wanted);
        for (parent, gradient) in ops.parents.iter().zip(gradients) {
            if let (Some(parent), Some(gradient)) = (parent, gradient) {
                grads.register::<Flex>(parent.id, gradient);
            }
        }
    }
}
