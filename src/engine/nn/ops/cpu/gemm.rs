//! Matrix products through the `gemm` crate.

use ::gemm::Parallelism;

/// A matrix in a slice: element `(i, j)` is at `i·rows + j·columns`.
#[derive(Clone, Copy)]
pub struct Matrix<'a> {
    pub elements: &'a [f32],
    /// Distance of two rows.
    pub rows: usize,
    /// Distance of two columns.
    pub columns: usize,
}

impl<'a> Matrix<'a> {
    /// Rows of neighbouring elements, `rows` apart.
    pub fn by_rows(elements: &'a [f32], rows: usize) -> Self {
        Self { elements, rows, columns: 1 }
    }

    /// The transposed matrix.
    pub fn transposed(self) -> Self {
        Self { rows: self.columns, columns: self.rows, ..self }
    }

    /// Whether an `m × n` matrix of these distances lies within the slice.
    fn holds(&self, m: usize, n: usize) -> bool {
        m == 0 || n == 0 || (m - 1) * self.rows + (n - 1) * self.columns < self.elements.len()
    }
}

/// Whether a product replaces the result or is added to it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Into {
    Replace,
    Add,
}

/// `out (+)= factor · a · b` for `a` `[m, k]`, `b` `[k, n]`, `out` `[m, n]` in rows of `n`, in the
/// calling thread.
///
/// # Panics
/// If a slice is too short for its matrix.
pub fn product(dims: [usize; 3], factor: f32, a: Matrix<'_>, b: Matrix<'_>, out: &mut [f32], into: Into) {
    assert_held(dims, a, b);
    assert!(dims[0] * dims[2] <= out.len(), "product {dims:?}: the result is too short");
    #[expect(unsafe_code, reason = "the gemm crate takes pointers")]
    // SAFETY: the assertions above; `out` is borrowed mutably, so it overlaps neither operand.
    unsafe {
        call(dims, factor, a, b, out.as_mut_ptr(), into, Parallelism::None);
    }
}

/// `a · b` `[m, n]` for `a` `[m, k]`, `b` `[k, n]`, on all threads if it is large.
///
/// # Panics
/// If a slice is too short for its matrix.
pub fn large_product([m, k, n]: [usize; 3], a: Matrix<'_>, b: Matrix<'_>) -> Vec<f32> {
    /// Multiplications that pay for handing out work.
    const LARGE: usize = 128 * 128 * 128;
    let threads = if m * k * n >= LARGE { Parallelism::Rayon(0) } else { Parallelism::None };
    let mut out = Vec::with_capacity(m * n);
    // Thin products go through other loops of the crate, which may read what they replace.
    if m < 2 || n < 2 || k < 3 {
        out.resize(m * n, 0.0);
    }
    assert_held([m, k, n], a, b);
    #[expect(unsafe_code, reason = "the gemm crate takes pointers")]
    // SAFETY: the assertion above, and `out` has room for `m · n` elements, all of which the product
    // writes without reading them (`Into::Replace`), so that they may be counted afterwards.
    unsafe {
        call([m, k, n], 1.0, a, b, out.as_mut_ptr(), Into::Replace, threads);
        out.set_len(m * n);
    }
    out
}

fn assert_held([m, k, n]: [usize; 3], a: Matrix<'_>, b: Matrix<'_>) {
    assert!(a.holds(m, k) && b.holds(k, n), "product of [{m}, {k}] and [{k}, {n}]: a slice is too short");
}

/// # Safety
/// `a` and `b` hold their matrices, `out` is valid for writing `m · n` elements (for reading too, if
/// they are added to) and overlaps neither.
#[expect(unsafe_code, reason = "the gemm crate takes pointers")]
unsafe fn call(
    [m, k, n]: [usize; 3],
    factor: f32,
    a: Matrix<'_>,
    b: Matrix<'_>,
    out: *mut f32,
    into: Into,
    threads: Parallelism,
) {
    // SAFETY: the caller's promise.
    unsafe {
        ::gemm::gemm(
            m,
            n,
            k,
            out,
            1,
            n as isize,
            into == Into::Add,
            a.elements.as_ptr(),
            a.columns as isize,
            a.rows as isize,
            b.elements.as_ptr(),
            b.columns as isize,
            b.rows as isize,
            1.0,
            factor,
            false,
            false,
            false,
            threads,
        );
    }
}
