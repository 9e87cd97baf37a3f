//! Products of a few rows with a matrix `[O, I]` in bf16: as [`few`](super::super::few), without a number widened.

use half::bf16;
use rayon::prelude::*;

use super::super::few::{TASK, TOGETHER, transposed};
use super::avx512;

/// `x · wᵀ` `[m, o]` for `x` `[m, i]` and `w` `[o, i]`.
///
/// # Panics
/// If a slice is too short, or the machine does not multiply these (see [`here`](super::here)).
pub fn few_rows(x: &[bf16], w: &[bf16], [m, i, o]: [usize; 3]) -> Vec<f32> {
    assert!(x.len() == m * i && w.len() >= i * o, "product {:?}: a slice is too short", [m, i, o]);
    let mut across = vec![0.0; o * m];
    if across.is_empty() || i == 0 {
        return across;
    }
    let piece = (TASK / i).next_multiple_of(TOGETHER).max(TOGETHER);
    let task = |(task, out): (usize, &mut [f32])| {
        for (group, out) in out.chunks_mut(TOGETHER * m).enumerate() {
            let first = task * piece + group * TOGETHER;
            group_of(x, &w[first * i..][..out.len() / m * i], i, out);
        }
    };
    if o <= piece {
        task((0, across.as_mut_slice()));
    } else {
        across.par_chunks_mut(piece * m).enumerate().for_each(task);
    }
    if m == 1 { across } else { transposed(&across, m) }
}

/// `[rows of w, rows of x]`.
fn group_of(x: &[bf16], w: &[bf16], width: usize, out: &mut [f32]) {
    let rows = x.len() / width;
    if w.len() == TOGETHER * width {
        let group: [&[bf16]; TOGETHER] = std::array::from_fn(|row| &w[row * width..][..width]);
        for (at, x) in x.chunks_exact(width).enumerate() {
            for (row, dot) in avx512::dots(group, x).into_iter().enumerate() {
                out[row * rows + at] = dot;
            }
        }
        return;
    }
    for (w, out) in w.chunks_exact(width).zip(out.chunks_exact_mut(rows)) {
        for (out, x) in out.iter_mut().zip(x.chunks_exact(width)) {
            [*out] = avx512::dots([w], x);
        }
    }
}
