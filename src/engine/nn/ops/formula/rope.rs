//! Rotary position embedding: its gradient is turned back.

use burn::tensor::Tensor;

use super::super::own::{self, Turn};
use super::{Formula, run};

#[derive(Clone, Debug)]
struct Rope {
    cos: Tensor<3>,
    sin: Tensor<3>,
    interleaved: bool,
}

impl Rope {
    fn turned(&self, x: Tensor<4>, back: bool) -> Tensor<4> {
        own::rope(x, self.cos.clone(), self.sin.clone(), Turn { interleaved: self.interleaved, back })
    }
}

impl Formula<1, 4> for Rope {
    fn value(&self, [x]: [Tensor<4>; 1]) -> Tensor<4> {
        self.turned(x, false)
    }

    fn gradients(
        &self,
        _: [Tensor<4>; 1],
        gradient: Tensor<4>,
        _wanted: [bool; 1],
    ) -> [Option<Tensor<4>>; 1] {
        [Some(self.turned(gradient, true))]
    }
}

/// See [`compose::rope`](super::super::compose::rope).
pub fn rope(x: Tensor<4>, cos: Tensor<3>, sin: Tensor<3>, interleaved: bool) -> Tensor<4> {
    run(Rope { cos: cos.inner(), sin: sin.inner(), interleaved }, [x])
}
