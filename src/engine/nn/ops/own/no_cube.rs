//! Stands in for `cube.rs` in a build without CUDA: no device there can have a kernel.

use burn::tensor::{Int, Tensor};

use super::{Dense, Sight};

pub fn cross_entropy(_: Tensor<2>, _: Tensor<1, Int>, _: f32) -> (Tensor<1>, Tensor<2>) {
    never()
}

pub fn probabilities(_: Tensor<4>, _: Sight) -> Tensor<4> {
    never()
}

pub fn score_gradients(_: Tensor<4>, _: Tensor<4>, _: Sight) -> [Tensor<4>; 2] {
    never()
}

pub fn nibbles(_: Tensor<1, Int>, _: Tensor<1>, _: Tensor<1>, _: usize, _: Dense) -> Tensor<2> {
    never()
}

pub fn bytes(_: Tensor<1, Int>, _: Tensor<1>, _: bool, _: Dense) -> Tensor<2> {
    never()
}

fn never() -> ! {
    unreachable!("no kernel serves a device of this build")
}
