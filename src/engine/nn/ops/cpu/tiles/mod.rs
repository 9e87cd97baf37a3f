//! Products of matrices in bf16, a square of 32 × 32 numbers of the result at a time: on tiles of 16 × 16 numbers (Intel's
//! AMX), or by AVX-512's sums of products of pairs. Sums are `f32`; the result is rounded once.
//!
//! Both read the same packed form: a block of 32 steps of the sum is two tiles of 16 rows of `a`, each with its 32 numbers
//! in order, and two of 16 columns of `b`, each pair of steps side by side ("VNNI"; Intel 64 manual, volume 2, `TDPBF16PS`).

mod amx;
mod avx512;
mod few;
mod pack;
mod single;
mod sums;
mod task;

use std::sync::LazyLock;

use half::bf16;

use super::gemm::{Into, Matrix};

pub use few::few_rows;

/// What multiplies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Amx,
    Avx512,
}

impl Unit {
    /// Those of this machine, the fastest first.
    fn all() -> Vec<Self> {
        let vectors = ["avx512f", "avx512bw", "avx512bf16"];
        if !avx512::here() {
            tracing::debug!("products in bf16 by way of f32: not all of {vectors:?} are here");
            return Vec::new();
        }
        let amx = amx::here().then_some(Self::Amx);
        amx.into_iter().chain([Self::Avx512]).collect()
    }
}

static UNIT: LazyLock<Option<Unit>> = LazyLock::new(|| Unit::all().first().copied());

/// Whether this machine multiplies numbers in bf16.
pub fn here() -> bool {
    UNIT.is_some()
}

/// A part of a sum of products, `a · b` for `a` `[m, k]` and `b` `[k, n]`; the numbers of each lie side by side along one
/// of its axes.
#[derive(Clone, Copy)]
pub struct Term<'a> {
    pub k: usize,
    pub a: Matrix<'a, bf16>,
    pub b: Matrix<'a, bf16>,
}

/// The sum of the terms, `[m, n]`, in bf16.
///
/// # Panics
/// If a slice is too short for its matrix, or the machine does not multiply these (see [`here`]).
pub fn product(dims: [usize; 2], terms: &[Term<'_>]) -> Vec<bf16> {
    task::product_on(UNIT.expect("a machine that multiplies in bf16"), dims, terms)
}

/// `out (+)= factor · a · b` for `a` `[m, k]` and `b` `[k, n]`, whose numbers are rounded to bf16, and `out` `[m, n]` in rows
/// of `n`: as [`product`](super::gemm::product), in the calling thread.
///
/// # Panics
/// If a slice is too short for its matrix, or the machine does not multiply these (see [`here`]).
pub fn rounded_product(
    dims: [usize; 3],
    factor: f32,
    a: Matrix<'_>,
    b: Matrix<'_>,
    out: &mut [f32],
    into: Into,
) {
    single::product_on(UNIT.expect("a machine that multiplies in bf16"), dims, factor, [a, b], (out, into));
}

#[cfg(test)]
mod tests;
