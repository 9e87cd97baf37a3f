//! Products of matrices in bf16, a square of 32 × 32 numbers of the result at a time: on tiles of 16 × 16 numbers (Intel's
//! AMX), or by AVX-512's sums of products of pairs. Sums are `f32`; the result is rounded once.
//!
//! Both read the same packed form: a block of 32 steps of the sum is two tiles of 16 rows of `a`, each with its 32 numbers
//! in order, and two of 16 columns of `b`, each pair of steps side by side ("VNNI"; Intel 64 manual, volume 2, `TDPBF16PS`).

mod amx;
mod avx512;
mod pack;

use std::cell::RefCell;
use std::ops::Range;
use std::sync::LazyLock;

use half::bf16;
use rayon::prelude::*;

use super::few::Half;
use super::gemm::{Into, Matrix};
use super::simd::vectorised;
use pack::{Block, Form, PANEL, Panel, STEPS, pack};

/// Steps of the sum that are packed at once, and rows and columns of a task at most: packed rows, columns and result of a
/// task then fill the cache of a core (2 MiB where there is AMX).
const DEPTH: usize = 1024;
const WIDEST: usize = 512;
/// Columns of a task at most whose rows are read where they lie. (Measured: a tenth faster than [`WIDEST`], which where
/// rows are packed is as much faster than this.)
const WIDEST_IN_PLACE: usize = 256;
/// Columns that are packed at once.
const STRIP: usize = 128;
/// For so many columns rows are not packed.
const SELDOM: usize = 64;
/// Rows and columns of a task at least.
const NARROWEST: usize = 2 * PANEL;

/// What multiplies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Amx,
    Avx512,
}

impl Unit {
    /// Those of this machine, the fastest first.
    fn all() -> Vec<Self> {
        let vectors = ["avx512f", "avx512bw", "avx512bf16"];
        if !avx512::here() {
            tracing::debug!("products in bf16 by way of f32: not all of {vectors:?} are here");
            return Vec::new();
        }
        let amx = amx::here().then_some(Self::Amx);
        amx.into_iter().chain([Self::Avx512]).collect()
    }
}

static UNIT: LazyLock<Option<Unit>> = LazyLock::new(|| Unit::all().first().copied());

/// Whether this machine multiplies numbers in bf16.
pub fn here() -> bool {
    UNIT.is_some()
}

/// A part of a sum of products, `a · b` for `a` `[m, k]` and `b` `[k, n]`; the numbers of each lie side by side along one
/// of its axes.
#[derive(Clone, Copy)]
pub struct Term<'a> {
    pub k: usize,
    pub a: Matrix<'a, bf16>,
    pub b: Matrix<'a, bf16>,
}

