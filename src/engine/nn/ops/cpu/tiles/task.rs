//! A product in rectangles, each calculated by one thread from packed rows and columns.

use std::ops::Range;

use half::bf16;
use rayon::prelude::*;

use super::super::few::Half;
use super::super::gemm::Matrix;
use super::pack::{Block, Form, PANEL, Panel, STEPS, pack};
use super::sums::{ROOM, Sums, enlarged};
use super::{Term, Unit};

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

/// See [`product`](super::product).
pub fn product_on(unit: Unit, [m, n]: [usize; 2], terms: &[Term<'_>]) -> Vec<bf16> {
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
pub fn sizes([m, n]: [usize; 2], widest: [usize; 2], threads: usize) -> [usize; 2] {
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
