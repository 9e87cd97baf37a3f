//! An update of AdamW (Loshchilov and Hutter 2017, arXiv:1711.05101) in one pass over parameter, gradient and moments.

use cubecl::prelude::*;

use crate::launch::{Buffer, Target, cubes, lanes, start};

const UNITS: u32 = 256;

/// What is updated, `f32` and of one length.
#[derive(Clone, Debug)]
pub struct AdamW {
    /// Overwritten, as the moments are.
    pub param: Buffer,
    pub gradient: Buffer,
    pub m: Buffer,
    pub v: Buffer,
    /// `[1]`: factor on the gradient.
    pub scale: Buffer,
    pub factors: Factors,
}

/// The numbers of one update.
#[derive(Clone, Copy, Debug)]
pub struct Factors {
    pub beta1: f32,
    /// `1 − beta1`.
    pub rest1: f32,
    pub beta2: f32,
    /// `1 − beta2`.
    pub rest2: f32,
    /// What the decay leaves of the parameter: `1 − lr · decay`.
    pub keep: f32,
    /// `lr / (1 − beta1^t)`.
    pub step: f32,
    /// `√(1 − beta2^t)`.
    pub root: f32,
    pub eps: f32,
}

/// Updates parameter and moments.
///
/// # Panics
/// If the lengths differ.
pub fn adamw(target: Target<'_>, of: AdamW) {
    let elements = of.param.len();
    assert!([of.gradient.len(), of.m.len(), of.v.len()] == [elements; 3], "adamw: lengths");
    assert!(of.scale.len() == 1, "adamw: scale");
    if elements == 0 {
        return;
    }
    let lanes = lanes(elements);
    let dim = CubeDim::new_1d(UNITS);
    let count = cubes(&target, elements / lanes, dim);
    let Factors { beta1, rest1, beta2, rest2, keep, step, root, eps } = of.factors;
    start!(
        updated,
        target,
        count,
        dim,
        lanes,
        of.param.arg(),
        of.gradient.arg(),
        of.m.arg(),
        of.v.arg(),
        of.scale.arg(),
        (elements / lanes) as u32,
        NumbersLaunch::new(beta1, rest1, beta2, rest2, keep, step, root, eps),
    );
}

/// [`Factors`], for the kernel.
#[derive(CubeLaunch, CubeType)]
struct Numbers {
    beta1: f32,
    rest1: f32,
    beta2: f32,
    rest2: f32,
    keep: f32,
    step: f32,
    root: f32,
    eps: f32,
}

#[cube(launch, create_dummy_kernel)]
fn updated<N: Size>(
    param: &mut [Vector<f32, N>],
    gradient: &[Vector<f32, N>],
    m: &mut [Vector<f32, N>],
    v: &mut [Vector<f32, N>],
    scale: &[f32],
    vectors: u32,
    numbers: Numbers,
) {
    let at = ABSOLUTE_POS;
    if at >= vectors as usize {
        terminate!();
    }
    let g = gradient[at] * Vector::new(scale[0]);
    let first = m[at] * Vector::new(numbers.beta1) + g * Vector::new(numbers.rest1);
    let second = v[at] * Vector::new(numbers.beta2) + g * g * Vector::new(numbers.rest2);
    let denominator = second.sqrt() / Vector::new(numbers.root) + Vector::new(numbers.eps);
    param[at] = param[at] * Vector::new(numbers.keep) - first / denominator * Vector::new(numbers.step);
    m[at] = first;
    v[at] = second;
}
