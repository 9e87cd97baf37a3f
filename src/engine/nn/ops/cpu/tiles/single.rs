//! A product of operands in `f32` in the calling thread, for one that is already one of many.

use super::super::gemm::{Into, Matrix};
use super::super::simd::vectorised;
use super::Unit;
use super::pack::{Form, PANEL, Panel, STEPS, pack};
use super::sums::{ROOM, Sums, enlarged};

/// See [`rounded_product`](super::rounded_product).
pub fn product_on(
    unit: Unit,
    [m, k, n]: [usize; 3],
    factor: f32,
    [a, b]: [Matrix<'_>; 2],
    (out, into): (&mut [f32], Into),
) {
    let out = &mut out[..m * n];
    if k == 0 || out.is_empty() {
        if into == Into::Replace {
            out.fill(0.0);
        }
        return;
    }
    ROOM.with_borrow_mut(|room| {
        let wide = n.next_multiple_of(PANEL);
        let numbers = enlarged(&mut room.sums, m.next_multiple_of(PANEL) * wide, 0.0);
        let mut sums = Sums::new(unit, numbers, wide);
        let a = pack(a, 0..m, 0..k, Form::Rows, &mut room.a);
        let b = pack(b.transposed(), 0..n, 0..k, Form::Pairs, &mut room.b);
        let blocks = k.div_ceil(STEPS);
        for (column, b) in b.chunks_exact(blocks).enumerate() {
            for (row, a) in a.chunks_exact(blocks).enumerate() {
                sums.add(Panel::packed(a), b, [row * PANEL, column * PANEL]);
            }
        }
        for (out, sums) in out.chunks_exact_mut(n).zip(sums.numbers.chunks_exact(wide)) {
            match into {
                Into::Replace => vectorised(
                    #[inline(always)]
                    || {
                        for (out, sum) in out.iter_mut().zip(sums) {
                            *out = factor * sum;
                        }
                    },
                ),
                Into::Add => vectorised(
                    #[inline(always)]
                    || {
                        for (out, sum) in out.iter_mut().zip(sums) {
                            *out += factor * sum;
                        }
                    },
                ),
            }
        }
    });
}
