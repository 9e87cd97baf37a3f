//! Products of a few rows with a matrix `[O, I]`, as decoding has them: rows of one token each. (A training's step rounds
//! alike in whatever pieces it is taken, so its products do not come here.) They cost what it costs to read the matrix: so
//! each thread reads rows of its own, each of them once, and what is kept in few bits becomes numbers on the way.

use burn::tensor::{FloatDType, Int, Tensor};
use burn_flex::Flex;
use rayon::prelude::*;

use super::bridge::primitive;
use super::buffer::{elements, ordered, tensor};
use super::simd::{dots, vectorised};
use super::unpack::{bytes_of, fill_bytes, fill_nibbles, pairs};

/// So many rows at most: with more, a product that packs the matrix is as fast. (Of one row `gemm`'s is.)
pub const FEW: usize = 16;

/// Rows of the matrix that are multiplied together: what is loaded of `x` then serves all of them.
pub const TOGETHER: usize = 8;

/// Elements of the matrix that a task takes at least.
pub const TASK: usize = 32 * 1024;

/// A matrix `[O, I]` whose rows can be had as `f32`.
trait Rows: Sync {
    /// Those from `first` on, as many as fill `room`, which may be used for them.
    fn rows<'a>(&'a self, first: usize, room: &'a mut [f32]) -> &'a [f32];
}

/// Rows of `f32`, one after the other.
struct Plain<'a> {
    elements: &'a [f32],
    width: usize,
}

impl Rows for Plain<'_> {
    #[inline(always)]
    fn rows<'a>(&'a self, first: usize, room: &'a mut [f32]) -> &'a [f32] {
        &self.elements[first * self.width..][..room.len()]
    }
}

/// Numbers of 16 bits.
pub trait Half: Copy + Sync {
    fn widen(from: &[Self], to: &mut [f32]);

    /// To the nearest of these numbers, of two as near to the even one.
    fn round(from: &[f32], to: &mut [Self]);
}

/// Rows of them, one after the other.
struct Halves<'a, E> {
    elements: &'a [E],
    width: usize,
}

impl<E: Half> Rows for Halves<'_, E> {
    #[inline(always)]
    fn rows<'a>(&'a self, first: usize, room: &'a mut [f32]) -> &'a [f32] {
        E::widen(&self.elements[first * self.width..][..room.len()], room);
        room
    }
}

/// Rows of codes, two a byte; see [`super::super::Nibbles`].
struct Nibbles<'a> {
    codes: &'a [u8],
    pairs: [[f32; 2]; 256],
    scales: &'a [f32],
    /// Elements that share a scale; rows are whole blocks.
    block: usize,
    width: usize,
    rounded: FloatDType,
}

impl Rows for Nibbles<'_> {
    fn rows<'a>(&'a self, first: usize, room: &'a mut [f32]) -> &'a [f32] {
        let start = first * self.width;
        let (codes, scales) = (&self.codes[start / 2..], &self.scales[start / self.block..]);
        fill_nibbles(codes, &self.pairs, scales, self.block, self.rounded, room);
        room
    }
}

/// Rows of signed bytes with a scale each; see [`super::super::Bytes`].
struct Bytes<'a> {
    codes: &'a [i8],
    scales: &'a [f32],
    width: usize,
    rounded: FloatDType,
}

impl Rows for Bytes<'_> {
    fn rows<'a>(&'a self, first: usize, room: &'a mut [f32]) -> &'a [f32] {
        let rows = room.chunks_exact_mut(self.width).zip(self.codes[first * self.width..].chunks(self.width));
        for ((room, codes), scale) in rows.zip(&self.scales[first..]) {
            fill_bytes(codes, std::iter::repeat(scale), self.rounded, room);
        }
        room
    }
}

/// `x · wᵀ` `[m, o]` for `x` `[m, i]` and `w` `[o, i]`.
pub fn few_rows(x: &[f32], w: &[f32], [m, i, o]: [usize; 3]) -> Vec<f32> {
    assert!(w.len() >= i * o, "product {:?}: the matrix is too short", [m, i, o]);
    product(x, &Plain { elements: w, width: i }, [m, i, o])
}

/// The same for a `w` of 16 bits.
pub fn few_rows_of_halves<E: Half>(x: &[f32], w: &[E], [m, i, o]: [usize; 3]) -> Vec<f32> {
    assert!(w.len() >= i * o, "product {:?}: the matrix is too short", [m, i, o]);
    product(x, &Halves { elements: w, width: i }, [m, i, o])
}

