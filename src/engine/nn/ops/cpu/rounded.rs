//! Kernels for `f32` on tensors in 16 bits: operands are widened in front, the result and the gradients rounded once behind.

use burn::tensor::{DType, Tensor};
use burn_flex::FlexTensor;

use super::bridge::{Fused, Operand, run};
use super::halves::{narrow, wide};

/// A kernel that can be told what its gradient keeps.
pub trait Rounds<const N: usize>: Fused<N> {
    /// The tensors as large as the operands among it; they are kept in 16 bits.
    fn kept(saved: &mut Self::Saved) -> Vec<&mut FlexTensor>;
}

#[derive(Clone, Debug)]
struct Rounded<O>(O);

#[derive(Clone, Debug)]
struct Saved<S, const N: usize> {
    /// As the kernel wants it, but for the element type of what is kept.
    saved: S,
    /// Of the operands.
    dtypes: [DType; N],
}

impl<const N: usize, O: Rounds<N>> Fused<N> for Rounded<O> {
    type Saved = Saved<O::Saved, N>;

    fn forward(&self, inputs: [FlexTensor; N]) -> FlexTensor {
        let dtype = inputs[0].dtype();
        narrow(self.0.forward(inputs.map(wide)), dtype)
    }

    fn forward_saving(&self, inputs: [FlexTensor; N], wanted: [bool; N]) -> (FlexTensor, Self::Saved) {
        let dtypes = inputs.each_ref().map(FlexTensor::dtype);
        let (output, mut saved) = self.0.forward_saving(inputs.map(wide), wanted);
        for tensor in O::kept(&mut saved) {
            *tensor = narrow(tensor.clone(), dtypes[0]);
        }
        (narrow(output, dtypes[0]), Saved { saved, dtypes })
    }

    fn backward(
        &self,
        saved: Self::Saved,
        gradient: FlexTensor,
        wanted: [bool; N],
    ) -> [Option<FlexTensor>; N] {
        let Saved { mut saved, dtypes } = saved;
        for tensor in O::kept(&mut saved) {
            *tensor = wide(tensor.clone());
        }
        let mut dtypes = dtypes.into_iter();
        let gradients = self.0.backward(saved, wide(gradient), wanted);
        gradients.map(|gradient| {
            let dtype = dtypes.next().expect("an element type for every operand");
            gradient.map(|gradient| narrow(gradient, dtype))
        })
    }
}

/// [`run`] for operands in `f32` or 16 bits; the result is of the first one's element type.
pub fn run_rounded<const N: usize, const D: usize>(
    operation: impl Rounds<N>,
    operands: [Operand; N],
) -> Tensor<D> {
    if operands.iter().all(|operand| operand.dtype() == DType::F32) {
        return run(operation, operands);
    }
    run(Rounded(operation), operands)
}
