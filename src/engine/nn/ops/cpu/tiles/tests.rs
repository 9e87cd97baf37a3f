use half::bf16;

use super::super::gemm::{Into, Matrix};
use super::task::{product_on, sizes};
use super::*;

/// Numbers between -1 and 1, rounded.
fn numbers(count: usize, seed: u64) -> Vec<bf16> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bf16::from_f32((state >> 40) as f32 / (1_u64 << 23) as f32 - 1.0)
    };
    std::iter::repeat_with(next).take(count).collect()
}

/// A matrix `[rows, columns]` of numbers in order, or in the order of its transposed.
fn matrix(numbers: &[bf16], [rows, columns]: [usize; 2], transposed: bool) -> Matrix<'_, bf16> {
    if transposed { Matrix::by_rows(numbers, rows).transposed() } else { Matrix::by_rows(numbers, columns) }
}

fn at(matrix: Matrix<'_, bf16>, row: usize, column: usize) -> f64 {
    f64::from(matrix.elements[row * matrix.rows + column * matrix.columns].to_f32())
}

/// Every unit's result against sums in `f64`; some rows of each, all columns.
fn assert_products([m, n]: [usize; 2], terms: &[Term<'_>]) {
    for unit in Unit::all() {
        let got = product_on(unit, [m, n], terms);
        for row in (0..m).step_by(1 + m / 40) {
            for column in 0..n {
                let parts = terms.iter().flat_map(|term| {
                    (0..term.k).map(|step| at(term.a, row, step) * at(term.b, step, column))
                });
                let (mut sum, mut size) = (0.0, 0.0);
                parts.for_each(|part| (sum, size) = (sum + part, size + part.abs()));
                let apart = (f64::from(got[row * n + column].to_f32()) - sum).abs();
                // Half a step of bf16, and what sums in f32 lose.
                let allowed = sum.abs() / 256.0 + 1e-6 * size;
                assert!(apart <= allowed, "{unit:?} {:?} at {row}, {column}: {apart:e}", [m, n]);
            }
        }
    }
}

#[test]
fn products_are_those_of_f64_rounded_once() {
    // Less than a tile, tiles and a rest, more than a strip, more steps than are packed at once, several tasks.
    let shapes = [
        [1, 1, 1],
        [3, 7, 5],
        [33, 31, 65],
        [70, 1500, 40],
        [100, 2100, 300],
        [1030, 64, 140],
        [16, 8, 1100],
    ];
    for [m, k, n] in shapes {
        let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
        for (left, right) in [(false, false), (false, true), (true, false), (true, true)] {
            let term = Term { k, a: matrix(&a, [m, k], left), b: matrix(&b, [k, n], right) };
            assert_products([m, n], &[term]);
        }
    }
}

#[test]
fn terms_of_several_depths_are_added() {
    let [m, n] = [50, 70];
    let (a, b) = (numbers(m * 1100, 3), numbers(1100 * n, 4));
    let term = |k| Term { k, a: matrix(&a, [m, k], false), b: matrix(&b, [k, n], true) };
    assert_products([m, n], &[term(1100), term(8), term(33)]);
    assert_products([m, n], &[term(0), term(3)]);
    assert_products([m, n], &[]);
}

#[test]
fn operands_of_f32_are_rounded_and_sums_are_not() {
    for [m, k, n] in [[1, 1, 1], [37, 33, 50], [128, 64, 128], [5, 0, 7]] {
        let wide =
            |count, seed| numbers(count, seed).into_iter().map(|x| x.to_f32() * 1.003).collect::<Vec<_>>();
        let (a, b, before) = (wide(m * k, 6), wide(k * n, 7), wide(m * n, 8));
        let rounded = |x: f32| f64::from(bf16::from_f32(x).to_f32());
        for unit in Unit::all() {
            for (into, kept) in [(Into::Replace, 0.0), (Into::Add, 1.0)] {
                let mut out = before.clone();
                let operands = [Matrix::by_rows(&a, k), Matrix::by_rows(&b, k).transposed()];
                single::product_on(unit, [m, k, n], 0.5, operands, (&mut out, into));
                for (at, (got, before)) in out.iter().zip(&before).enumerate() {
                    let (row, column) = (at / n, at % n);
                    let parts = (0..k).map(|step| rounded(a[row * k + step]) * rounded(b[column * k + step]));
                    let want = kept * f64::from(*before) + 0.5 * parts.sum::<f64>();
                    assert!(
                        (f64::from(*got) - want).abs() < 1e-5,
                        "{unit:?} {into:?} {row}, {column}: {got} {want}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_few_rows_have_the_products_of_f64() {
    // A rest of a vector, fewer rows than go together, several tasks.
    for [m, i, o] in [[1, 1, 1], [1, 70, 13], [3, 64, 9], [16, 300, 700], [2, 0, 4]] {
        let (x, w) = (numbers(m * i, 9), numbers(o * i, 10));
        let Some(got) = here().then(|| few_rows(&x, &w, [m, i, o])) else { return };
        assert_eq!(got.len(), m * o);
        for (index, got) in got.into_iter().enumerate() {
            let (row, column) = (index / o, index % o);
            let parts =
                (0..i).map(|at| f64::from(x[row * i + at].to_f32()) * f64::from(w[column * i + at].to_f32()));
            let want: f64 = parts.sum();
            assert!((f64::from(got) - want).abs() < 1e-4, "{m} {i} {o} at {row}, {column}: {got} {want}");
        }
    }
}

#[test]
fn each_thread_has_a_task_if_there_are_enough_numbers() {
    assert_eq!(sizes([1024, 512], [512, 256], 2), [512, 256]);
    assert_eq!(sizes([512, 512], [512, 512], 2), [512, 256]);
    assert_eq!(sizes([1024, 512], [512, 512], 16), [256, 128]);
    assert_eq!(sizes([10, 40], [512, 256], 16), [32, 64]);
}

#[test]
#[should_panic(expected = "too short")]
fn a_slice_that_is_too_short_is_refused() {
    let numbers = numbers(10, 5);
    let term = Term { k: 4, a: matrix(&numbers, [4, 4], false), b: matrix(&numbers, [4, 2], false) };
    if !here() {
        panic!("too short, says a machine without these products");
    }
    product([4, 2], &[term]);
}
