//! Matrices in few bits made dense, in the element type that products take.

use cubecl::prelude::*;

use crate::launch::{Buffer, Element, Target, cubes, start};

/// Elements that a unit writes at a time.
const LANES: usize = 4;
const UNITS: u32 = 256;

/// Two codes a byte, the first in the high half.
#[derive(Clone, Debug)]
pub struct Nibbles {
    /// `u32`: four bytes a word, the first in the lowest bits.
    pub codes: Buffer,
    /// `[16]`, `f32`: what a code stands for.
    pub table: Buffer,
    /// `f32`, one for every `block` elements.
    pub scales: Buffer,
    /// A multiple of 8.
    pub block: usize,
    /// Written: a multiple of 8 elements.
    pub dense: Buffer,
    pub element: Element,
}

/// `table[code] · scale`.
///
/// # Panics
/// If the lengths do not fit one another.
pub fn nibbles(target: Target<'_>, of: Nibbles) {
    let elements = of.dense.len();
    assert!(elements.is_multiple_of(8) && of.block.is_multiple_of(8) && of.block > 0, "nibbles: blocks");
    assert!(of.codes.len() >= elements / 8 && of.table.len() == 16, "nibbles: codes");
    assert!(of.scales.len() >= elements.div_ceil(of.block), "nibbles: scales");
    if elements == 0 {
        return;
    }
    let dim = CubeDim::new_1d(UNITS);
    let count = cubes(&target, elements / 8, dim);
    start!(
        nibble_words,
        target,
        count,
        dim,
        LANES,
        of.codes.arg(),
        of.table.arg(),
        of.scales.arg(),
        of.dense.arg(),
        (elements / 8) as u32,
        (of.block / 8) as u32,
        of.element.kind(),
    );
}

#[cube(launch, create_dummy_kernel)]
fn nibble_words<F: Float, N: Size>(
    codes: &[u32],
    table: &[f32],
    scales: &[f32],
    dense: &mut [Vector<F, N>],
    words: u32,
    words_a_scale: u32,
    #[define(F)] _element: ElemType,
) {
    let at = ABSOLUTE_POS;
    if at >= words as usize {
        terminate!();
    }
    let word = codes[at];
    let scale = scales[at / words_a_scale as usize];
    #[unroll]
    for half in 0..2usize {
        let mut values = Vector::<f32, N>::new(0.0);
        #[unroll]
        for lane in 0..4usize {
            // The first element of a byte is in its high half.
            let shift = comptime!((half * 16 + lane / 2 * 8 + (1 - lane % 2) * 4) as u32);
            let code = (word >> shift) & 15u32;
            values.insert(lane, table[code as usize] * scale);
        }
        dense[at * 2 + half] = Vector::cast_from(values);
    }
}

/// A signed byte an element.
#[derive(Clone, Debug)]
pub struct Bytes {
    /// `u32`: four bytes a word, the first in the lowest bits.
    pub codes: Buffer,
    /// `f32`: one for every row, or every column.
    pub scales: Buffer,
    pub by_rows: bool,
    /// A multiple of 4.
    pub columns: usize,
    /// Written.
    pub dense: Buffer,
    pub element: Element,
}

/// `code · scale`.
///
/// # Panics
/// If the lengths do not fit one another.
pub fn bytes(target: Target<'_>, of: Bytes) {
    let elements = of.dense.len();
    assert!(of.columns > 0 && of.columns.is_multiple_of(4), "bytes: columns");
    assert!(elements.is_multiple_of(of.columns) && of.codes.len() >= elements / 4, "bytes: codes");
    let scales = if of.by_rows { elements / of.columns } else { of.columns };
    assert!(of.scales.len() == scales, "bytes: scales");
    if elements == 0 {
        return;
    }
    let dim = CubeDim::new_1d(UNITS);
    let count = cubes(&target, elements / 4, dim);
    start!(
        byte_words,
        target,
        count,
        dim,
        LANES,
        of.codes.arg(),
        of.scales.arg(),
        of.dense.arg(),
        (elements / 4) as u32,
        of.columns as u32,
        u32::from(of.by_rows),
        of.element.kind(),
    );
}

#[cube(launch, create_dummy_kernel)]
fn byte_words<F: Float, N: Size>(
    codes: &[u32],
    scales: &[f32],
    dense: &mut [Vector<F, N>],
    words: u32,
    columns: u32,
    by_rows: u32,
    #[define(F)] _element: ElemType,
) {
    let at = ABSOLUTE_POS;
    if at >= words as usize {
        terminate!();
    }
    let word = codes[at];
    let columns = columns as usize;
    let (row, column) = (at * 4 / columns, at * 4 % columns);
    let mut values = Vector::<f32, N>::new(0.0);
    #[unroll]
    for lane in 0..4usize {
        let shift = comptime!((lane * 8) as u32);
        let mut code = ((word >> shift) & 255u32) as i32;
        if code > 127 {
            code -= 256;
        }
        let mut of = row;
        if by_rows == 0 {
            of = column + lane;
        }
        values.insert(lane, f32::cast_from(code) * scales[of]);
    }
    dense[at] = Vector::cast_from(values);
}
