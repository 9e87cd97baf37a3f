//! Numbers in another float type.

use burn::tensor::{DType, Tensor};
use burn_flex::FlexTensor;

use super::bridge::{Fused, Operand, run};
use super::halves::{narrow, wide};

#[derive(Clone, Copy, Debug)]
struct Cast {
    to: DType,
}

impl Fused<1> for Cast {
    /// The operand's element type.
    type Saved = DType;

    fn forward(&self, [x]: [FlexTensor; 1]) -> FlexTensor {
        narrow(wide(x), self.to)
    }

    fn forward_saving(&self, [x]: [FlexTensor; 1], _wanted: [bool; 1]) -> (FlexTensor, DType) {
        let from = x.dtype();
        (narrow(wide(x), self.to), from)
    }

    fn backward(&self, from: DType, gradient: FlexTensor, _wanted: [bool; 1]) -> [Option<FlexTensor>; 1] {
        [Some(narrow(wide(gradient), from))]
    }
}

/// To `f32` or 16 bits, from these.
pub fn cast<const D: usize>(x: Tensor<D>, to: DType) -> Tensor<D> {
    run(Cast { to }, [Operand::new(x)])
}
