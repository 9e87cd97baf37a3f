//! Factors that begin with a part of the weights: the largest singular values (PiSSA, Meng et al. 2024,
//! arXiv:2404.02948) or the first columns of the QR decomposition (OLoRA, Büyükakyüz 2024, arXiv:2406.01775).
//!
//! The singular vectors come from subspace iteration (Halko et al. 2011, arXiv:0909.4061, algorithm 4.4): products with the
//! matrix on the device, orthogonal columns on the host in f64. Small matrices are decomposed exactly, on the host.

use burn::tensor::{Tensor, TensorData};
use protocol::Result;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::init::normal;
use crate::nn::{Value, ops};
use crate::weights::read_f32;

/// Matrices with a side up to this are decomposed exactly.
const EXACT: usize = 128;
/// Passes over a larger matrix, unless its singular values settle before.
const MOST_PASSES: usize = 24;
/// Relative change of singular values that counts as settled.
const SETTLED: f64 = 1e-5;

/// Columns of f64, each of the same length.
type Columns = Vec<Vec<f64>>;

/// A and B with s·B·A the part of the `[out, in]` matrix with the `rank` largest singular values, row-major:
/// A = √(S/s)·Vᵀ, B = U·√(S/s). `passes` None: until the values settle.
///
/// # Errors
/// When the device fails.
pub fn principal(
    weight: &Tensor<2>,
    rank: usize,
    scale: f64,
    passes: Option<usize>,
    rng: &mut ChaCha8Rng,
) -> Result<[Vec<f32>; 2]> {
    let [outputs, inputs] = weight.dims();
    let smaller = outputs.min(inputs);
    if smaller <= EXACT {
        return exact(weight, rank, scale);
    }
    let width = (rank + rank.max(16)).min(smaller);
    let drawn = (0..inputs * width).map(|_| normal(rng) as f32).collect();
    let mut basis = read_columns(&ops::matmul2(weight.clone(), put(drawn, [inputs, width], weight)))?;
    orthonormalise(&mut basis);
    let mut before = vec![0.0; rank];
    for _ in 0..passes.unwrap_or(MOST_PASSES) {
        let back = ops::matmul2(weight.clone().transpose(), columns_on(&basis, weight));
        basis = read_columns(&ops::matmul2(weight.clone(), back))?;
        let sizes = orthonormalise(&mut basis);
        let settled = sizes.iter().zip(&before).all(|(now, before)| (now - before).abs() <= SETTLED * now);
        if settled {
            break;
        }
        before = sizes[..rank].to_vec();
    }
    // A second time: rounding leaves the first one's columns slightly askew.
    orthonormalise(&mut basis);
    let narrow = ops::matmul2(columns_on(&basis, weight).transpose(), weight.clone());
    let rows = read(narrow)?.chunks(inputs).map(<[f64]>::to_vec).collect();
    Ok(within(&basis, &rows, rank, scale))
}

/// With all directions of the smaller side.
fn exact(weight: &Tensor<2>, rank: usize, scale: f64) -> Result<[Vec<f32>; 2]> {
    let [outputs, inputs] = weight.dims();
    if outputs > inputs {
        let [a, b] = exact(&weight.clone().transpose(), rank, scale)?;
        return Ok([transposed(&b, rank), transposed(&a, outputs)]);
    }
    let rows = read(weight.clone())?.chunks(inputs).map(<[f64]>::to_vec).collect();
    Ok(within(&unit_columns(outputs), &rows, rank, scale))
}

/// Row-major, `columns` wide.
fn transposed(matrix: &[f32], columns: usize) -> Vec<f32> {
    (0..columns).flat_map(|column| matrix.iter().skip(column).step_by(columns).copied()).collect()
}

fn unit_columns(size: usize) -> Columns {
    (0..size).map(|row| (0..size).map(|at| if at == row { 1.0 } else { 0.0 }).collect()).collect()
}

/// Singular vectors within a subspace with the columns Q, from the rows of the narrow matrix Qᵀ·W.
fn within(basis: &Columns, rows: &Columns, rank: usize, scale: f64) -> [Vec<f32>; 2] {
    let (outputs, inputs) = (basis[0].len(), rows[0].len());
    let gram: Columns = rows.par_iter().map(|a| rows.iter().map(|b| dot(a, b)).collect()).collect();
    let vectors = eigenvectors(gram);
    let (mut a, mut b) = (vec![0f32; rank * inputs], vec![0f32; outputs * rank]);
    for (place, (square, vector)) in vectors.iter().take(rank).enumerate() {
        let value = square.max(0.0).sqrt();
        let root = (value / scale).sqrt();
        let right = combine(rows, vector, if value > 0.0 { root / value } else { 0.0 });
        let left = combine(basis, vector, root);
        for (at, element) in right.iter().enumerate() {
            a[place * inputs + at] = *element as f32;
        }
        for (at, element) in left.iter().enumerate() {
            b[at * rank + place] = *element as f32;
        }
    }
    [a, b]
}