fn product(x: &[f32], w: &impl Rows, [m, i, o]: [usize; 3]) -> Vec<f32> {
    assert!(x.len() == m * i, "product {:?}: {} elements", [m, i, o], x.len());
    let mut across = vec![0.0; o * m];
    if across.is_empty() || i == 0 {
        return across;
    }
    let piece = (TASK / i).next_multiple_of(TOGETHER).max(TOGETHER);
    let task = |(task, out): (usize, &mut [f32])| {
        let mut room = vec![0.0; TOGETHER.min(o) * i];
        vectorised(
            #[inline(always)]
            || {
                for (group, out) in out.chunks_mut(TOGETHER * m).enumerate() {
                    let first = task * piece + group * TOGETHER;
                    let rows = w.rows(first, &mut room[..out.len() / m * i]);
                    group_of(x, rows, i, out);
                }
            },
        );
    };
    if o <= piece {
        task((0, across.as_mut_slice()));
    } else {
        across.par_chunks_mut(piece * m).enumerate().for_each(task);
    }
    if m == 1 { across } else { transposed(&across, m) }
}

/// `[rows of w, rows of x]`.
#[inline(always)]
fn group_of(x: &[f32], w: &[f32], width: usize, out: &mut [f32]) {
    let rows = x.len() / width;
    if let Some(group) = split::<TOGETHER>(w, width) {
        for (at, x) in x.chunks_exact(width).enumerate() {
            let all = dots(group, x);
            for (row, dot) in all.into_iter().enumerate() {
                out[row * rows + at] = dot;
            }
        }
        return;
    }
    for (w, out) in w.chunks_exact(width).zip(out.chunks_exact_mut(rows)) {
        for (out, x) in out.iter_mut().zip(x.chunks_exact(width)) {
            [*out] = dots([w], x);
        }
    }
}

/// The rows, if there are `N`.
#[inline(always)]
fn split<const N: usize>(w: &[f32], width: usize) -> Option<[&[f32]; N]> {
    (w.len() == N * width).then(|| std::array::from_fn(|row| &w[row * width..(row + 1) * width]))
}

/// `[o, m]` → `[m, o]`.
pub fn transposed(across: &[f32], m: usize) -> Vec<f32> {
    let mut out = Vec::with_capacity(across.len());
    for row in 0..m {
        out.extend(across.iter().skip(row).step_by(m));
    }
    out
}

/// `x · wᵀ` for a `w` in few bits of this `shape`; None where rows are no whole blocks.
pub fn few_rows_of_nibbles(
    x: &Tensor<3>,
    codes: Tensor<1, Int>,
    table: &[f32; 16],
    scales: Tensor<1>,
    block: usize,
    shape: [usize; 2],
    rounded: FloatDType,
) -> Option<Tensor<3>> {
    let [_, width] = shape;
    if !width.is_multiple_of(block) {
        return None;
    }
    let (codes, scales) = (bytes_of(codes), ordered(primitive(scales)));
    let codes: &[u8] = codes.as_slice().expect("bytes in order");
    let w = Nibbles { codes, pairs: pairs(table), scales: elements(&scales), block, width, rounded };
    Some(multiplied(x, &w, shape))
}

/// The same for signed bytes with a scale for every row of `w`.
pub fn few_rows_of_bytes(
    x: &Tensor<3>,
    codes: Tensor<1, Int>,
    scales: Tensor<1>,
    shape: [usize; 2],
    rounded: FloatDType,
) -> Tensor<3> {
    let (codes, scales) = (bytes_of(codes), ordered(primitive(scales)));
    let codes: &[i8] = codes.as_slice().expect("signed bytes in order");
    let w = Bytes { codes, scales: elements(&scales), width: shape[1], rounded };
    multiplied(x, &w, shape)
}

/// # Panics
/// If the widths differ.
fn multiplied(x: &Tensor<3>, w: &impl Rows, [o, i]: [usize; 2]) -> Tensor<3> {
    let [batch, time, width] = x.dims();
    assert!(width == i, "product: input {:?} and weight [{o}, {i}]", x.dims());
    let x = ordered(primitive(x.clone()));
    let out = product(elements(&x), w, [batch * time, i, o]);
    Tensor::from_primitive::<Flex>(tensor(out, [batch, time, o]))
}
