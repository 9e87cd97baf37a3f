//! Linear maps: one product forward, two backward, each written where it is needed without a
//! transposed copy.

use burn::tensor::Tensor;
use burn_flex::FlexTensor;

use super::bridge::{Fused, Operand, run};
use super::buffer::{elements, ordered, tensor};
use super::few::{FEW, few_rows};
use super::gemm::{Matrix, large_product};

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
        let [rows, columns] = weight.layout().shape().dims();
        let matrix = Matrix::by_rows(elements(weight), columns);
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

/// What the gradients need: the input if the weight learns, the weight if the input does.
#[derive(Clone, Debug)]
pub(super) struct Saved {
    pub x: Option<FlexTensor>,
    pub weight: Option<FlexTensor>,
}

impl Linear {
    pub fn multiply(&self, x: &FlexTensor, weight: &FlexTensor) -> FlexTensor {
        let (w, [i, o]) = self.weight(weight);
        let [batch, time, _] = x.layout().shape().dims();
        let dims = [batch * time, i, o];
        let y = match self.layout {
            WeightLayout::OutIn if time == 1 && (2..=FEW).contains(&batch) => {
                few_rows(elements(x), w.elements, dims)
            }
            WeightLayout::OutIn | WeightLayout::InOut => {
                large_product(dims, Matrix::by_rows(elements(x), i), w)
            }
        };
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
        let gradient = ordered(gradient);
        let [batch, time, o] = gradient.layout().shape().dims();
        let n = batch * time;
        let g = Matrix::by_rows(elements(&gradient), o);
        let dx = saved.weight.map(|weight| {
            let (w, [i, _]) = self.weight(&weight);
            tensor(large_product([n, o, i], g, w.transposed()), [batch, time, i])
        });
        let dw = saved.x.map(|x| {
            let [_, _, i] = x.layout().shape().dims();
            self.weight_gradient(Matrix::by_rows(elements(&x), i), g, [n, i, o])
        });
        [dx, dw]
    }
}

/// `x · weightᵀ` or `x · weight`.
pub fn linear(x: Tensor<3>, weight: Tensor<2>, layout: WeightLayout) -> Tensor<3> {
    run(Linear { layout }, [Operand::new(x), Operand::new(weight)])
}
