//! Rotary position embedding (Su et al. 2021, arXiv:2104.09864): one read in whatever order heads and tokens lie, one
//! write in the order that is asked for. Its gradient is turned back.

use cubecl::prelude::*;

use crate::launch::{Buffer, Element, Target, cubes, lanes, start};

const UNITS: u32 = 256;

/// Heads of tokens, and the angles they are turned by.
#[derive(Clone, Debug)]
pub struct Rope {
    /// `[batch, heads, time, width]` with these strides; the last axis lies together.
    pub x: Buffer,
    pub strides: [usize; 3],
    pub shape: [usize; 4],
    pub element: Element,
    /// `[1 or batch, time, half]`, `f32`: the first `2 · half` numbers of a head are turned, the rest passes.
    pub cos: Buffer,
    pub sin: Buffer,
    pub half: usize,
    /// Whether a number's partner is its neighbour; otherwise it is `half` numbers behind.
    pub interleaved: bool,
    /// By the opposite angle.
    pub back: bool,
    /// Written, in order: as `x`, or `[batch, time, heads, width]`.
    pub turned: Buffer,
    pub by_token: bool,
}

impl Rope {
    fn check(&self) {
        let [batch, heads, time, width] = self.shape;
        let whole = batch * heads * time * width;
        assert!(whole == self.turned.len() && 2 * self.half <= width, "rope: lengths");
        let table = time * self.half;
        let tables = [self.cos.len(), self.sin.len()];
        assert!(tables == [table; 2] || tables == [batch * table; 2], "rope: tables");
        let last: usize =
            [batch, heads, time].iter().zip(self.strides).map(|(n, stride)| (n - 1) * stride).sum();
        assert!(last + width <= self.x.len(), "rope: strides");
    }

    /// Numbers that a unit reads at once: a vector must not reach beyond what it belongs to, nor begin between others.
    fn lanes(&self) -> usize {
        let borders = [self.half, self.shape[3]].into_iter().chain(self.strides);
        borders.map(lanes).fold(lanes(self.x.len()), usize::min)
    }
}

/// Turns the heads.
///
/// # Panics
/// If the lengths do not fit one another.
pub fn rope(target: Target<'_>, of: Rope) {
    if of.turned.is_empty() {
        return;
    }
    of.check();
    let lanes = of.lanes();
    let [_, _, time, width] = of.shape;
    let rows = of.turned.len() / width;
    let steps = (width - of.half) / lanes;
    let dim = CubeDim::new_1d(UNITS);
    let count = cubes(&target, rows * steps, dim);
    let own_tables = of.cos.len() > time * of.half;
    start!(
        turned_rows,
        target,
        count,
        dim,
        lanes,
        of.x.clone().arg(),
        of.cos.clone().arg(),
        of.sin.clone().arg(),
        of.turned.clone().arg(),
        ShapeLaunch::new(
            rows as u32,
            of.shape[1] as u32,
            time as u32,
            (width / lanes) as u32,
            (of.half / lanes) as u32,
            (of.strides[0] / lanes) as u32,
            (of.strides[1] / lanes) as u32,
            (of.strides[2] / lanes) as u32,
            u32::from(own_tables),
            u32::from(of.interleaved),
            u32::from(of.by_token),
            if of.back { -1.0 } else { 1.0 },
        ),
        of.element.kind(),
    );
}

/// The numbers of a [`Rope`], lengths in vectors.
#[derive(CubeLaunch, CubeType)]
struct Shape {
    rows: u32,
    heads: u32,
    time: u32,
    width: u32,
    half: u32,
    a_batch: u32,
    a_head: u32,
    a_token: u32,
    own_tables: u32,
    interleaved: u32,
    by_token: u32,
    sign: f32,
}

/// Of neighbours `a0 a1 a2 a3`, `b0 b1 b2 b3` the first and the second ones of their pairs: `a0 a2 b0 b2` and `a1 a3 b1 b3`.
#[cube]
fn apart<N: Size>(a: Vector<f32, N>, b: Vector<f32, N>) -> (Vector<f32, N>, Vector<f32, N>) {
    let lanes = N::value();
    let mut first = a;
    let mut second = b;
    #[unroll]
    for lane in 0..lanes {
        first.insert(lane, of_both::<N>(a, b, comptime!(2 * lane)));
        second.insert(lane, of_both::<N>(a, b, comptime!(2 * lane + 1)));
    }
    (first, second)
}

/// Element `at` of `a` and `b` behind one another.
#[cube]
fn of_both<N: Size>(a: Vector<f32, N>, b: Vector<f32, N>, #[comptime] at: usize) -> f32 {
    let lanes = N::value();
    if comptime!(at < lanes) { a.extract(at) } else { b.extract(comptime!(at - lanes)) }
}

/// The opposite of [`apart`].
#[cube]
fn together<N: Size>(first: Vector<f32, N>, second: Vector<f32, N>) -> (Vector<f32, N>, Vector<f32, N>) {
    let lanes = N::value();
    let mut a = first;
    let mut b = second;
    #[unroll]
    for lane in 0..lanes {
        a.insert(lane, of_pair::<N>(first, second, lane));
        b.insert(lane, of_pair::<N>(first, second, comptime!(lane + lanes)));
    }
    (a, b)
}

#[cube]
fn of_pair<N: Size>(first: Vector<f32, N>, second: Vector<f32, N>, #[comptime] at: usize) -> f32 {
    if comptime!(at.is_multiple_of(2)) {
        first.extract(comptime!(at / 2))
    } else {
        second.extract(comptime!(at / 2))
    }
}

#[cube(launch, create_dummy_kernel)]
fn turned_rows<F: Float, N: Size>(
    x: &[Vector<F, N>],
    cos: &[Vector<f32, N>],
    sin: &[Vector<f32, N>],
    turned: &mut [Vector<F, N>],
    shape: Shape,
    #[define(F)] _element: ElemType,
) {
    let width = shape.width as usize;
    let half = shape.half as usize;
    let (heads, time) = (shape.heads as usize, shape.time as usize);
    let steps = width - half;
    let row = ABSOLUTE_POS / steps;
    if row >= shape.rows as usize {
        terminate!();
    }
    let step = ABSOLUTE_POS % steps;
    let batch = row / (heads * time);
    let mut head = row / time % heads;
    let mut token = row % time;
    if shape.by_token == 1 {
        head = row % heads;
        token = row / heads % time;
    }
    let from = batch * shape.a_batch as usize + head * shape.a_head as usize + token * shape.a_token as usize;
    let to = row * width;
    if step < half {
        let mut table = token * half + step;
        if shape.own_tables == 1 {
            table += batch * time * half;
        }
        let c = cos[table];
        let s = sin[table] * Vector::new(shape.sign);
        let mut i = step;
        let mut j = step + half;
        if shape.interleaved == 1 {
            i = step * 2;
            j = step * 2 + 1;
        }
        let mut first = Vector::<f32, N>::cast_from(x[from + i]);
        let mut second = Vector::<f32, N>::cast_from(x[from + j]);
        if shape.interleaved == 1 {
            let (even, odd) = apart::<N>(first, second);
            first = even;
            second = odd;
        }
        let mut a = first * c - second * s;
        let mut b = second * c + first * s;
        if shape.interleaved == 1 {
            let (left, right) = together::<N>(a, b);
            a = left;
            b = right;
        }
        turned[to + i] = Vector::cast_from(a);
        turned[to + j] = Vector::cast_from(b);
    } else {
        turned[to + step + half] = x[from + step + half];
    }
}
