//! The same products by sums of products of pairs (AVX-512 BF16: Intel since Cooper Lake, AMD since Zen 4).

use std::arch::x86_64::{
    __m512, __m512bh, __m512i, _mm512_dpbf16_ps, _mm512_loadu_ps, _mm512_loadu_si512, _mm512_reduce_add_ps,
    _mm512_set1_epi32, _mm512_setzero_ps, _mm512_storeu_ps,
};

use half::bf16;

use super::pack::{Block, LANES, Line, Number, PANEL, Panel, STEPS};
use super::sums::assert_square;

/// Rows that are summed at once, in 16 of the 32 vector registers.
const TOGETHER: usize = 8;

/// Whether the processor has what this file and [`super::pack`] use.
pub fn here() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512bf16")
}

/// As [`super::amx::Tiles::add_product`].
///
/// # Panics
/// If the blocks are not of the same steps, or the square is not whole; without AVX-512 BF16.
pub fn add_product(a: Panel<'_>, b: &[Block], sums: &mut [f32], wide: usize, begun: bool) {
    assert_square(a, b, sums, wide);
    assert!(here(), "a machine with AVX-512 BF16");
    for first in (0..PANEL).step_by(TOGETHER) {
        #[expect(unsafe_code, reason = "vectors of AVX-512 BF16")]
        // SAFETY: the assertions above.
        unsafe {
            add_rows(a, b, &mut sums[first * wide..], first, (wide, begun));
        }
    }
}

/// Sums of the products of `x` with each of the rows.
///
/// # Panics
/// If one is not as long as `x`; without AVX-512 BF16.
pub fn dots<const N: usize>(rows: [&[bf16]; N], x: &[bf16]) -> [f32; N] {
    assert!(rows.iter().all(|row| row.len() == x.len()), "rows of one length");
    assert!(here(), "a machine with AVX-512 BF16");
    #[expect(unsafe_code, reason = "vectors of AVX-512 BF16")]
    // SAFETY: the assertions above.
    unsafe {
        sums_of_products(rows, x)
    }
}

/// # Safety
/// The rows are as long as `x`; the features are here.
#[expect(unsafe_code, reason = "vectors of AVX-512 BF16")]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
unsafe fn sums_of_products<const N: usize>(rows: [&[bf16]; N], x: &[bf16]) -> [f32; N] {
    let mut sums = [_mm512_setzero_ps(); N];
    for at in (0..x.len()).step_by(STEPS) {
        let count = STEPS.min(x.len() - at);
        // SAFETY: as many numbers are there from `at` on.
        let load = |numbers: &[bf16]| as_pairs(unsafe { bf16::load(numbers.as_ptr().add(at), count) });
        let x = load(x);
        for (sum, row) in sums.iter_mut().zip(rows) {
            *sum = _mm512_dpbf16_ps(*sum, load(row), x);
        }
    }
    let mut totals = [0.0; N];
    for (total, sum) in totals.iter_mut().zip(sums) {
        *total = _mm512_reduce_add_ps(sum);
    }
    totals
}

/// # Safety
/// `sums` has the rest of a square from row `first` on, in rows `wide` apart; the features are here.
#[expect(unsafe_code, reason = "vectors of AVX-512 BF16")]
#[target_feature(enable = "avx512f,avx512bf16")]
unsafe fn add_rows(a: Panel<'_>, b: &[Block], sums: &mut [f32], first: usize, (wide, begun): (usize, bool)) {
    let mut rows = [[_mm512_setzero_ps(); 2]; TOGETHER];
    if begun {
        for (row, halves) in rows.iter_mut().enumerate() {
            // SAFETY: two vectors of a row of the square.
            *halves = [0, LANES].map(|at| unsafe { _mm512_loadu_ps(sums[row * wide + at..].as_ptr()) });
        }
    }
    for (block, b) in b.iter().enumerate() {
        let lanes: [&[u16]; TOGETHER] = std::array::from_fn(|lane| a.line(first + lane, block));
        for (pair, (first, second)) in b[0].iter().zip(&b[1]).enumerate() {
            let columns = [vector(first), vector(second)];
            for (lane, halves) in lanes.into_iter().zip(&mut rows) {
                add_pair(lane, pair, columns, halves);
            }
        }
    }
    for (row, halves) in rows.into_iter().enumerate() {
        for (at, half) in [0, LANES].into_iter().zip(halves) {
            // SAFETY: two vectors of a row of the square.
            unsafe { _mm512_storeu_ps(sums[row * wide + at..].as_mut_ptr(), half) };
        }
    }
}

/// Adds a pair of a lane times the same pair of 32 columns.
#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
fn add_pair(lane: &[u16], pair: usize, columns: [__m512bh; 2], halves: &mut [__m512; 2]) {
    let [low, high] = [lane[2 * pair], lane[2 * pair + 1]].map(u32::from);
    let numbers = as_pairs(_mm512_set1_epi32((high << 16 | low).cast_signed()));
    for (half, columns) in halves.iter_mut().zip(columns) {
        *half = _mm512_dpbf16_ps(*half, numbers, columns);
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn vector(line: &Line) -> __m512bh {
    #[expect(unsafe_code, reason = "vectors are loaded from pointers")]
    // SAFETY: a line has the size of a vector.
    as_pairs(unsafe { _mm512_loadu_si512(line.0.as_ptr().cast()) })
}

#[inline]
#[target_feature(enable = "avx512f")]
fn as_pairs(bits: __m512i) -> __m512bh {
    #[expect(unsafe_code, reason = "one vector type as another")]
    // SAFETY: both are 64 bytes of plain bits.
    unsafe {
        std::mem::transmute(bits)
    }
}
