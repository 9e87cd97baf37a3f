use burn::tensor::{DType, Tensor};

use super::super::{
    LowRank, Mask, Scores, attention, cpu, cross_entropy, gelu_erf, gelu_tanh, layer_norm, linear,
    linear_adapted, linear_in_out, logprobs, rms_norm, rms_norm_unit, rope, silu, silu_mul,
};
use super::{assert_close, backward, leaf, random, tokens};

/// The element types, with the largest error of a rounding.
const TYPES: [(DType, f32); 2] = [(DType::BF16, 1.0 / 256.0), (DType::F16, 1.0 / 2048.0)];

/// The kernel's output and gradients for operands in 16 bits are those for the same numbers in `f32`, within `roundings`.
fn assert_rounded<const D: usize>(
    what: &str,
    operands: &[Tensor<D>],
    roundings: f32,
    kernel: impl Fn(&[Tensor<D>]) -> Tensor<D>,
) {
    for (dtype, rounding) in TYPES {
        let halves: Vec<_> = operands.iter().map(|operand| operand.clone().cast(dtype)).collect();
        let wide: Vec<_> = halves.iter().map(|operand| operand.clone().cast(DType::F32)).collect();
        let tolerance = roundings * rounding;
        assert_close(what, kernel(&halves).cast(DType::F32), kernel(&wide), tolerance);
        let [got, want] = [halves, wide].map(|operands| {
            let leaves: Vec<_> = operands.iter().map(leaf).collect();
            let output = kernel(&leaves);
            assert_eq!(output.dtype(), operands[0].dtype(), "{what}");
            // The same gradient for both: one that 16 bits hold.
            let gradient = (random(output.dims(), 77) * 4.0).round() * 0.25;
            let gradients = (output.clone() * gradient.cast(output.dtype())).sum().backward();
            let of = |leaf: &Tensor<D>| leaf.grad(&gradients).unwrap().cast(DType::F32);
            (output.inner().cast(DType::F32), leaves.iter().map(of).collect::<Vec<_>>())
        });
        assert_close(what, got.0, want.0, tolerance);
        for (operand, (got, want)) in got.1.into_iter().zip(want.1).enumerate() {
            assert_close(&format!("{what}, {dtype:?}, gradient {operand}"), got, want, 2.0 * tolerance);
        }
    }
}

/// One row, odd widths, more than a block and a task take.
const SHAPES: [[usize; 3]; 4] = [[1, 1, 3], [2, 3, 37], [1, 1, 512], [3, 171, 129]];

type Unary = fn(Tensor<3>) -> Tensor<3>;

#[test]
fn activations_are_rounded_once() {
    for shape in SHAPES {
        let (x, y) = (random(shape, 1) * 5.0, random(shape, 2));
        let one: [(&str, Unary); 3] = [("silu", silu), ("gelu_tanh", gelu_tanh), ("gelu_erf", gelu_erf)];
        for (name, kernel) in one {
            assert_rounded(name, std::slice::from_ref(&x), 1.0, |x| kernel(x[0].clone()));
        }
        assert_rounded("silu_mul", &[x, y], 1.0, |x| silu_mul(x[0].clone(), x[1].clone()));
    }
}

#[test]
fn norms_are_rounded_once() {
    for shape in SHAPES {
        let gain = || random([1, 1, shape[2]], 2);
        let operands = [random(shape, 1), gain(), random([1, 1, shape[2]], 3)];
        let vector = |x: &Tensor<3>| x.clone().reshape([shape[2]]);
        assert_rounded("rms_norm", &operands[..2], 1.0, |x| rms_norm(x[0].clone(), vector(&x[1]), 1e-5));
        assert_rounded("unit", &operands[..2], 1.0, |x| rms_norm_unit(x[0].clone(), vector(&x[1]), 1e-5));
        assert_rounded("layer_norm", &operands, 1.0, |x| {
            layer_norm(x[0].clone(), vector(&x[1]), vector(&x[2]), 1e-5)
        });
    }
}

#[test]
fn rotations_and_attention_are_rounded_once_in_either_order_of_axes() {
    for ([heads, kv_heads], queries, width) in [([2, 2], 7, 8), ([4, 2], 130, 20), ([2, 1], 300, 32)] {
        let tables = [1, 2].map(|seed| random([1, queries, width / 2], seed));
        for exchanged in [false, true] {
            let one = |heads, seed| {
                let [time, heads] = if exchanged { [queries, heads] } else { [heads, queries] };
                let x = random([2, time, heads, width], seed) * 2.0;
                if exchanged { x.swap_dims(1, 2) } else { x }
            };
            let [q, k, v] = [one(heads, 3), one(kv_heads, 4), one(kv_heads, 5)];
            let [cos, sin] = tables.clone();
            assert_rounded("rope", std::slice::from_ref(&q), 1.0, |x| {
                rope(x[0].clone(), cos.clone(), sin.clone(), false)
            });
            // In bf16 the weights and the gradients of the scores are rounded, too.
            assert_rounded("attention", &[q, k, v], 3.0, |x| {
                let [q, k, v] = [0, 1, 2].map(|at: usize| x[at].clone());
                attention(q, k, v, Scores::scaled(0.3), &Mask::causal(0))
            });
        }
    }
}

#[test]
fn a_low_rank_map_beside_a_linear_one_is_rounded_once_where_bf16_is_multiplied() {
    for ([time, i, o], rank) in [([1, 7, 5], 2), ([70, 130, 90], 8), ([300, 64, 257], 33)] {
        for input_first in [false, true] {
            let shape = if input_first { [i, o] } else { [o, i] };
            let operands = [random([1, time, i], 1), random([1, shape[0], shape[1]], 2)];
            let factors = [random([1, rank, i], 3), random([1, o, rank], 4)];
            let matrix = |x: &Tensor<3>| x.clone().flatten::<2>(0, 1);
            let all = [operands, factors].concat();
            assert_rounded("linear_adapted", &all, 2.0, |x| {
                let low = LowRank { a: matrix(&x[2]), b: matrix(&x[3]), scale: 1.5 };
                linear_adapted(x[0].clone(), matrix(&x[1]), input_first, low)
            });
        }
    }
}

#[test]
fn losses_read_and_write_logits_of_16_bits() {
    for (dtype, rounding) in TYPES {
        let logits = (random([37, 700], 1) * 8.0).cast(dtype);
        let targets = tokens(&(0..37).map(|row| row * 17 % 700).collect::<Vec<i32>>());
        let wide = logits.clone().cast(DType::F32);
        let (want, want_gradient) = cross_entropy(wide.clone(), targets.clone(), 0.5);
        // Memory that others hold is left alone, that of nobody is written to.
        for own in [false, true] {
            let given = if own { wide.clone().cast(dtype) } else { logits.clone() };
            let (loss, gradient) = cross_entropy(given, targets.clone(), 0.5);
            assert_close("loss", loss, want.clone(), 1e-6);
            assert_eq!(gradient.dtype(), dtype);
            assert_close("gradient", gradient.cast(DType::F32), want_gradient.clone(), rounding);
        }
        let (got, best) = logprobs(logits, targets.clone());
        let (want, want_best) = cpu::logprobs(wide, targets);
        assert_close("logprobs", got, want, 1e-6);
        assert_eq!(best.into_data(), want_best.into_data());
    }
}

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
    for (dtype, rounding) in TYPES {
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
