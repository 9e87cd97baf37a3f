//! Rotary position embedding.

use burn::tensor::Tensor;
use burn_flex::{FlexTensor, Layout};

use super::bridge::{Fused, Operand, primitive};
use super::buffer::{elements, elements_mut, for_rows, ordered, tensor};
use super::rounded::{Rounds, run_rounded};
use super::simd::vectorised;

/// Rotation by the tables' angles; `sign` is −1 for the gradient, which turns back.
#[derive(Clone, Debug)]
struct Rope {
    /// `[1 or B, T, R/2]`, in order.
    cos: FlexTensor,
    sin: FlexTensor,
    interleaved: bool,
}

/// Order of the axes in memory: heads within a token (as projections leave them), or tokens within
/// a head.
#[derive(Clone, Copy)]
struct Order {
    heads: usize,
    time: usize,
    token_major: bool,
    /// Whether every row of the batch has a table of its own.
    by_batch: bool,
}

impl Order {
    fn of(layout: &Layout, tables: usize) -> Self {
        let strides = layout.strides();
        let [_, heads, time, _] = layout.shape().dims();
        Self { heads, time, token_major: strides[2] > strides[1], by_batch: tables > 1 }
    }

    /// Row of the tables for the row of one head and token.
    #[inline(always)]
    fn position(self, row: usize) -> usize {
        let position = if self.token_major { row / self.heads % self.time } else { row % self.time };
        if self.by_batch { row / (self.heads * self.time) * self.time + position } else { position }
    }
}

impl Rope {
    fn rotate(&self, x: FlexTensor, sign: f32) -> FlexTensor {
        let order = Order::of(x.layout(), self.cos.layout().shape()[0]);
        let width = x.layout().shape()[3];
        // Tokens outermost in memory: then the rows are in order after exchanging the axes.
        let mut rows = ordered(if order.token_major { x.transpose(1, 2) } else { x });
        let result = if let Some(values) = elements_mut(&mut rows) {
            for_rows(values, width, |first, values| self.rows(first, values, order, width, sign));
            rows
        } else {
            let input = elements(&rows);
            let mut out = vec![0.0; input.len()];
            for_rows(&mut out, width, |first, out| {
                out.copy_from_slice(&input[first * width..][..out.len()]);
                self.rows(first, out, order, width, sign);
            });
            tensor(out, rows.layout().shape().clone())
        };
        if order.token_major { result.transpose(1, 2) } else { result }
    }

    fn rows(&self, first: usize, rows: &mut [f32], order: Order, width: usize, sign: f32) {
        let (cos, sin) = (elements(&self.cos), elements(&self.sin));
        let half = self.cos.layout().shape()[2];
        vectorised(
            #[inline(always)]
            || {
                for (index, row) in rows.chunks_exact_mut(width).enumerate() {
                    let at = order.position(first + index) * half;
                    let (cos, sin) = (&cos[at..at + half], &sin[at..at + half]);
                    if self.interleaved {
                        turn_neighbours(row, cos, sin, sign);
                    } else {
                        turn_halves(row, cos, sin, sign);
                    }
                }
            },
        );
    }
}

/// Turns dimension `i` with `i + R/2`.
#[inline(always)]
fn turn_halves(row: &mut [f32], cos: &[f32], sin: &[f32], sign: f32) {
    let (a, b) = row.split_at_mut(cos.len());
    for ((a, b), (c, s)) in a.iter_mut().zip(b).zip(cos.iter().zip(sin)) {
        let s = sign * s;
        (*a, *b) = (*a * c - *b * s, *b * c + *a * s);
    }
}

/// Turns dimension `2i` with `2i + 1`.
#[inline(always)]
fn turn_neighbours(row: &mut [f32], cos: &[f32], sin: &[f32], sign: f32) {
    let (pairs, _) = row.as_chunks_mut::<2>();
    for ([a, b], (c, s)) in pairs.iter_mut().zip(cos.iter().zip(sin)) {
        let s = sign * s;
        (*a, *b) = (*a * c - *b * s, *b * c + *a * s);
    }
}

impl Fused<1> for Rope {
    type Saved = ();

    fn forward(&self, [x]: [FlexTensor; 1]) -> FlexTensor {
        self.rotate(x, 1.0)
    }

    fn forward_saving(&self, [x]: [FlexTensor; 1], _wanted: [bool; 1]) -> (FlexTensor, ()) {
        (self.rotate(x, 1.0), ())
    }

    fn backward(&self, (): (), gradient: FlexTensor, _wanted: [bool; 1]) -> [Option<FlexTensor>; 1] {
        [Some(self.rotate(gradient, -1.0))]
    }
}

impl Rounds<1> for Rope {
    fn kept((): &mut ()) -> Vec<&mut FlexTensor> {
        Vec::new()
    }
}

/// See [`super::super::compose::rope`].
///
/// # Panics
/// If the tables are not those of the sequence, or wider than the heads.
pub fn rope(x: Tensor<4>, cos: Tensor<3>, sin: Tensor<3>, interleaved: bool) -> Tensor<4> {
    let [batch, _, time, width] = x.dims();
    let [tables, rows, half] = cos.dims();
    assert!(
        cos.dims() == sin.dims() && (tables == 1 || tables == batch) && rows == time && 2 * half <= width,
        "rope: tables {:?} and {:?} for {:?}",
        cos.dims(),
        sin.dims(),
        x.dims(),
    );
    let table = |table: Tensor<3>| ordered(primitive(table.inner()));
    run_rounded(Rope { cos: table(cos), sin: table(sin), interleaved }, [Operand::new(x)])
}
