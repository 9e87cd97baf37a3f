//! Linear maps: one product forward, two backward, each written where it is needed without a
//! transposed copy.

use burn::tensor::{Bytes, DType, Tensor};
use burn_flex::{FlexTensor, Layout};
use half::bf16;

use super::bridge::{Fused, Operand, run};
use super::buffer::{elements, ordered, tensor};
use super::few::{FEW, few_rows};
use super::gemm::{Matrix, large_product};
use super::halves::{few_rows_of, halves, narrow, wide};
use super::tiles::{self, Term};

/// How a weight lies in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WeightLayout {
    /// `[O, I]`, as Hugging Face's `Linear`.
    OutIn,
    /// `[I, O]`, as `Conv1D`.
    InOut,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Linear {
    pub layout: WeightLayout,
}

impl Linear {
    /// The weight as `[I, O]`, with `I` and `O`.
    pub fn weight<'a>(&self, weight: &'a FlexTensor) -> (Matrix<'a>, [usize; 2]) {
        self.oriented(weight, elements(weight))
    }

    /// The same of a weight in bf16.
    pub fn weight_of_halves<'a>(&self, weight: &'a FlexTensor) -> (Matrix<'a, bf16>, [usize; 2]) {
        self.oriented(weight, halves(weight))
    }

    fn oriented<'a, E>(&self, weight: &FlexTensor, elements: &'a [E]) -> (Matrix<'a, E>, [usize; 2]) {
        let [rows, columns] = weight.layout().shape().dims();
        let matrix = Matrix::by_rows(elements, columns);
        match self.layout {
            WeightLayout::OutIn => (matrix.transposed(), [columns, rows]),
            WeightLayout::InOut => (matrix, [rows, columns]),
        }
    }

    /// `[I, O]` = `xᵀ · gradient`, in the weight's layout.
    pub fn weight_gradient(&self, x: Matrix<'_>, g: Matrix<'_>, [n, i, o]: [usize; 3]) -> FlexTensor {
        match self.layout {
            WeightLayout::OutIn => tensor(large_product([o, n, i], g.transposed(), x), [o, i]),
            WeightLayout::InOut => tensor(large_product([i, n, o], x.transposed(), g), [i, o]),
        }
    }
}

/// What the gradients need: the input if the weight learns, the weight if the input does; in 16 bits where they came so.
#[derive(Clone, Debug)]
pub(super) struct Saved {
    pub x: Option<FlexTensor>,
    pub weight: Option<FlexTensor>,
}

impl Linear {
    /// In the element type of `x`, which is the weight's.
    pub fn multiply(&self, x: &FlexTensor, weight: &FlexTensor) -> FlexTensor {
        let [batch, time, _] = x.layout().shape().dims();
        let few = self.layout == WeightLayout::OutIn && time == 1 && batch <= FEW;
        let y = match x.dtype() {
            // A single row has a product of its own in `f32`.
            DType::F32 if few && batch > 1 => {
                let (w, [i, o]) = self.weight(weight);
                tensor(few_rows(elements(x), w.elements, [batch, i, o]), [batch, time, o])
            }
            DType::F32 => self.product(x, weight),
            _ if few => few_rows_of(x, weight),
            DType::BF16 if tiles::here() => return self.product_of_halves(x, weight),
            _ => self.product(&wide(x.clone()), &wide(weight.clone())),
        };
        narrow(y, x.dtype())
    }

    fn product_of_halves(&self, x: &FlexTensor, weight: &FlexTensor) -> FlexTensor {
        let (b, [i, o]) = self.weight_of_halves(weight);
        let [batch, time, _] = x.layout().shape().dims();
        let term = Term { k: i, a: Matrix::by_rows(halves(x), i), b };
        sum_of_products([batch * time, o], &[term], [batch, time, o])
    }

    fn product(&self, x: &FlexTensor, weight: &FlexTensor) -> FlexTensor {
        let (w, [i, o]) = self.weight(weight);
        let [batch, time, _] = x.layout().shape().dims();
        let y = large_product([batch * time, i, o], Matrix::by_rows(elements(x), i), w);
        tensor(y, [batch, time, o])
    }
}

