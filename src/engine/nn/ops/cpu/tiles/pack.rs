//! Matrices packed for [`super`]: panels of 32 lanes (rows of `a`, columns of `b`), each a list of blocks.

use std::arch::x86_64::{
    __m512i, __mmask16, __mmask32, _mm512_add_epi16, _mm512_cvtne2ps_pbh, _mm512_maskz_loadu_epi16,
    _mm512_maskz_loadu_ps, _mm512_permutex2var_epi16, _mm512_set_epi16, _mm512_set1_epi16,
    _mm512_setzero_si512, _mm512_shuffle_i32x4, _mm512_storeu_si512, _mm512_unpackhi_epi32,
    _mm512_unpackhi_epi64, _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
};
use std::ops::Range;

use half::bf16;

use super::super::gemm::Matrix;
use super::sums::enlarged;

/// Lanes of a tile.
pub const LANES: usize = 16;
/// Steps of the sum in a tile.
pub const STEPS: usize = 32;
/// Lanes of a panel, two tiles.
pub const PANEL: usize = 2 * LANES;

/// 32 numbers of a tile, as they are loaded.
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C, align(64))]
pub struct Line(pub [u16; STEPS]);

/// 16 lanes by 32 steps.
pub type Tile = [Line; LANES];

/// Two tiles: 32 lanes by 32 steps.
pub type Block = [Tile; 2];

/// 32 lanes of `a`, the 32 steps of each block side by side: packed, or where they are.
#[derive(Clone, Copy)]
pub struct Panel<'a> {
    numbers: &'a [u16],
    /// Numbers from a lane to the next.
    pub lane: usize,
    /// Numbers from a block to the next.
    pub block: usize,
    pub blocks: usize,
}

impl<'a> Panel<'a> {
    fn new(numbers: &'a [u16], [lane, block]: [usize; 2], blocks: usize) -> Self {
        let last = (PANEL - 1) * lane + blocks.saturating_sub(1) * block + STEPS;
        assert!(blocks > 0 && last <= numbers.len(), "a whole panel of {blocks} blocks");
        Self { numbers, lane, block, blocks }
    }

    /// Of blocks that are [packed](pack).
    pub fn packed(blocks: &'a [Block]) -> Self {
        let lines = blocks.as_flattened().as_flattened();
        Self::new(bytemuck::cast_slice(lines), [STEPS, PANEL * STEPS], blocks.len())
    }

    /// Of a matrix `[lanes, steps]`, from `at` on; None where the steps are not side by side, or no whole blocks.
    pub fn within(matrix: Matrix<'a, bf16>, at: [usize; 2], [lanes, steps]: [usize; 2]) -> Option<Self> {
        let whole = matrix.columns == 1 && lanes >= PANEL && steps.is_multiple_of(STEPS);
        let numbers = || bytemuck::cast_slice(&matrix.elements[at[0] * matrix.rows + at[1]..]);
        whole.then(|| Self::new(numbers(), [matrix.rows, STEPS], steps / STEPS))
    }

    /// The numbers of a lane in a block.
    #[inline(always)]
    pub fn line(&self, lane: usize, block: usize) -> &'a [u16] {
        &self.numbers[lane * self.lane + block * self.block..][..STEPS]
    }

    /// All of them, which are there.
    pub fn as_ptr(&self) -> *const u16 {
        self.numbers.as_ptr()
    }
}

const EMPTY: Block = [[Line([0; STEPS]); LANES]; 2];

/// What a line of a tile holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// The steps of one lane.
    Rows,
    /// Two steps of every lane, side by side.
    Pairs,
}