/// A = R and B = Q of W = Q·R, cut to `rank`, row-major.
///
/// # Errors
/// When the device fails.
pub fn orthogonal_columns(weight: &Tensor<2>, rank: usize) -> Result<[Vec<f32>; 2]> {
    let outputs = weight.dims()[0];
    let mut basis = read_columns(&weight.clone().narrow(1, 0, rank))?;
    orthonormalise(&mut basis);
    orthonormalise(&mut basis);
    let a = read(ops::matmul2(columns_on(&basis, weight).transpose(), weight.clone()))?;
    let mut b = vec![0f32; outputs * rank];
    for (place, column) in basis.iter().enumerate() {
        for (at, element) in column.iter().enumerate() {
            b[at * rank + place] = *element as f32;
        }
    }
    Ok([a.into_iter().map(|element| element as f32).collect(), b])
}

fn put(values: Vec<f32>, shape: [usize; 2], like: &Tensor<2>) -> Tensor<2> {
    Tensor::from_data(TensorData::new(values, shape), (&like.device(), like.dtype()))
}

fn columns_on(columns: &Columns, like: &Tensor<2>) -> Tensor<2> {
    let values = columns.iter().flatten().map(|element| *element as f32).collect();
    put(values, [columns.len(), columns[0].len()], like).transpose()
}

fn read(matrix: Tensor<2>) -> Result<Vec<f64>> {
    Ok(read_f32(&Value::Matrix(matrix))?.into_iter().map(f64::from).collect())
}

