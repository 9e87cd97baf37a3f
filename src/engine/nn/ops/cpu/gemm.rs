//! Matrix products through the `gemm` crate.

use ::gemm::Parallelism;
use rayon::prelude::*;

/// A matrix in a slice: element `(i, j)` is at `i·rows + j·columns`.
#[derive(Clone, Copy)]
pub struct Matrix<'a, E = f32> {
    pub elements: &'a [E],
    /// Distance of two rows.
    pub rows: usize,
    /// Distance of two columns.
    pub columns: usize,
}

impl<'a, E> Matrix<'a, E> {
    /// Rows of neighbouring elements, `rows` apart.
    pub fn by_rows(elements: &'a [E], rows: usize) -> Self {
        Self { elements, rows, columns: 1 }
    }

    /// The transposed matrix.
    pub fn transposed(self) -> Self {
        Self { rows: self.columns, columns: self.rows, ..self }
    }

    /// # Panics
    /// Unless an `m × n` matrix of these distances lies within the slice.
    pub fn assert_holds(&self, operation: &str, [m, n]: [usize; 2]) {
        let holds = m == 0 || n == 0 || (m - 1) * self.rows + (n - 1) * self.columns < self.elements.len();
        assert!(holds, "{operation}: a slice is too short for [{m}, {n}]");
    }
}

/// Whether a product replaces the result or is added to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Into {
    Replace,
    Add,
}

/// A way to calculate [`product`].
pub type Product = fn([usize; 3], f32, Matrix<'_>, Matrix<'_>, &mut [f32], Into);

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
        let job = Job { dims, factor, into, threads: Parallelism::None };
        call(job, a, b, out.as_mut_ptr(), dims[2]);
    }
}

/// `a · b` `[m, n]` for `a` `[m, k]`, `b` `[k, n]`, on all threads if it is large.
///
/// # Panics
/// If a slice is too short for its matrix.
pub fn large_product(dims: [usize; 3], a: Matrix<'_>, b: Matrix<'_>) -> Vec<f32> {
    let [m, _, n] = dims;
    let mut out = Vec::with_capacity(m * n);
    assert_held(dims, a, b);
    #[expect(unsafe_code, reason = "the gemm crate takes pointers")]
    // SAFETY: the assertion above; there is room for all elements, which are written, without being read.
    unsafe {
        shared_out(dims, 1.0, a, b, Target(out.as_mut_ptr()), Into::Replace);
        out.set_len(m * n);
    }
    out
}

/// `out += factor · a · b` for `out` `[m, n]` in rows of `n`, as [`large_product`].
///
/// # Panics
/// If a slice is too short for its matrix.
pub fn add_large_product(dims: [usize; 3], factor: f32, a: Matrix<'_>, b: Matrix<'_>, out: &mut [f32]) {
    assert_held(dims, a, b);
    assert!(dims[0] * dims[2] <= out.len(), "product {dims:?}: the result is too short");
    #[expect(unsafe_code, reason = "the gemm crate takes pointers")]
    // SAFETY: the assertions above; `out` is borrowed mutably, so it overlaps neither operand.
    unsafe {
        shared_out(dims, factor, a, b, Target(out.as_mut_ptr()), Into::Add);
    }
}

/// `target (+)= factor · a · b`, columns shared out among threads as [`partition`] says.
///
/// # Safety
/// `a` and `b` hold their matrices; `target` has room for `m` rows of `n` elements (which can be read, if they are added
/// to) and overlaps neither.
#[expect(unsafe_code, reason = "the gemm crate takes pointers")]
unsafe fn shared_out(
    dims: [usize; 3],
    factor: f32,
    a: Matrix<'_>,
    b: Matrix<'_>,
    target: Target,
    into: Into,
) {
    let [m, k, n] = dims;
    let (width, threads) = partition(dims);
    let piece = |first: usize| {
        let b = Matrix { elements: &b.elements[first * b.columns..], ..b };
        let job = Job { dims: [m, k, width.min(n - first)], factor, into, threads };
        // SAFETY: the caller's promise; this piece alone writes the columns from `first` on.
        unsafe {
            call(job, a, b, target.column(first), n);
        }
    };
    match width {
        0 => {}
        width if width >= n => piece(0),
        width => (0..n.div_ceil(width)).into_par_iter().for_each(|index| piece(index * width)),
    }
}

/// One call of the crate.
struct Job {
    dims: [usize; 3],
    factor: f32,
    into: Into,
    threads: Parallelism,
}

/// Columns of a piece, and whether the crate shares out each.
///
/// On few threads, a strip of columns each, without waiting for one another, is up to a tenth faster
/// than the crate's own sharing; with many, each would pack all of `a` again.
fn partition([m, k, n]: [usize; 3]) -> (usize, Parallelism) {
    /// Multiplications that pay for handing out work.
    const LARGE: usize = 128 * 128 * 128;
    /// The same of a single row: it costs what it costs to read the matrix.
    const LARGE_TO_READ: usize = 1 << 17;
    const NARROWEST: usize = 128;
    const FEW: usize = 8;
    let threads = rayon::current_num_threads();
    let small = if m == 1 { k * n < LARGE_TO_READ } else { m * k * n < LARGE };
    if small || threads == 1 {
        return (n, Parallelism::None);
    }
    let width = n.div_ceil(threads).next_multiple_of(NARROWEST);
    if threads > FEW || width >= n { (n, Parallelism::Rayon(0)) } else { (width, Parallelism::None) }
}

/// A matrix under construction, whose columns several threads write.
#[derive(Clone, Copy)]
struct Target(*mut f32);

impl Target {
    /// # Safety
    /// `index` lies within the matrix.
    #[expect(unsafe_code, reason = "threads write disjoint columns of one matrix")]
    unsafe fn column(self, index: usize) -> *mut f32 {
        // SAFETY: the caller's promise.
        unsafe { self.0.add(index) }
    }
}

#[expect(unsafe_code, reason = "threads write disjoint columns of one matrix")]
// SAFETY: only `shared_out` writes through one, and gives each thread columns of its own.
unsafe impl Sync for Target {}

fn assert_held([m, k, n]: [usize; 3], a: Matrix<'_>, b: Matrix<'_>) {
    a.assert_holds("product", [m, k]);
    b.assert_holds("product", [k, n]);
}

/// `out (+)= factor · a · b`. With [`Into::Replace`] the crate (0.19) writes every element and reads none.
///
/// # Safety
/// `a` and `b` hold their matrices; `out` is valid for writing `m` rows of `n` elements that lie `rows`
/// apart (for reading too, if they are added to) and overlaps neither.
#[expect(unsafe_code, reason = "the gemm crate takes pointers")]
unsafe fn call(job: Job, a: Matrix<'_>, b: Matrix<'_>, out: *mut f32, rows: usize) {
    let [m, k, n] = job.dims;
    // SAFETY: the caller's promise.
    unsafe {
        ::gemm::gemm(
            m,
            n,
            k,
            out,
            1,
            rows as isize,
            job.into == Into::Add,
            a.elements.as_ptr(),
            a.columns as isize,
            a.rows as isize,
            b.elements.as_ptr(),
            b.columns as isize,
            b.rows as isize,
            1.0,
            job.factor,
            false,
            false,
            false,
            job.threads,
        );
    }
}
