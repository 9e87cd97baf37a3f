//! Products of matrices in bf16 (see `tiles`): this processor's instructions for them are not used.

use half::bf16;

use super::gemm::{Into, Matrix};

/// Whether this machine multiplies numbers in bf16.
pub fn here() -> bool {
    false
}

/// A part of a sum of products.
#[derive(Clone, Copy)]
pub struct Term<'a> {
    pub k: usize,
    pub a: Matrix<'a, bf16>,
    pub b: Matrix<'a, bf16>,
}

/// The sum of the terms.
///
/// # Panics
/// Always: see [`here`].
pub fn product(_dims: [usize; 2], _terms: &[Term<'_>]) -> Vec<bf16> {
    unreachable!("products in bf16 where there are none")
}

/// `out (+)= factor · a · b` of operands that are rounded.
///
/// # Panics
/// Always: see [`here`].
pub fn rounded_product(
    _dims: [usize; 3],
    _factor: f32,
    _a: Matrix<'_>,
    _b: Matrix<'_>,
    _out: &mut [f32],
    _into: Into,
) {
    unreachable!("products in bf16 where there are none")
}

/// `x · wᵀ` of a few rows.
///
/// # Panics
/// Always: see [`here`].
pub fn few_rows(_x: &[bf16], _w: &[bf16], _dims: [usize; 3]) -> Vec<f32> {
    unreachable!("products in bf16 where there are none")
}
