use burn::tensor::{DType, Tensor};

use super::super::{linear, linear_in_out};
use super::{assert_close, backward, leaf, random};

/// Output and gradients of both operands, as `f32`.
fn results(x: &Tensor<3>, weight: &Tensor<2>, input_first: bool) -> (Tensor<3>, Tensor<3>, Tensor<2>) {
    let (x, weight) = (leaf(x), leaf(weight));
    let product = if input_first { linear_in_out } else { linear };
    let output = product(x.clone(), weight.clone()).cast(DType::F32);
    let gradients = backward(output.clone());
    let [dx, dw] =
        [x.grad(&gradients).unwrap().flatten::<1>(0, 2), weight.grad(&gradients).unwrap().flatten(0, 1)];
    (output.inner(), dx.cast(DType::F32).reshape(x.dims()), dw.cast(DType::F32).reshape(weight.dims()))
}

#[test]
fn products_of_16_bits_are_those_of_f32_rounded_once() {
    for (dtype, rounding) in [(DType::BF16, 1.0 / 256.0), (DType::F16, 1.0 / 2048.0)] {
        // One token and several answers, a prompt, and more than a task takes; widths that fill no vector.
        for ([batch, time], [o, i]) in [
            ([1, 1], [3, 7]),
            ([3, 1], [700, 129]),
            ([2, 5], [33, 48]),
            ([17, 1], [40, 300]),
            ([1, 90], [300, 260]),
        ] {
            for input_first in [false, true] {
                let x = random([batch, time, i], 1).cast(dtype);
                let weight = random(if input_first { [i, o] } else { [o, i] }, 2).cast(dtype);
                let product = if input_first { linear_in_out } else { linear };
                let want =
                    results(&x.clone().cast(DType::F32), &weight.clone().cast(DType::F32), input_first);
                let plain = product(x.clone(), weight.clone());
                assert_eq!(plain.dtype(), dtype);
                assert_close("untracked", plain.cast(DType::F32), want.0.clone(), rounding);
                let got = results(&x, &weight, input_first);
                assert_close("output", got.0, want.0, rounding);
                // The gradient of the output is rounded to 16 bits, too.
                assert_close("input's gradient", got.1, want.1, 2.0 * rounding);
                assert_close("weight's gradient", got.2, want.2, 2.0 * rounding);
            }
        }
    }
}

#[test]
fn a_transposed_view_is_read_in_its_order() {
    let weight = random([9, 20], 4).cast(DType::BF16);
    let x = random([1, 1, 9], 5).cast(DType::BF16);
    let got = linear(x.clone(), weight.clone().transpose());
    assert_close("view", got.cast(DType::F32), linear_in_out(x, weight).cast(DType::F32), 1.0 / 256.0);
}
