//! Stands in for `cube.rs` in a build without GPUs: no device there can have a kernel.

use burn::tensor::{Device, Int, Tensor};

use super::super::formula::Norm;
use super::super::{Factors, Moments};
use super::{Dense, Sight, Turn};

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

pub fn norm(_: Norm, _: Tensor<3>, _: Tensor<3>, _: Option<Tensor<3>>) -> Tensor<3> {
    never()
}

pub fn norm_gradients(_: Norm, _: [Tensor<3>; 3], _: bool) -> (Tensor<3>, Option<Tensor<3>>) {
    never()
}

pub fn swiglu(_: Tensor<3>, _: Tensor<3>) -> Tensor<3> {
    never()
}

pub fn swiglu_gradients(_: Tensor<3>, _: Tensor<3>, _: Tensor<3>) -> [Tensor<3>; 2] {
    never()
}

pub fn rope(_: Tensor<4>, _: Tensor<3>, _: Tensor<3>, _: Turn) -> Tensor<4> {
    never()
}

pub fn adamw(_: Vec<Moments>, _: &Tensor<1>, _: Factors) -> Vec<[Tensor<1>; 3]> {
    never()
}

pub fn sum_of_squares(_: Vec<Tensor<1>>, _: &Device) -> Tensor<1> {
    never()
}

fn never() -> ! {
    unreachable!("no kernel serves a device of this build")
}
