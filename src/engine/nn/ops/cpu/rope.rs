//! Rotary position embedding, half-split.

use burn::tensor::Tensor;
use burn_flex::{FlexTensor, Layout};

use super::bridge::{Fused, Operand, primitive, run};
use super::buffer::{elements, elements_mut, for_rows, ordered, tensor};
use super::simd::vectorised;

/// Rotation by the tables' angles; `sign` is −1 for the gradient, which turns back.
#[derive(Clone, Debug)]
struct Rope {
    cos: FlexTensor,
    sin: FlexTensor,
}

/// Order of the axes in memory: heads within a token (as projections leave them), or tokens within
/// a head.
#[derive(Clone, Copy)]
struct Order {
    heads: usize,
    time: usize,
    token_major: bool,
}

impl Order {
    fn of(layout: &Layout) -> Self {
        let strides = layout.strides();
        let [_, heads, time, _] = layout.shape().dims();
        Self { heads, time, token_major: strides[2] > strides[1] }
    }

    /// Position of the row of one head and token.
    #[inline(always)]
    fn position(self, row: usize) -> usize {
        if self.token_major { row / self.heads % self.time } else { row % self.time }
    }
}

impl Rope {
    fn rotate(&self, x: FlexTensor, sign: f32) -> FlexTensor {
        let order = Order::of(x.layout());
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
        let half = self.cos.layout().shape()[1];
        vectorised(
            #[inline(always)]
            || {
                for (index, row) in rows.chunks_exact_mut(width).enumerate() {
                    let at = order.position(first + index) * half;
                    let (a, b) = row.split_at_mut(half);
                    let angles = cos[at..at + half].iter().zip(&sin[at..at + half]);
                    for ((a, b), (c, s)) in a.iter_mut().zip(b).zip(angles) {
                        let s = sign * s;
                        (*a, *b) = (*a * c - *b * s, *b * c + *a * s);
                    }
                }
            },
        );
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

/// See [`super::super::compose::rope`].
///
/// # Panics
/// If the tables are shorter than the sequence or wider than the heads.
pub fn rope(x: Tensor<4>, cos: Tensor<2>, sin: Tensor<2>) -> Tensor<4> {
    let [_, _, time, width] = x.dims();
    assert!(
        cos.dims() == sin.dims() && cos.dims()[0] == time && 2 * cos.dims()[1] <= width,
        "rope: tables {:?} and {:?} for {:?}",
        cos.dims(),
        sin.dims(),
        x.dims(),
    );
    let table = |table: Tensor<2>| ordered(primitive(table.inner()));
    run(Rope { cos: table(cos), sin: table(sin) }, [Operand::new(x)])
}
