//! Sums of the squares of many tensors, for the norm over all of them.

use cubecl::prelude::*;

use crate::launch::{Buffer, Target, lanes, start};
use crate::row::summed;

const UNITS: usize = 256;

/// Partial sums that a tensor has, each of one cube.
pub const SUMS: usize = 64;

/// What is summed, and where to.
#[derive(Clone, Debug)]
pub struct Squares {
    /// `f32`, from one to [`TOGETHER`](crate::TOGETHER).
    pub tensors: Vec<Buffer>,
    /// `f32`, of whole rows of [`SUMS`] numbers: one for each tensor is written, whose sum is that of its squares.
    pub sums: Buffer,
    /// The row of the first tensor.
    pub first: usize,
}

/// Writes the partial sums.
///
/// # Panics
/// If there are too many tensors, or too few rows for them.
pub fn squares(target: Target<'_>, of: Squares) {
    let count = of.tensors.len();
    assert!(count <= crate::TOGETHER, "squares: too much");
    assert!((of.first + count) * SUMS <= of.sums.len(), "squares: lengths");
    if count == 0 {
        return;
    }
    let lanes = of.tensors.iter().map(|tensor| lanes(tensor.len())).min().unwrap_or(1);
    let tensors = of
        .tensors
        .into_iter()
        .map(|tensor| {
            let vectors = (tensor.len() / lanes) as u32;
            SummedLaunch::new(tensor.arg(), vectors)
        })
        .collect();
    start!(
        partial_sums,
        target,
        CubeCount::Static(SUMS as u32, count as u32, 1),
        CubeDim::new_1d(UNITS as u32),
        lanes,
        tensors,
        of.sums.arg(),
        of.first as u32,
        UNITS,
        SUMS,
    );
}

/// A tensor, for the kernel.
#[derive(CubeLaunch, CubeType)]
struct Summed<N: Size> {
    values: Box<[Vector<f32, N>]>,
    vectors: u32,
}

/// A row of cubes for each tensor.
#[cube(launch, create_dummy_kernel)]
fn partial_sums<N: Size>(
    tensors: &Sequence<Summed<N>>,
    sums: &mut [f32],
    first: u32,
    #[comptime] units: usize,
    #[comptime] cubes: usize,
) {
    let mut sum = Vector::<f32, N>::new(0.0);
    #[unroll]
    for index in 0..tensors.len() {
        if CUBE_POS_Y as usize == index {
            let tensor = &tensors[index];
            let mut at = ABSOLUTE_POS_X as usize;
            while at < tensor.vectors as usize {
                let value = tensor.values[at];
                sum += value * value;
                at += units * cubes;
            }
        }
    }
    let mut own = 0.0f32.runtime();
    #[unroll]
    for lane in 0..N::value() {
        own += sum.extract(lane);
    }
    let (all, _, _) = summed(own, 0.0, 0.0, comptime!(units as u32).runtime(), units);
    if UNIT_POS == 0 {
        sums[(first + CUBE_POS_Y) as usize * cubes + CUBE_POS_X as usize] = all;
    }
}
