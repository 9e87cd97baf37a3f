//! Linear maps: one product forward, two backward, each written where it is needed without a
//! transposed copy.

use burn::tensor::Tensor;
use burn_flex::FlexTensor;

use super::bridge::{Fused, Operand, run};
use super::buffer::{elements, ordered, tensor};
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
struct Linear {
    layout: WeightLayout,
}

impl Linear {
    /// The weight as `[I, O]`, with `I` and `O`.
    fn weight<'a>(&self, weight: &'a FlexTensor) -> (Matrix<'a>, [usize; 2]) {
        let [rows, columns] = weight.layout().shape().dims();
        let matrix = Matrix::by_rows(elements(weight), columns);
        match self.layout {
            WeightLayout::OutIn => (matrix.transposed(), [columns, rows]),
            WeightLayout::InOut => (matrix, [rows, columns]),
        }
    }

    /// `[I, O]` = `xᵀ · gradient`, in the weight's layout.
    fn weight_gradient(&self, x: Matrix<'_>, g: Matrix<'_>, [n, i, o]: [usize; 3]) -> FlexTensor {
        let mut out = vec![0.0; i * o];
        match self.layout {
            WeightLayout::OutIn => large_product([o, n, i], g.transposed(), x, &mut out),
            WeightLayout::InOut => large_product([i, n, o], x.transposed(), g, &mut out),
        }
        match self.layout {
            WeightLayout::OutIn => tensor(out, [o, i]),
            WeightLayout::InOut => tensor(out, [i, o]),
        }
    }
}

impl Fused<2> for Linear {
    type Saved = ();

    fn forward(&self, inputs: [FlexTensor; 2]) -> FlexTensor {
        self.forward_saving(&inputs).0
    }

    fn forward_saving(&self, [x, weight]: &[FlexTensor; 2]) -> (FlexTensor, ()) {
        let (x, weight) = (ordered(x.clone()), ordered(weight.clone()));
        let (w, [i, o]) = self.weight(&weight);
        let [batch, time, _] = x.layout().shape().dims();
        let mut out = vec![0.0; batch * time * o];
        large_product([batch * time, i, o], Matrix::by_rows(elements(&x), i), w, &mut out);
        (tensor(out, [batch, time, o]), ())
    }

    fn backward(
        &self,
        [x, weight]: [FlexTensor; 2],
        (): (),
        gradient: FlexTensor,
        wanted: [bool; 2],
    ) -> [Option<FlexTensor>; 2] {
        let (x, weight, gradient) = (ordered(x), ordered(weight), ordered(gradient));
        let (w, [i, o]) = self.weight(&weight);
        let [batch, time, _] = x.layout().shape().dims();
        let n = batch * time;
        let g = Matrix::by_rows(elements(&gradient), o);
        let dx = wanted[0].then(|| {
            let mut out = vec![0.0; n * i];
            large_product([n, o, i], g, w.transposed(), &mut out);
            tensor(out, [batch, time, i])
        });
        let x = Matrix::by_rows(elements(&x), i);
        [dx, wanted[1].then(|| self.weight_gradient(x, g, [n, i, o]))]
    }
}

/// `x · weightᵀ` or `x · weight`.
pub fn linear(x: Tensor<3>, weight: Tensor<2>, layout: WeightLayout) -> Tensor<3> {
    run(Linear { layout }, [Operand::new(x), Operand::new(weight)])
}
