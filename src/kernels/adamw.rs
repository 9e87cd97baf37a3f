//! An update of AdamW (Loshchilov and Hutter 2017, arXiv:1711.05101) in one pass over parameter, gradient and moments.

use cubecl::prelude::*;

use crate::launch::{Buffer, Target, cubes, lanes, start};

const UNITS: u32 = 256;

/// So many tensors at most in one launch. The factors of LoRA at all matrices of a block are twice as many, and drivers
/// that bind no more than 32 buffers have room for it.
pub const TOGETHER: usize = 7;

/// What is updated, `f32`.
#[derive(Clone, Debug)]
pub struct AdamW {
    /// From one to [`TOGETHER`].
    pub tensors: Vec<Moments>,
    /// `[1]`: factor on the gradients.
    pub scale: Buffer,
    pub factors: Factors,
}

/// One parameter, with buffers of one length.
#[derive(Clone, Debug)]
pub struct Moments {
    /// Overwritten, as the moments are.
    pub param: Buffer,
    pub gradient: Buffer,
    pub m: Buffer,
    pub v: Buffer,
}

impl Moments {
    fn arg<N: Size>(self, lanes: usize) -> StateLaunch<N> {
        let Self { param, gradient, m, v } = self;
        let length = param.len();
        assert!([gradient.len(), m.len(), v.len()] == [length; 3], "adamw: lengths");
        let vectors = (length / lanes) as u32;
        StateLaunch::new(param.arg(), gradient.arg(), m.arg(), v.arg(), vectors)
    }
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

/// Updates parameters and moments.
///
/// # Panics
/// If the lengths differ, or there are too many tensors.
pub fn adamw(target: Target<'_>, of: AdamW) {
    assert!(of.tensors.len() <= TOGETHER && of.scale.len() == 1, "adamw: too much");
    let lanes = of.tensors.iter().map(|moments| lanes(moments.param.len())).min().unwrap_or(1);
    let units = of.tensors.iter().map(|moments| moments.param.len() / lanes).sum();
    if units == 0 {
        return;
    }
    let dim = CubeDim::new_1d(UNITS);
    let count = cubes(&target, units, dim);
    let tensors = of.tensors.into_iter().map(|moments| moments.arg(lanes)).collect();
    let Factors { beta1, rest1, beta2, rest2, keep, step, root, eps } = of.factors;
    start!(
        updated,
        target,
        count,
        dim,
        lanes,
        tensors,
        of.scale.arg(),
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

/// [`Moments`], for the kernel.
#[derive(CubeLaunch, CubeType)]
struct State<N: Size> {
    param: Box<[Vector<f32, N>]>,
    gradient: Box<[Vector<f32, N>]>,
    m: Box<[Vector<f32, N>]>,
    v: Box<[Vector<f32, N>]>,
    vectors: u32,
}

/// The units are shared out to the tensors one after the other.
#[cube(launch, create_dummy_kernel)]
fn updated<N: Size>(tensors: &mut Sequence<State<N>>, scale: &[f32], numbers: Numbers) {
    let mut at = ABSOLUTE_POS;
    #[unroll]
    for index in 0..tensors.len() {
        let state = &mut tensors[index];
        let vectors = state.vectors as usize;
        if at < vectors {
            let g = state.gradient[at] * Vector::new(scale[0]);
            let first = state.m[at] * Vector::new(numbers.beta1) + g * Vector::new(numbers.rest1);
            let second = state.v[at] * Vector::new(numbers.beta2) + g * g * Vector::new(numbers.rest2);
            let denominator = second.sqrt() / Vector::new(numbers.root) + Vector::new(numbers.eps);
            let kept = state.param[at] * Vector::new(numbers.keep);
            state.param[at] = kept - first / denominator * Vector::new(numbers.step);
            state.m[at] = first;
            state.v[at] = second;
            terminate!();
        }
        at -= vectors;
    }
}
