//! Cross-entropy over rows of logits, which become their gradient.

use cubecl::prelude::*;

use crate::launch::{Buffer, Element, Target, cube_a_row, lanes, start};
use crate::row::merged;

/// Units that share a row.
const UNITS: usize = 256;

/// Rows of logits and what stands beside them.
#[derive(Clone, Debug)]
pub struct CrossEntropy {
    /// `[rows, columns]`: logits before, their gradient `(softmax − onehot) · weight` after.
    pub logits: Buffer,
    pub element: Element,
    /// `[rows]`, `i32`, each below `columns`.
    pub targets: Buffer,
    /// `[rows]`, `f32`, written: the loss of each row, without the weight.
    pub losses: Buffer,
    pub weight: f32,
}

/// Losses and gradients of rows of logits: each is read twice and written once, and no other memory is needed.
///
/// # Panics
/// If the lengths do not fit one another.
pub fn cross_entropy(target: Target<'_>, of: CrossEntropy) {
    let (rows, elements) = (of.targets.len(), of.logits.len());
    assert!(rows == of.losses.len() && elements.is_multiple_of(rows.max(1)), "cross_entropy: lengths");
    if elements == 0 {
        return;
    }
    let columns = elements / rows;
    let (count, dim) = cube_a_row(&target, rows, UNITS);
    start!(
        loss_rows,
        target,
        count,
        dim,
        lanes(columns),
        of.logits.arg(),
        of.targets.arg(),
        of.losses.arg(),
        rows as u32,
        columns as u32,
        of.weight,
        UNITS,
        of.element.kind(),
    );
}

#[cube(launch, create_dummy_kernel)]
fn loss_rows<F: Float, N: Size>(
    logits: &mut [Vector<F, N>],
    targets: &[i32],
    losses: &mut [f32],
    rows: u32,
    columns: u32,
    weight: f32,
    #[comptime] units: usize,
    #[define(F)] _element: ElemType,
) {
    let row = CUBE_POS;
    if row >= rows as usize {
        terminate!();
    }
    let lanes = N::value();
    let width = columns as usize / lanes;
    let base = row * width;
    let target = targets[row] as usize;

    let mut tops = Vector::<f32, N>::new(f32::MIN);
    let mut sums = Vector::<f32, N>::new(0.0);
    let mut at = UNIT_POS as usize;
    while at < width {
        let x = Vector::<f32, N>::cast_from(logits[base + at]);
        let top = max(tops, x);
        sums = sums * (tops - top).exp() + (x - top).exp();
        tops = top;
        at += units;
    }
    let mut top = f32::MIN.runtime();
    #[unroll]
    for lane in 0..lanes {
        top = max(top, tops.extract(lane));
    }
    let mut sum = 0.0f32.runtime();
    #[unroll]
    for lane in 0..lanes {
        sum += sums.extract(lane) * (tops.extract(lane) - top).exp();
    }
    // Before anybody writes: `merged` waits for all units.
    let mut score = 0.0f32.runtime();
    if UNIT_POS == 0 {
        let x = Vector::<f32, N>::cast_from(logits[base + target / lanes]);
        #[unroll]
        for lane in 0..lanes {
            if lane == target % lanes {
                score = x.extract(lane);
            }
        }
    }
    let (top, sum, _along) = merged(top, sum, 0.0, units);
    if UNIT_POS == 0 {
        losses[row] = sum.ln() - (score - top);
    }

    let mut at = UNIT_POS as usize;
    while at < width {
        let x = Vector::<f32, N>::cast_from(logits[base + at]);
        let mut gradient = (x - Vector::new(top)).exp() / Vector::new(sum);
        #[unroll]
        for lane in 0..lanes {
            if at * lanes + lane == target {
                gradient.insert(lane, gradient.extract(lane) - 1.0);
            }
        }
        logits[base + at] = Vector::cast_from(gradient * Vector::new(weight));
        at += units;
    }
}
