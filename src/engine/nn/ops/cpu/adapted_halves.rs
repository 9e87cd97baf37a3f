//! [`adapted`](super::adapted) in bf16, on machines that multiply it: `y = W·x + B·(s·A·x)` is one sum of two products, which
//! is rounded once, and so is the gradient of the input.

use burn_flex::FlexTensor;
use half::bf16;

use super::bridge::Fused;
use super::buffer::ordered;
use super::few::Half;
use super::gemm::Matrix;
use super::halves::halves;
use super::linear::{Linear, WeightLayout, sum_of_products};
use super::tiles::{Term, product};

#[derive(Clone, Copy, Debug)]
pub(super) struct AdaptedHalves {
    pub linear: Linear,
    pub scale: f32,
}

/// What the gradients need.
#[derive(Clone, Debug)]
pub(super) struct Saved {
    /// Unless only `b` learns.
    x: Option<FlexTensor>,
    /// If the input learns.
    weight: Option<FlexTensor>,
    a: FlexTensor,
    b: FlexTensor,
    /// `s·A·x`, `[n, rank]`.
    low: Vec<bf16>,
}

/// A tensor `[…, columns]` as a matrix, with its number of rows.
fn rows(x: &FlexTensor) -> (Matrix<'_, bf16>, [usize; 2]) {
    let columns = x.layout().shape().as_slice().last().copied().unwrap_or(1);
    let elements = halves(x);
    (Matrix::by_rows(elements, columns), [elements.len() / columns.max(1), columns])
}

impl AdaptedHalves {
    /// The output, and `s·A·x`.
    fn calculate(&self, [x, weight, a, b]: [&FlexTensor; 4]) -> (FlexTensor, Vec<bf16>) {
        let ((x_rows, [n, i]), (a_rows, [rank, _]), (b_rows, [o, _])) = (rows(x), rows(a), rows(b));
        let low = self.scaled(product([n, rank], &[Term { k: i, a: x_rows, b: a_rows.transposed() }]));
        let (w, _) = self.linear.weight_of_halves(weight);
        let [batch, time, _] = x.layout().shape().dims();
        let terms = [
            Term { k: i, a: x_rows, b: w },
            Term { k: rank, a: Matrix::by_rows(&low, rank), b: b_rows.transposed() },
        ];
        (sum_of_products([n, o], &terms, [batch, time, o]), low)
    }

    /// The scale's product, rounded.
    fn scaled(&self, mut numbers: Vec<bf16>) -> Vec<bf16> {
        if self.scale != 1.0 {
            let products: Vec<f32> = numbers.iter().map(|number| self.scale * number.to_f32()).collect();
            bf16::round(&products, &mut numbers);
        }
        numbers
    }
}

impl Fused<4> for AdaptedHalves {
    type Saved = Saved;

    fn forward(&self, inputs: [FlexTensor; 4]) -> FlexTensor {
        let inputs = inputs.map(ordered);
        self.calculate(inputs.each_ref()).0
    }

    fn forward_saving(&self, inputs: [FlexTensor; 4], wanted: [bool; 4]) -> (FlexTensor, Saved) {
        let inputs = inputs.map(ordered);
        let (output, low) = self.calculate(inputs.each_ref());
        let [x, weight, a, b] = inputs;
        let x = (wanted[1] || wanted[2]).then_some(x);
        (output, Saved { x, weight: wanted[0].then_some(weight), a, b, low })
    }

    fn backward(&self, saved: Saved, gradient: FlexTensor, wanted: [bool; 4]) -> [Option<FlexTensor>; 4] {
        let Saved { x, weight, a, b, low } = saved;
        let gradient = ordered(gradient);
        let [batch, time, o] = gradient.layout().shape().dims();
        let (n, g) = (batch * time, Matrix::by_rows(halves(&gradient), o));
        let ((a_rows, [rank, i]), (b_rows, _)) = (rows(&a), rows(&b));
        // The gradient of A·x.
        let d_low = self.scaled(product([n, rank], &[Term { k: o, a: g, b: b_rows }]));
        let d_low = Matrix::by_rows(&d_low, rank);
        let dx = weight.map(|weight| {
            let (w, _) = self.linear.weight_of_halves(&weight);
            let terms = [Term { k: o, a: g, b: w.transposed() }, Term { k: rank, a: d_low, b: a_rows }];
            sum_of_products([n, i], &terms, [batch, time, i])
        });
        let x = x.as_ref().map(|x| rows(x).0);
        let factors = Linear { layout: WeightLayout::OutIn };
        let dw = x.filter(|_| wanted[1]).map(|x| self.linear.weight_gradient_of_halves(x, g, [n, i, o]));
        let da = x.filter(|_| wanted[2]).map(|x| factors.weight_gradient_of_halves(x, d_low, [n, i, rank]));
        let low = Matrix::by_rows(low.as_slice(), rank);
        let db = wanted[3].then(|| factors.weight_gradient_of_halves(low, g, [n, rank, o]));
        [dx, dw, da, db]
    }
}