/// Some lanes and steps of a matrix `[lanes, steps]` in `room`, panel after panel; what is missing of a block is zero.
///
/// # Panics
/// If the matrix does not hold them, or neither axis has its numbers side by side, or without AVX-512.
pub fn pack<'a, E: Number>(
    matrix: Matrix<'_, E>,
    lanes: Range<usize>,
    steps: Range<usize>,
    form: Form,
    room: &'a mut Vec<Block>,
) -> &'a [Block] {
    matrix.assert_holds("packing", [lanes.end, steps.end]);
    assert!(matrix.columns == 1 || matrix.rows == 1, "numbers side by side along an axis");
    assert!(super::avx512::here(), "packing with AVX-512");
    let blocks = steps.len().div_ceil(STEPS);
    let to = enlarged(room, lanes.len().div_ceil(PANEL) * blocks, EMPTY);
    for (panel, to) in to.chunks_exact_mut(blocks).enumerate() {
        let lane = lanes.start + panel * PANEL;
        for (block, to) in to.iter_mut().enumerate() {
            let step = steps.start + block * STEPS;
            let size = [(lanes.end - lane).min(PANEL), (steps.end - step).min(STEPS)];
            #[expect(unsafe_code, reason = "vectors are loaded from pointers")]
            // SAFETY: the assertions above: the features are here, and these lanes and steps lie within the matrix.
            unsafe {
                fill(matrix, [lane, step], size, form, to);
            }
        }
    }
    to
}

/// `size` lanes and steps from `at` on, and zeros.
///
/// # Safety
/// The matrix holds them; the features are here.
#[expect(unsafe_code, reason = "vectors are loaded from pointers")]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
unsafe fn fill<E: Number>(
    matrix: Matrix<'_, E>,
    at: [usize; 2],
    size: [usize; 2],
    form: Form,
    to: &mut Block,
) {
    let from = matrix.elements[at[0] * matrix.rows + at[1] * matrix.columns..].as_ptr();
    // SAFETY: the caller's promise.
    let (tiles, is) = unsafe {
        match matrix.columns {
            1 => (rows::<E>(from, matrix.rows, size), Form::Rows),
            _ => (pairs::<E>(from, matrix.columns, size), Form::Pairs),
        }
    };
    for (to, mut lines) in to.iter_mut().zip(tiles) {
        if is != form {
            transpose(&mut lines);
        }
        for (to, line) in to.iter_mut().zip(lines) {
            // SAFETY: a line has the size of a vector.
            unsafe { _mm512_storeu_si512(to.0.as_mut_ptr().cast(), line) };
        }
    }
}

/// The lines of a [`Tile`] in registers.
type Lines = [__m512i; LANES];

/// Numbers that are packed: in bf16, or in `f32`, which are rounded to it.
pub trait Number: Copy {
    /// As many numbers, from 0 to 32 of them, and zeros behind.
    ///
    /// # Safety
    /// They can be read; the features are here.
    #[expect(unsafe_code, reason = "vectors are loaded from pointers")]
    unsafe fn load(from: *const Self, count: usize) -> __m512i;
}

impl Number for bf16 {
    #[expect(unsafe_code, reason = "vectors are loaded from pointers")]
    #[inline(always)]
    unsafe fn load(from: *const Self, count: usize) -> __m512i {
        // SAFETY: the caller's promise.
        unsafe { load_halves(from.cast(), count) }
    }
}

impl Number for f32 {
    #[expect(unsafe_code, reason = "vectors are loaded from pointers")]
    #[inline(always)]
    unsafe fn load(from: *const Self, count: usize) -> __m512i {
        // SAFETY: the caller's promise.
        unsafe { load_rounded(from, count) }
    }
}

/// # Safety
/// As [`Number::load`].
#[expect(unsafe_code, reason = "vectors are loaded from pointers")]
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
unsafe fn load_halves(from: *const i16, count: usize) -> __m512i {
    let mask = (1_u64 << count).wrapping_sub(1) as __mmask32;
    // SAFETY: the caller's promise.
    unsafe { _mm512_maskz_loadu_epi16(mask, from) }
}

/// # Safety
/// As [`Number::load`].
#[expect(unsafe_code, reason = "vectors are loaded from pointers")]
#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
unsafe fn load_rounded(from: *const f32, count: usize) -> __m512i {
    let mask = (1_u64 << count).wrapping_sub(1) as __mmask32;
    // SAFETY: the caller's promise: what is masked is not read. Both vector types are 64 bytes of plain bits.
    unsafe {
        let first = _mm512_maskz_loadu_ps(mask as __mmask16, from);
        let second = _mm512_maskz_loadu_ps((mask >> 16) as __mmask16, from.wrapping_add(LANES));
        std::mem::transmute(_mm512_cvtne2ps_pbh(second, first))
    }
}