/// The sum of the terms, `[m, n]`, in bf16.
///
/// # Panics
/// If a slice is too short for its matrix, or the machine does not multiply these (see [`here`]).
pub fn product(dims: [usize; 2], terms: &[Term<'_>]) -> Vec<bf16> {
    product_on(UNIT.expect("a machine that multiplies in bf16"), dims, terms)
}

/// `out (+)= factor · a · b` for `a` `[m, k]` and `b` `[k, n]`, whose numbers are rounded to bf16, and `out` `[m, n]` in rows
/// of `n`: as [`product`](super::gemm::product), in the calling thread.
///
/// # Panics
/// If a slice is too short for its matrix, or the machine does not multiply these (see [`here`]).
pub fn rounded_product(
    dims: [usize; 3],
    factor: f32,
    a: Matrix<'_>,
    b: Matrix<'_>,
    out: &mut [f32],
    into: Into,
) {
    rounded_product_on(UNIT.expect("a machine that multiplies in bf16"), dims, factor, [a, b], (out, into));
}

fn rounded_product_on(
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

fn product_on(unit: Unit, [m, n]: [usize; 2], terms: &[Term<'_>]) -> Vec<bf16> {
    /// Multiplications that pay for handing out work.
    const LARGE: usize = 1 << 24;
    for Term { k, a, b } in terms {
        a.assert_holds("product in bf16", [m, *k]);
        b.assert_holds("product in bf16", [*k, n]);
    }
    // Not cleared, which would cost as much as a small product.
    let mut out = Vec::with_capacity(m * n);
    let target = Target { numbers: out.as_mut_ptr(), row: n };
    let multiplications: usize = terms.iter().map(|term| m * term.k * n).sum();
    if multiplications < LARGE {
        for task in tasks([m, n], widest(terms)) {
            task.calculate(unit, terms, target);
        }
    } else {
        let tasks = tasks([m, n], sizes([m, n], widest(terms), rayon::current_num_threads()));
        tasks.into_par_iter().for_each(|task| task.calculate(unit, terms, target));
    }
    #[expect(unsafe_code, reason = "memory that the tasks have written")]
    // SAFETY: there is room for all numbers, and the rectangles of the tasks are all of them.
    unsafe {
        out.set_len(m * n);
    }
    out
}

/// Rows and columns of a task at most.
fn widest(terms: &[Term<'_>]) -> [usize; 2] {
    let in_place = terms.iter().all(|term| term.a.columns == 1 && term.k <= DEPTH);
    [WIDEST, if in_place { WIDEST_IN_PLACE } else { WIDEST }]
}

/// Rows and columns of a task, such that there are tasks for all threads.
fn sizes([m, n]: [usize; 2], widest: [usize; 2], threads: usize) -> [usize; 2] {
    let [mut rows, mut columns] =
        [(m, widest[0]), (n, widest[1])].map(|(size, most)| size.next_multiple_of(PANEL).min(most));
    while m.div_ceil(rows) * n.div_ceil(columns) < threads && rows.max(columns) > NARROWEST {
        let larger = if columns >= rows { &mut columns } else { &mut rows };
        *larger = (*larger / 2).next_multiple_of(PANEL);
    }
    [rows, columns]
}

fn tasks([m, n]: [usize; 2], [rows, columns]: [usize; 2]) -> Vec<Task> {
    let ranges = |of: usize, size: usize| (0..of).step_by(size).map(move |at| at..of.min(at + size));
    ranges(m, rows)
        .flat_map(|rows| ranges(n, columns).map(move |columns| Task { rows: rows.clone(), columns }))
        .collect()
}

/// The result, of which tasks write rectangles of their own.
#[derive(Clone, Copy)]
struct Target {
    numbers: *mut bf16,
    /// Numbers of a row.
    row: usize,
}

#[expect(unsafe_code, reason = "threads write disjoint rectangles of one matrix")]
// SAFETY: only `Task::calculate` writes through one, each the numbers of its own rectangle.
unsafe impl Sync for Target {}

#[expect(unsafe_code, reason = "threads write disjoint rectangles of one matrix")]
// SAFETY: as above.
unsafe impl Send for Target {}

/// A rectangle of the result.
struct Task {
    rows: Range<usize>,
    columns: Range<usize>,
}

/// What a thread packs and sums in, kept for its next task: fresh memory costs more than small products do.
#[derive(Default)]
struct Room {
    a: Vec<Block>,
    b: Vec<Block>,
    sums: Vec<f32>,
}

thread_local! {
    static ROOM: RefCell<Room> = RefCell::default();
}

impl Task {
    fn calculate(&self, unit: Unit, terms: &[Term<'_>], target: Target) {
        ROOM.with_borrow_mut(|room| {
            let wide = self.columns.len().next_multiple_of(PANEL);
            let numbers = enlarged(&mut room.sums, self.rows.len().next_multiple_of(PANEL) * wide, 0.0);
            let mut sums = Sums::new(unit, numbers, wide);
            for term in terms {
                for first in (0..term.k).step_by(DEPTH) {
                    let steps = first..term.k.min(first + DEPTH);
                    self.add(&mut sums, (&mut room.a, &mut room.b), term, steps);
                }
            }
            if !sums.begun {
                sums.numbers.fill(0.0);
            }
            let mut numbers = [bf16::ZERO; WIDEST];
            for (row, sums) in self.rows.clone().zip(sums.numbers.chunks_exact(wide)) {
                let numbers = &mut numbers[..self.columns.len()];
                bf16::round(&sums[..numbers.len()], numbers);
                self.write(row, numbers, target);
            }
        });
    }

    /// Adds some steps of a term.
    fn add(
        &self,
        sums: &mut Sums<'_>,
        (a, b): (&mut Vec<Block>, &mut Vec<Block>),
        term: &Term<'_>,
        steps: Range<usize>,
    ) {
        let blocks = steps.len().div_ceil(STEPS);
        let a = self.panels(term.a, steps.clone(), a);
        for strip in (0..self.columns.len()).step_by(STRIP) {
            let first = self.columns.start + strip;
            let columns = first..self.columns.end.min(first + STRIP);
            let b = pack(term.b.transposed(), columns, steps.clone(), Form::Pairs, b);
            for (column, b) in b.chunks_exact(blocks).enumerate() {
                for (row, a) in a.iter().enumerate() {
                    sums.add(*a, b, [row * PANEL, strip + column * PANEL]);
                }
            }
        }
        sums.begun = true;
    }

    /// The rows of the task, packed where they cannot be multiplied as they are, or would be read too often where they lie
    /// far apart.
    fn panels<'a>(
        &self,
        a: Matrix<'a, bf16>,
        steps: Range<usize>,
        room: &'a mut Vec<Block>,
    ) -> Vec<Panel<'a>> {
        let close = a.rows == steps.len() || self.columns.len() <= SELDOM;
        let within = |row: usize| Panel::within(a, [row, steps.start], [self.rows.end - row, steps.len()]);
        let whole = self.rows.clone().step_by(PANEL).map_while(within);
        let mut panels: Vec<_> = if close { whole.collect() } else { Vec::new() };
        let rest = self.rows.start + panels.len() * PANEL..self.rows.end;
        if !rest.is_empty() {
            let blocks = steps.len().div_ceil(STEPS);
            let packed = pack(a, rest, steps, Form::Rows, room).chunks_exact(blocks);
            panels.extend(packed.map(Panel::packed));
        }
        panels
    }

    /// Numbers of this row, as many as there are columns.
    fn write(&self, row: usize, numbers: &[bf16], target: Target) {
        #[expect(unsafe_code, reason = "threads write disjoint rectangles of one matrix")]
        // SAFETY: the row and the columns lie within the matrix, and no other task has both of them.
        unsafe {
            let to = target.numbers.add(row * target.row + self.columns.start);
            to.copy_from_nonoverlapping(numbers.as_ptr(), numbers.len());
        }
    }
}

/// The first `count` elements of `room`, whatever they are; it is made longer if it is too short.
fn enlarged<T: Copy>(room: &mut Vec<T>, count: usize, with: T) -> &mut [T] {
    if room.len() < count {
        room.resize(count, with);
    }
    &mut room[..count]
}

/// The sums of a task, in whole squares.
struct Sums<'a> {
    /// With AMX.
    tiles: Option<amx::Tiles>,
    numbers: &'a mut [f32],
    /// Numbers of a row.
    wide: usize,
    /// Whether there is something to add to.
    begun: bool,
}

impl<'a> Sums<'a> {
    fn new(unit: Unit, numbers: &'a mut [f32], wide: usize) -> Self {
        let tiles = (unit == Unit::Amx).then(amx::Tiles::configured);
        Self { tiles, numbers, wide, begun: false }
    }

    /// Adds the product of these blocks to the square at `row` and `column`.
    fn add(&mut self, a: Panel<'_>, b: &[Block], [row, column]: [usize; 2]) {
        let square = &mut self.numbers[row * self.wide + column..];
        match &self.tiles {
            Some(tiles) => tiles.add_product(a, b, square, self.wide, self.begun),
            None => avx512::add_product(a, b, square, self.wide, self.begun),
        }
    }
}

/// # Panics
/// Unless a square lies within `sums`, in rows `wide` apart, and there are as many blocks of `a` as of `b`, and some.
fn assert_square(a: Panel<'_>, b: &[Block], sums: &[f32], wide: usize) {
    assert!(a.blocks == b.len(), "blocks of the same steps");
    assert!(wide >= PANEL && (PANEL - 1) * wide + PANEL <= sums.len(), "a whole square");
}

#[cfg(test)]
mod tests;