impl Fused<2> for Linear {
    type Saved = Saved;

    fn forward(&self, inputs: [FlexTensor; 2]) -> FlexTensor {
        let [x, weight] = inputs.map(ordered);
        self.multiply(&x, &weight)
    }

    fn forward_saving(&self, inputs: [FlexTensor; 2], wanted: [bool; 2]) -> (FlexTensor, Saved) {
        let [x, weight] = inputs.map(ordered);
        let output = self.multiply(&x, &weight);
        (output, Saved { x: wanted[1].then_some(x), weight: wanted[0].then_some(weight) })
    }

    fn backward(&self, saved: Saved, gradient: FlexTensor, _wanted: [bool; 2]) -> [Option<FlexTensor>; 2] {
        let (dtype, gradient) = (gradient.dtype(), ordered(gradient));
        if dtype == DType::BF16 && tiles::here() {
            return self.gradients_of_halves(&saved, &gradient);
        }
        let gradient = wide(gradient);
        let [batch, time, o] = gradient.layout().shape().dims();
        let n = batch * time;
        let g = Matrix::by_rows(elements(&gradient), o);
        let dx = saved.weight.map(|weight| {
            let weight = wide(weight);
            let (w, [i, _]) = self.weight(&weight);
            tensor(large_product([n, o, i], g, w.transposed()), [batch, time, i])
        });
        let dw = saved.x.map(|x| {
            let x = wide(x);
            let [_, _, i] = x.layout().shape().dims();
            self.weight_gradient(Matrix::by_rows(elements(&x), i), g, [n, i, o])
        });
        [dx, dw].map(|gradient| gradient.map(|gradient| narrow(gradient, dtype)))
    }
}

impl Linear {
    fn gradients_of_halves(&self, saved: &Saved, gradient: &FlexTensor) -> [Option<FlexTensor>; 2] {
        let [batch, time, o] = gradient.layout().shape().dims();
        let (n, g) = (batch * time, Matrix::by_rows(halves(gradient), o));
        let dx = saved.weight.as_ref().map(|weight| {
            let (w, [i, _]) = self.weight_of_halves(weight);
            sum_of_products([n, i], &[Term { k: o, a: g, b: w.transposed() }], [batch, time, i])
        });
        let dw = saved.x.as_ref().map(|x| {
            let [_, _, i] = x.layout().shape().dims();
            self.weight_gradient_of_halves(Matrix::by_rows(halves(x), i), g, [n, i, o])
        });
        [dx, dw]
    }

    /// As [`weight_gradient`](Self::weight_gradient), of bf16.
    pub fn weight_gradient_of_halves(
        &self,
        x: Matrix<'_, bf16>,
        g: Matrix<'_, bf16>,
        [n, i, o]: [usize; 3],
    ) -> FlexTensor {
        match self.layout {
            WeightLayout::OutIn => sum_of_products([o, i], &[Term { k: n, a: g.transposed(), b: x }], [o, i]),
            WeightLayout::InOut => sum_of_products([i, o], &[Term { k: n, a: x.transposed(), b: g }], [i, o]),
        }
    }
}

/// [`tiles::product`] as a tensor of this shape.
pub(super) fn sum_of_products<const D: usize>(
    dims: [usize; 2],
    terms: &[Term<'_>],
    shape: [usize; D],
) -> FlexTensor {
    let numbers = Bytes::from_elems(tiles::product(dims, terms));
    FlexTensor::new(numbers, Layout::contiguous(shape.into()), DType::BF16)
}

/// `x · weightᵀ` or `x · weight` of two tensors that [`fit`](super::fits_linear), of one element type.
pub fn linear(x: Tensor<3>, weight: Tensor<2>, layout: WeightLayout) -> Tensor<3> {
    run(Linear { layout }, [Operand::new(x), Operand::new(weight)])
}
