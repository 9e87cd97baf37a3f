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
    call(dims, factor, a, b, out, into, Parallelism::None);
}

/// `out = a · b`, on all threads if it is large.
///
/// # Panics
/// If a slice is too short for its matrix.
pub fn large_product(dims: [usize; 3], a: Matrix<'_>, b: Matrix<'_>, out: &mut [f32]) {
    /// Multiplications that pay for handing out work.
    const LARGE: usize = 128 * 128 * 128;
    let large = dims.iter().product::<usize>() >= LARGE;
    let threads = if large { Parallelism::Rayon(0) } else { Parallelism::None };
    call(dims, 1.0, a, b, out, Into::Replace, threads);
}

fn call(
    [m, k, n]: [usize; 3],
    factor: f32,
    a: Matrix<'_>,
    b: Matrix<'_>,
    out: &mut [f32],
    into: Into,
    threads: Parallelism,
) {
    assert!(
        a.holds(m, k) && b.holds(k, n) && m * n <= out.len(),
        "product of [{m}, {k}] and [{k}, {n}]: a slice is too short",
    );
    #[expect(unsafe_code, reason = "the gemm crate takes pointers")]
    // SAFETY: the assertion above: every element the strides reach lies within its slice; `out` is
    // borrowed mutably, so it overlaps neither operand.
    unsafe {
        ::gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
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
