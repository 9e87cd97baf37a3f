//! Linear maps. Autodiff through a product with a transposed weight gives the weight's gradient transposed, which whoever
//! reads it in order must copy: a launch for every trained matrix of a step.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::NoCheckpointing};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, DispatchDevice, DispatchKindConversion, DispatchTensor, Flex};
use burn::tensor::Tensor;

use super::{node, plain};

#[derive(Clone, Copy, Debug)]
struct Linear {
    /// The weight is `[I, O]` instead of `[O, I]`.
    input_first: bool,
}

impl Linear {
    fn value(self, x: Tensor<2>, weight: Tensor<2>) -> Tensor<2> {
        x.matmul(if self.input_first { weight } else { weight.transpose() })
    }

    fn x_gradient(self, weight: Tensor<2>, gradient: Tensor<2>) -> Tensor<2> {
        gradient.matmul(if self.input_first { weight.transpose() } else { weight })
    }

    fn weight_gradient(self, x: Tensor<2>, gradient: Tensor<2>) -> Tensor<2> {
        if self.input_first { x.transpose().matmul(gradient) } else { gradient.transpose().matmul(x) }
    }

    fn recorded<B: Backend>(self, x: Tensor<2>, weight: Tensor<2>) -> Tensor<2>
    where
        DispatchTensor: DispatchKindConversion<B> + DispatchKindConversion<Autodiff<B>>,
    {
        let operands = [x, weight].map(node::<B, 2>);
        let nodes = operands.each_ref().map(|operand| operand.node());
        let [x_learns, weight_learns] = operands.each_ref().map(|operand| operand.is_tracked());
        let [x, weight] = operands.map(|operand| operand.into_primitive());
        let tensor = |primitive: &FloatTensor<B>| Tensor::from_primitive::<B>(primitive.clone());
        let value = plain::<B, 2>(self.value(tensor(&x), tensor(&weight)));
        // A frozen weight keeps no input.
        let kept = [weight_learns.then_some(x), x_learns.then_some(weight)];
        let output = match self.prepare::<NoCheckpointing>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish(kept, value),
            OpsKind::UnTracked(prepared) => prepared.finish(value),
        };
        Tensor::from_primitive::<Autodiff<B>>(output)
    }
}

impl<B: Backend> Backward<B, 2> for Linear
where
    DispatchTensor: DispatchKindConversion<B>,
{
    /// The input if the weight learns, and the weight if the input does.
    type State = [Option<FloatTensor<B>>; 2];

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let gradient = Tensor::<2>::from_primitive::<B>(grads.consume::<B>(&ops.node));
        let [x, weight] = ops.state.map(|kept| kept.map(|kept| Tensor::from_primitive::<B>(kept)));
        let dx = weight.map(|weight| self.x_gradient(weight, gradient.clone()));
        let dw = x.map(|x| self.weight_gradient(x, gradient));
        for (parent, gradient) in ops.parents.iter().zip([dx, dw]) {
            if let (Some(parent), Some(gradient)) = (parent, gradient) {
                grads.register::<B>(parent.id, plain::<B, 2>(gradient));
            }
        }
    }
}

/// `x · weightᵀ` for `[N, I]` and `[O, I]`, or `x · weight` for `[I, O]`; of one element type.
pub fn linear(x: Tensor<2>, weight: Tensor<2>, input_first: bool) -> Tensor<2> {
    let linear = Linear { input_first };
    if !x.is_autodiff() && !weight.is_autodiff() {
        return linear.value(x, weight);
    }
    match x.device().inner().as_dispatch() {
        DispatchDevice::Flex(_) => linear.recorded::<Flex>(x, weight),
        #[cfg(feature = "gpu")]
        DispatchDevice::Cube(_) => linear.recorded::<burn::backend::Cube>(x, weight),
        DispatchDevice::Autodiff(_) => unreachable!("the device inside of autodiff"),
    }
}