fn read_columns(matrix: &Tensor<2>) -> Result<Columns> {
    let rows = matrix.dims()[0];
    Ok(read(matrix.clone().transpose())?.chunks(rows.max(1)).map(<[f64]>::to_vec).collect())
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn combine(columns: &Columns, weights: &[f64], factor: f64) -> Vec<f64> {
    let mut sum = vec![0.0; columns[0].len()];
    for (column, weight) in columns.iter().zip(weights) {
        for (sum, element) in sum.iter_mut().zip(column) {
            *sum += factor * weight * element;
        }
    }
    sum
}

/// Makes columns orthonormal, each against all before it; one that depends on them becomes zero. Returns their lengths
/// before they were made 1.
fn orthonormalise(columns: &mut Columns) -> Vec<f64> {
    let mut lengths = Vec::with_capacity(columns.len());
    for at in 0..columns.len() {
        let (done, rest) = columns.split_at_mut(at + 1);
        let current = &mut done[at];
        let length = dot(current, current).sqrt();
        let factor = if length > f64::MIN_POSITIVE { 1.0 / length } else { 0.0 };
        current.iter_mut().for_each(|element| *element *= factor);
        lengths.push(length);
        let current = &*current;
        rest.par_iter_mut().for_each(|other| {
            let before = dot(other, other);
            let share = dot(current, other);
            other.iter_mut().zip(current).for_each(|(other, current)| *other -= share * current);
            // What is left of a dependent column is rounding.
            if dot(other, other) <= 1e-24 * before {
                other.fill(0.0);
            }
        });
    }
    lengths
}

/// Eigenvalues and eigenvectors of a symmetric matrix, the largest first: Jacobi's rotations, until nothing is left
/// beside the diagonal.
fn eigenvectors(mut matrix: Columns) -> Vec<(f64, Vec<f64>)> {
    let size = matrix.len();
    let mut vectors = unit_columns(size);
    for _ in 0..60 {
        let beside: f64 =
            (0..size).flat_map(|i| (0..i).map(move |j| (i, j))).map(|(i, j)| matrix[i][j].powi(2)).sum();
        let diagonal: f64 = (0..size).map(|i| matrix[i][i].powi(2)).sum();
        if beside <= 1e-30 * diagonal || diagonal == 0.0 {
            break;
        }
        for i in 0..size {
            for j in 0..i {
                rotate(&mut matrix, &mut vectors, j, i);
            }
        }
    }
    let mut found: Vec<(f64, Vec<f64>)> =
        vectors.into_iter().enumerate().map(|(at, v)| (matrix[at][at], v)).collect();
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    found
}

/// Makes `matrix[p][q]` zero (Golub and Van Loan, 8.5.2); rows of `vectors` are the eigenvectors.
fn rotate(matrix: &mut Columns, vectors: &mut Columns, p: usize, q: usize) {
    let element = matrix[p][q];
    if element == 0.0 {
        return;
    }
    let theta = (matrix[q][q] - matrix[p][p]) / (2.0 * element);
    let tangent = if theta == 0.0 { 1.0 } else { theta.signum() / (theta.abs() + theta.hypot(1.0)) };
    let cosine = 1.0 / tangent.hypot(1.0);
    let sine = tangent * cosine;
    for row in matrix.iter_mut() {
        (row[p], row[q]) = (cosine * row[p] - sine * row[q], sine * row[p] + cosine * row[q]);
    }
    for rows in [matrix, vectors] {
        let (low, high) = rows.split_at_mut(q);
        for (a, b) in low[p].iter_mut().zip(high[0].iter_mut()) {
            (*a, *b) = (cosine * *a - sine * *b, sine * *a + cosine * *b);
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use rand_chacha::rand_core::SeedableRng as _;

    use super::*;

    /// U·diag(values)·Vᵀ with columns drawn and made orthonormal.
    fn made([outputs, inputs]: [usize; 2], values: &[f64], rng: &mut ChaCha8Rng) -> Vec<f32> {
        let mut drawn = |len: usize| -> Columns {
            let mut columns: Columns =
                (0..values.len()).map(|_| (0..len).map(|_| normal(rng)).collect()).collect();
            orthonormalise(&mut columns);
            columns
        };
        let (u, v) = (drawn(outputs), drawn(inputs));
        let element = |row: usize, column: usize| -> f64 {
            values.iter().enumerate().map(|(at, value)| value * u[at][row] * v[at][column]).sum()
        };
        (0..outputs * inputs).map(|at| element(at / inputs, at % inputs) as f32).collect()
    }

    fn check(shape: [usize; 2], values: &[f64], rank: usize, passes: Option<usize>, allowed: f64) {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let elements = made(shape, values, &mut rng);
        let weight = Tensor::<2>::from_data(TensorData::new(elements, shape), &Device::flex());
        let [a, b] = principal(&weight, rank, 0.5, passes, &mut rng).unwrap();
        let (a, b) = (put(a, [rank, shape[1]], &weight), put(b, [shape[0], rank], &weight));
        // What is left has the other singular values: the sum of their squares is that of its elements (Eckart-Young).
        let rest = read(weight - ops::matmul2(b, a) * 0.5).unwrap();
        let wanted = values[rank..].iter().map(|value| value * value).sum::<f64>().sqrt();
        let got = dot(&rest, &rest).sqrt();
        assert!((got - wanted).abs() <= allowed, "{shape:?}: {got} is left, {wanted} wanted");
    }

    #[test]
    fn what_is_left_are_the_smaller_singular_values() {
        check([24, 40], &[9.0, 5.0, 4.9, 2.0, 1.0, 0.1], 3, None, 1e-4);
        check([40, 24], &[3.0, 3.0, 3.0, 1e-3], 3, None, 1e-5);
        let falling: Vec<f64> = (0..150).map(|at| 10.0 / (1.0 + f64::from(at))).collect();
        check([150, 300], &falling, 8, None, 1e-3);
        check([150, 300], &falling, 8, Some(4), 5e-2);
    }

    #[test]
    fn a_matrix_of_zeros_or_of_one_direction_gives_finite_factors() {
        for weight in [Tensor::<2>::zeros([6, 5], &Device::flex()), Tensor::ones([6, 5], &Device::flex())] {
            let mut rng = ChaCha8Rng::seed_from_u64(1);
            let [a, b] = principal(&weight, 3, 2.0, None, &mut rng).unwrap();
            let sum = ops::matmul2(put(b, [6, 3], &weight), put(a, [3, 5], &weight)) * 2.0;
            let rest = read(weight.clone() - sum).unwrap();
            assert!(rest.iter().all(|element| element.abs() < 1e-5), "{rest:?}");
            let [a, b] = orthogonal_columns(&weight, 2).unwrap();
            assert!(a.iter().chain(&b).all(|element| element.is_finite()));
        }
    }
}
