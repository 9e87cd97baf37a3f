//! Matrix products. Every product of the engine goes through here, because Burn misreads operands
//! of two element types on CUDA instead of refusing them.

use burn::tensor::Tensor;

use super::cpu::{self, WeightLayout};
use super::formula;

/// Stops a product of two element types, which CUDA would calculate from misread bytes.
pub(super) fn assert_same_dtype<const D: usize, const E: usize>(
    operation: &str,
    a: &Tensor<D>,
    b: &Tensor<E>,
) {
    assert!(
        a.dtype() == b.dtype(),
        "{operation}: the operands have different element types ({:?} {:?} and {:?} {:?}); cast one of them first",
        a.dtype(),
        a.dims(),
        b.dtype(),
        b.dims(),
    );
}

/// `a · b`: `[M, K] × [K, N] -> [M, N]`.
///
/// # Panics
/// If the element types differ.
pub fn matmul2(a: Tensor<2>, b: Tensor<2>) -> Tensor<2> {
    assert_same_dtype("matmul2", &a, &b);
    a.matmul(b)
}

/// `x · weightᵀ` for a weight as Hugging Face stores it: `[B, T, I] × [O, I] -> [B, T, O]`.
///
/// # Panics
/// If the element types differ, or the widths.
pub fn linear(x: Tensor<3>, weight: Tensor<2>) -> Tensor<3> {
    assert_same_dtype("linear", &x, &weight);
    let [b, t, i] = x.dims();
    let [o, width] = weight.dims();
    assert!(i == width, "linear: input {:?} and weight [{o}, {width}]", x.dims());
    if cpu::fits_linear(&x) && cpu::fits_linear(&weight) {
        return cpu::linear(x, weight, WeightLayout::OutIn);
    }
    formula::linear(x.reshape([b * t, i]), weight, false).reshape([b, t, o])
}

/// `x · weight` for a weight stored input first (GPT-2's `Conv1D`, adapter factors):
/// `[B, T, I] × [I, O] -> [B, T, O]`.
///
/// # Panics
/// If the element types differ, or the widths.
pub fn linear_in_out(x: Tensor<3>, weight: Tensor<2>) -> Tensor<3> {
    assert_same_dtype("linear_in_out", &x, &weight);
    let [b, t, i] = x.dims();
    let [width, o] = weight.dims();
    assert!(i == width, "linear_in_out: input {:?} and weight [{width}, {o}]", x.dims());
    if cpu::fits_linear(&x) && cpu::fits_linear(&weight) {
        return cpu::linear(x, weight, WeightLayout::InOut);
    }
    formula::linear(x.reshape([b * t, i]), weight, true).reshape([b, t, o])
}

/// The low-rank map beside a linear one.
pub struct LowRank {
    /// `[rank, I]`.
    pub a: Tensor<2>,
    /// `[O, rank]`.
    pub b: Tensor<2>,
    pub scale: f64,
}

/// Whether [`linear_adapted`] is a single kernel for such an input.
pub fn adapts_at_once(x: &Tensor<3>) -> bool {
    cpu::adapts(x)
}

/// [`linear`], or [`linear_in_out`] where the weight is stored input first, plus `scale · (x · aᵀ) · bᵀ`.
///
/// # Panics
/// As these.
pub fn linear_adapted(x: Tensor<3>, weight: Tensor<2>, input_first: bool, low: LowRank) -> Tensor<3> {
    let LowRank { a, b, scale } = low;
    let layout = if input_first { WeightLayout::InOut } else { WeightLayout::OutIn };
    let one_type =
        [&weight, &a, &b].iter().all(|matrix| matrix.dtype() == x.dtype() && cpu::fits_rounded(*matrix));
    if cpu::adapts(&x) && one_type {
        assert_adapted(&x, &weight, input_first, [&a, &b]);
        return cpu::linear_adapted(x, weight, layout, [a, b], scale);
    }
    let plain = if input_first { linear_in_out(x.clone(), weight) } else { linear(x.clone(), weight) };
    plain + linear(linear(x, a) * scale, b)
}

fn assert_adapted(x: &Tensor<3>, weight: &Tensor<2>, input_first: bool, [a, b]: [&Tensor<2>; 2]) {
    let [_, _, i] = x.dims();
    let [rows, columns] = weight.dims();
    let [inputs, outputs] = if input_first { [rows, columns] } else { [columns, rows] };
    let [rank, width] = a.dims();
    assert!(
        i == inputs && i == width && b.dims() == [outputs, rank],
        "linear_adapted: input {:?}, weight {:?}, factors {:?} and {:?}",
        x.dims(),
        weight.dims(),
        a.dims(),
        b.dims(),
    );
}
