//! A linear map with a low-rank one beside it (LoRA: Hu et al. 2021, arXiv:2106.09685), `y = W·x + s·B·(A·x)`: both write
//! into one output and, backwards, into one gradient of the input.
//!
//! What is as narrow as the rank is calculated transposed, with the long side along the vectors of the products.

use burn::tensor::{DType, Tensor};
use burn_flex::FlexTensor;

use super::adapted_halves::AdaptedHalves;
use super::bridge::{Fused, Operand, fits, fits_rounded, run};
use super::buffer::{all_mut, elements, ordered, tensor};
use super::few::{FEW, few_rows};
use super::gemm::{Matrix, add_large_product, large_product};
use super::linear::{Linear, WeightLayout};
use super::tiles;

#[derive(Clone, Copy, Debug)]
struct Adapted {
    linear: Linear,
    scale: f32,
}

/// What the gradients need.
#[derive(Clone, Debug)]
struct Saved {
    /// Unless only `b` learns.
    x: Option<FlexTensor>,
    /// If the input learns.
    weight: Option<FlexTensor>,
    a: FlexTensor,
    b: FlexTensor,
    /// `A·x`, `[rank, n]`.
    low: FlexTensor,
}

/// A tensor `[…, columns]` as a matrix, with its number of rows.
fn rows(x: &FlexTensor) -> (Matrix<'_>, [usize; 2]) {
    let columns = x.layout().shape().as_slice().last().copied().unwrap_or(1);
    let elements = elements(x);
    (Matrix::by_rows(elements, columns), [elements.len() / columns.max(1), columns])
}

/// `a · bᵀ` `[m, n]` for `a` `[m, k]`, whose few rows are read again and again, and rows `b` `[n, k]` in order.
fn narrow_product(dims: [usize; 3], a: Matrix<'_>, b: Matrix<'_>) -> Vec<f32> {
    let [m, k, _] = dims;
    if m > FEW {
        return large_product(dims, a, b.transposed());
    }
    let at = |index: usize| a.elements[index / k * a.rows + index % k * a.columns];
    let rows: Vec<f32> = (0..m * k).map(at).collect();
    few_rows(&rows, b.elements, dims)
}

impl Adapted {
    /// The output, and `A·x`.
    fn calculate(&self, [x, weight, a, b]: [&FlexTensor; 4]) -> [FlexTensor; 2] {
        let ((x_rows, [n, i]), (a_rows, [rank, _]), (b_rows, [o, _])) = (rows(x), rows(a), rows(b));
        let low = narrow_product([rank, i, n], a_rows, x_rows);
        let mut output = self.linear.multiply(x, weight);
        let low_rows = Matrix::by_rows(&low, n).transposed();
        add_large_product([n, rank, o], self.scale, low_rows, b_rows.transposed(), all_mut(&mut output));
        [output, tensor(low, [rank, n])]
    }

    /// `s·g·B`, `[rank, n]`: the gradient of `A·x`.
    fn low_gradient(&self, g: Matrix<'_>, n: usize, b: &FlexTensor) -> Vec<f32> {
        let (b_rows, [o, rank]) = rows(b);
        let mut low = narrow_product([rank, o, n], b_rows.transposed(), g);
        low.iter_mut().for_each(|x| *x *= self.scale);
        low
    }

    /// `s·gᵀ·(A·x)`, `[o, rank]`.
    fn b_gradient(&self, g: Matrix<'_>, low: &FlexTensor, o: usize) -> FlexTensor {
        let (low_rows, [rank, n]) = rows(low);
        let across = large_product([rank, n, o], low_rows, g);
        let db = (0..o * rank).map(|index| self.scale * across[index % rank * o + index / rank]);
        tensor(db.collect(), [o, rank])
    }
}

impl Fused<4> for Adapted {
    type Saved = Saved;

    fn forward(&self, inputs: [FlexTensor; 4]) -> FlexTensor {
        let inputs = inputs.map(ordered);
        let [output, _] = self.calculate(inputs.each_ref());
        output
    }

    fn forward_saving(&self, inputs: [FlexTensor; 4], wanted: [bool; 4]) -> (FlexTensor, Saved) {
        let inputs = inputs.map(ordered);
        let [output, low] = self.calculate(inputs.each_ref());
        let [x, weight, a, b] = inputs;
        let x = (wanted[1] || wanted[2]).then_some(x);
        (output, Saved { x, weight: wanted[0].then_some(weight), a, b, low })
    }

    fn backward(&self, saved: Saved, gradient: FlexTensor, wanted: [bool; 4]) -> [Option<FlexTensor>; 4] {
        let Saved { x, weight, a, b, low } = saved;
        let gradient = ordered(gradient);
        let [batch, time, o] = gradient.layout().shape().dims();
        let n = batch * time;
        let g = Matrix::by_rows(elements(&gradient), o);
        let (a_rows, [rank, i]) = rows(&a);
        let d_low = self.low_gradient(g, n, &b);
        let d_low = Matrix::by_rows(&d_low, n);
        let dx = weight.map(|weight| {
            let (w, _) = self.linear.weight(&weight);
            let mut dx = large_product([n, o, i], g, w.transposed());
            add_large_product([n, rank, i], 1.0, d_low.transposed(), a_rows, &mut dx);
            tensor(dx, [batch, time, i])
        });
        let x = x.as_ref().map(|x| rows(x).0);
        let dw = x.filter(|_| wanted[1]).map(|x| self.linear.weight_gradient(x, g, [n, i, o]));
        let da = x.filter(|_| wanted[2]).map(|x| tensor(large_product([rank, n, i], d_low, x), [rank, i]));
        let db = wanted[3].then(|| self.b_gradient(g, &low, o));
        [dx, dw, da, db]
    }
}

/// Whether [`linear_adapted`] takes such an input: in `f32`, and in bf16 where the machine multiplies that.
pub fn adapts(x: &Tensor<3>) -> bool {
    fits(x) || x.dtype() == DType::BF16 && fits_rounded(x) && tiles::here()
}

/// `x · weightᵀ + scale · (x · aᵀ) · bᵀ` for `a` `[rank, I]` and `b` `[O, rank]`; all of one element type that
/// [`adapts`] accepts.
pub fn linear_adapted(
    x: Tensor<3>,
    weight: Tensor<2>,
    layout: WeightLayout,
    [a, b]: [Tensor<2>; 2],
    scale: f64,
) -> Tensor<3> {
    let (linear, scale) = (Linear { layout }, scale as f32);
    let halves = x.dtype() == DType::BF16;
    let operands = [Operand::new(x), Operand::new(weight), Operand::new(a), Operand::new(b)];
    match halves {
        true => run(AdaptedHalves { linear, scale }, operands),
        false => run(Adapted { linear, scale }, operands),
    }
}