/// Lanes that lie `apart`, their steps side by side.
///
/// # Safety
/// They can be read; the features are here.
#[expect(unsafe_code, reason = "vectors are loaded from pointers")]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
unsafe fn rows<E: Number>(from: *const E, apart: usize, [lanes, steps]: [usize; 2]) -> [Lines; 2] {
    let mut tiles = [[_mm512_setzero_si512(); LANES]; 2];
    for (lane, line) in tiles.as_flattened_mut().iter_mut().enumerate().take(lanes) {
        // SAFETY: the caller's promise.
        *line = unsafe { E::load(from.add(lane * apart), steps) };
    }
    tiles
}

/// Steps that lie `apart`, their lanes side by side: each two of them, number by number.
///
/// # Safety
/// As [`rows`].
#[expect(unsafe_code, reason = "vectors are loaded from pointers")]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
unsafe fn pairs<E: Number>(from: *const E, apart: usize, [lanes, steps]: [usize; 2]) -> [Lines; 2] {
    // Number `n` of the first step and of the second, which counts from 32 on, side by side.
    let order = _mm512_set_epi16(
        47, 15, 46, 14, 45, 13, 44, 12, 43, 11, 42, 10, 41, 9, 40, 8, 39, 7, 38, 6, 37, 5, 36, 4, 35, 3, 34,
        2, 33, 1, 32, 0,
    );
    let orders = [order, _mm512_add_epi16(order, _mm512_set1_epi16(LANES as i16))];
    let mut tiles = [[_mm512_setzero_si512(); LANES]; 2];
    for pair in 0..steps.div_ceil(2) {
        // SAFETY: the caller's promise, of a step that there is.
        let step = |step: usize| unsafe { E::load(from.add(step * apart), lanes) };
        let first = step(2 * pair);
        let second = if 2 * pair + 1 < steps { step(2 * pair + 1) } else { _mm512_setzero_si512() };
        for (tile, order) in tiles.iter_mut().zip(orders) {
            tile[pair] = _mm512_permutex2var_epi16(first, order, second);
        }
    }
    tiles
}

/// 16 × 16 numbers of 32 bits, rows and columns exchanged: which turns either [`Form`] into the other.
#[target_feature(enable = "avx512f")]
fn transpose(lines: &mut Lines) {
    let mut two = [_mm512_setzero_si512(); LANES];
    for at in (0..LANES).step_by(2) {
        two[at] = _mm512_unpacklo_epi32(lines[at], lines[at + 1]);
        two[at + 1] = _mm512_unpackhi_epi32(lines[at], lines[at + 1]);
    }
    // In `four[4g + c]`, the part `p` of four is column `4p + c` of the rows `4g` to `4g + 3`.
    let mut four = [_mm512_setzero_si512(); LANES];
    for at in (0..LANES).step_by(4) {
        four[at] = _mm512_unpacklo_epi64(two[at], two[at + 2]);
        four[at + 1] = _mm512_unpackhi_epi64(two[at], two[at + 2]);
        four[at + 2] = _mm512_unpacklo_epi64(two[at + 1], two[at + 3]);
        four[at + 3] = _mm512_unpackhi_epi64(two[at + 1], two[at + 3]);
    }
    const EVEN: i32 = 0b10_00_10_00;
    const ODD: i32 = 0b11_01_11_01;
    for column in 0..4 {
        let even = [0, 8].map(|at| _mm512_shuffle_i32x4::<EVEN>(four[at + column], four[at + 4 + column]));
        let odd = [0, 8].map(|at| _mm512_shuffle_i32x4::<ODD>(four[at + column], four[at + 4 + column]));
        lines[column] = _mm512_shuffle_i32x4::<EVEN>(even[0], even[1]);
        lines[4 + column] = _mm512_shuffle_i32x4::<EVEN>(odd[0], odd[1]);
        lines[8 + column] = _mm512_shuffle_i32x4::<ODD>(even[0], even[1]);
        lines[12 + column] = _mm512_shuffle_i32x4::<ODD>(odd[0], odd[1]);
    }
}
