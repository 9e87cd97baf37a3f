use burn::tensor::{DType, Device, Int, Tensor};

use super::super::{
    AdamWArgs, LowRank, Moments, backward_from, compose, cpu, cross_entropy_backward, formula, linear,
    linear_adapted, linear_in_out, matmul2,
};
use super::{assert_close, backward, leaf, random, tokens, values};

fn targets(rows: usize, tokens_: usize) -> Tensor<1, Int> {
    let ids: Vec<i32> = (0..rows).map(|row| (row * 7 % tokens_) as i32).collect();
    tokens(&ids)
}

#[test]
fn cross_entropy_agrees_with_the_composition_in_place_and_not() {
    for (rows, width) in [(1, 1), (3, 37), (70, 1001)] {
        let logits = random([rows, width], 1) * 12.0;
        let (want, want_d) = compose::cross_entropy(logits.clone(), targets(rows, width), 0.25);
        for copy in [logits.clone(), logits.clone() + 0.0] {
            let (loss, d) = cpu::cross_entropy(copy, targets(rows, width), 0.25);
            assert_close("loss", loss, want.clone(), 1e-5);
            assert_close("dlogits", d, want_d.clone(), 1e-5);
        }
        let (again, _) = cpu::cross_entropy(logits.clone(), targets(rows, width), 0.25);
        assert_close("the shared logits are untouched", again, want, 1e-5);
    }
}

#[test]
#[should_panic(expected = "target 37 with 37 tokens")]
fn a_target_beyond_the_vocabulary_is_refused() {
    drop(cpu::cross_entropy(random([1, 37], 1), tokens(&[37]), 1.0));
}

#[test]
fn logprobs_agree_with_the_composition() {
    for (rows, width) in [(1, 1), (3, 37), (70, 1001)] {
        let logits = random([rows, width], 1) * 12.0;
        let (want, want_best) = compose::logprobs(logits.clone(), targets(rows, width));
        let (got, best) = cpu::logprobs(logits, targets(rows, width));
        assert_close("logprobs", got, want, 1e-5);
        best.into_data().assert_eq(&want_best.into_data(), false);
    }
}

fn args(step: u32) -> AdamWArgs {
    AdamWArgs {
        lr: 1e-2,
        beta1: 0.9,
        beta2: 0.999,
        eps: 1e-8,
        weight_decay: 0.1,
        step,
        grad_scale: Tensor::from_floats([0.5], &Device::flex()),
    }
}

#[test]
fn adamw_agrees_with_the_composition_and_repeats_exactly() {
    let length = 40_001;
    let grads: Vec<Tensor<1>> = (0..3).map(|seed| random([length], 10 + seed)).collect();
    let train = |step: fn(Moments, &AdamWArgs) -> [Tensor<1>; 3]| {
        let zero = || Tensor::zeros([length], &Device::flex());
        let mut state = [random([length], 1), zero(), zero()];
        for (index, gradient) in grads.iter().enumerate() {
            let [param, m, v] = state;
            let moments = Moments { param, gradient: gradient.clone(), m, v };
            state = step(moments, &args(index as u32 + 1));
        }
        state
    };
    let [want, got, again] = [compose::adamw, cpu::adamw, cpu::adamw].map(train);
    for ((name, got), want) in ["param", "m", "v"].into_iter().zip(got.clone()).zip(want) {
        assert_close(name, got, want, 1e-5);
    }
    assert_eq!(got.map(values), again.map(values));
}

/// `torch.optim.AdamW` by hand, first step: the corrected moments are `g` and `g²`.
#[test]
fn the_first_adamw_step_is_that_of_the_formula() {
    let tensor = |x: f32| Tensor::<1>::from_floats([x], &Device::flex());
    let moments = Moments { param: tensor(2.0), gradient: tensor(-3.0), m: tensor(0.0), v: tensor(0.0) };
    let [p, _, _] = cpu::adamw(moments, &args(1));
    let want = 2.0 * (1.0 - 1e-2 * 0.1) + 1e-2 * 1.5 / (1.5 + 1e-8);
    assert!((values(p)[0] - want).abs() < 1e-6);
}

#[test]
fn adamw_leaves_shared_buffers_alone() {
    let p = random([100], 1);
    let before = values(p.clone());
    let zero = || Tensor::zeros([100], &Device::flex());
    let moments = Moments { param: p.clone(), gradient: random([100], 2), m: zero(), v: zero() };
    let [updated, ..] = cpu::adamw(moments, &args(1));
    assert_eq!(values(p), before);
    assert_ne!(values(updated), before);
}

#[test]
fn sum_of_squares_is_exact_to_rounding() {
    for length in [1, 31, 4096, 1_000_003] {
        let x = random([length], 4);
        let want: f64 = values(x.clone()).iter().map(|x| f64::from(*x).powi(2)).sum();
        let got = values(cpu::sum_of_squares(x.clone()))[0];
        assert!((f64::from(got) / want - 1.0).abs() < 1e-6, "{length}: {got} is not {want}");
        assert_eq!(got, values(cpu::sum_of_squares(x))[0]);
    }
}

#[test]
fn linear_agrees_with_the_composition() {
    for (batch, time, input, output) in [(1, 1, 3, 2), (2, 3, 5, 7), (16, 1, 515, 261), (2, 150, 129, 130)] {
        let (x, w) = (random([batch, time, input], 1), random([output, input], 2));
        let plain = |x: Tensor<3>, w: Tensor<2>| x.matmul(w.transpose().unsqueeze());
        let [a, b, c] = std::array::from_fn(|_| (leaf(&x), leaf(&w)));
        let want = plain(b.0.clone(), b.1.clone());
        let got = linear(a.0.clone(), a.1.clone());
        let turned = linear_in_out(c.0.clone(), c.1.clone().transpose());
        assert_close("linear", got.clone().inner(), want.clone().inner(), 1e-5);
        assert_close("linear_in_out", turned.clone().inner(), want.clone().inner(), 1e-5);
        let [da, db, dc] = [got, want, turned].map(backward);
        let want = (b.0.grad(&db).unwrap(), b.1.grad(&db).unwrap());
        for (leaves, gradients) in [(a, da), (c, dc)] {
            assert_close("dx", leaves.0.grad(&gradients).unwrap(), want.0.clone(), 1e-5);
            assert_close("dw", leaves.1.grad(&gradients).unwrap(), want.1.clone(), 1e-5);
        }
    }
}

#[test]
fn a_row_has_the_same_product_whatever_is_beside_it() {
    let (x, w) = (random([16, 1, 515], 1), random([261, 515], 2));
    let all = linear(x.clone(), w.clone());
    for row in 0..15 {
        let two = linear(x.clone().narrow(0, row, 2), w.clone());
        assert_eq!(values(two), values(all.clone().narrow(0, row, 2)), "row {row}");
    }
}

#[test]
fn a_backward_pass_can_start_from_a_known_gradient() {
    let (x, w) = (leaf(&random([1, 5, 8], 1)), random([11, 8], 2));
    let gradient = random([1, 5, 11], 3);
    let got = x.grad(&backward_from(linear(x.clone(), w.clone()), gradient.clone())).unwrap();
    let want = (linear(x.clone(), w) * gradient).sum().backward();
    assert_close("dx", got, x.grad(&want).unwrap(), 1e-6);
}

#[test]
fn cross_entropy_of_a_graph_gives_loss_and_gradients() {
    let (x, w) = (leaf(&random([1, 5, 8], 1)), leaf(&random([11, 8], 2)));
    let logits = || linear(x.clone(), w.clone()).reshape([5, 11]);
    let (loss, gradients) = cross_entropy_backward(logits(), targets(5, 11), 0.5);
    let (want_loss, d) = compose::cross_entropy(logits().inner(), targets(5, 11), 0.5);
    let want = (logits() * d).sum().backward();
    assert_close("loss", loss, want_loss, 1e-6);
    assert_close("dx", x.grad(&gradients).unwrap(), x.grad(&want).unwrap(), 1e-5);
    assert_close("dw", w.grad(&gradients).unwrap(), w.grad(&want).unwrap(), 1e-5);
}

/// What GPUs have, on the CPU.
#[test]
fn the_formula_of_a_linear_map_agrees_with_the_composition() {
    let (x, w) = (random([37, 12], 1), random([20, 12], 2));
    let (wx, ww) = (leaf(&x), leaf(&w));
    let want = wx.clone().matmul(ww.clone().transpose());
    let want_gradients = backward(want.clone());
    for input_first in [false, true] {
        let (lx, lw) = (leaf(&x), leaf(&if input_first { w.clone().transpose() } else { w.clone() }));
        let got = formula::linear(lx.clone(), lw.clone(), input_first);
        assert_close("output", got.clone().inner(), want.clone().inner(), 1e-5);
        let gradients = backward(got);
        assert_close("dx", lx.grad(&gradients).unwrap(), wx.grad(&want_gradients).unwrap(), 1e-5);
        let dw = lw.grad(&gradients).unwrap();
        let dw = if input_first { dw.transpose() } else { dw };
        assert_close("dw", dw, ww.grad(&want_gradients).unwrap(), 1e-5);

        let gradients = backward(formula::linear(leaf(&x), lw.clone(), input_first));
        assert!(lw.grad(&gradients).is_some() && lx.grad(&gradients).is_none());
        let frozen = lw.clone().inner();
        let gradients = backward(formula::linear(lx.clone(), frozen, input_first));
        assert_close("dx", lx.grad(&gradients).unwrap(), wx.grad(&want_gradients).unwrap(), 1e-5);
    }
}

#[test]
fn linear_multiplies_by_the_transposed_weight() {
    let (x, w) = (random([2, 3, 5], 1), random([7, 5], 2));
    let got = linear(x.clone(), w.clone());
    assert_close("linear", linear_in_out(x.clone(), w.clone().transpose()), got.clone(), 1e-6);
    let (xs, ws, ys) = (values(x), values(w), values(got));
    let want: f32 = (0..5).map(|i| xs[4 * 5 + i] * ws[6 * 5 + i]).sum();
    assert!((ys[4 * 7 + 6] - want).abs() < 1e-6);
}

#[test]
#[should_panic(expected = "different element types")]
fn products_of_two_element_types_are_refused() {
    drop(matmul2(random([2, 2], 1), random([2, 2], 2).cast(DType::BF16)));
}

#[test]
fn a_low_rank_map_beside_a_linear_one_is_what_both_are() {
    for (rows, inputs, outputs, rank) in [(1, 3, 5, 1), (40, 64, 130, 8), (300, 150, 90, 16)] {
        let (x, w) = (random([2, rows, inputs], 1), random([outputs, inputs], 2));
        let (a, b) = (random([rank, inputs], 3), random([outputs, rank], 4));
        let both = [&x.clone().reshape([2 * rows, inputs]), &w, &a, &b].map(leaf);
        let [wx, ww, wa, wb] = both.clone();
        let wx = wx.reshape([2, rows, inputs]);
        let want = linear(wx.clone(), ww) + linear(linear(wx, wa) * 0.7, wb);
        let want_gradients = backward(want.clone());
        for input_first in [false, true] {
            let weight = if input_first { w.clone().transpose() } else { w.clone() };
            let leaves = (leaf(&x), [&weight, &a, &b].map(leaf));
            let [lw, la, lb] = leaves.1.clone();
            let got = linear_adapted(leaves.0.clone(), lw, input_first, LowRank { a: la, b: lb, scale: 0.7 });
            assert_close("output", got.clone().inner(), want.clone().inner(), 1e-5);
            let gradients = backward(got);
            let want = |index: usize| both[index].grad(&want_gradients).unwrap();
            let dx = leaves.0.grad(&gradients).unwrap().reshape([2 * rows, inputs]);
            assert_close("dx", dx, want(0), 1e-5);
            let dw = leaves.1[0].grad(&gradients).unwrap();
            assert_close("dw", if input_first { dw.transpose() } else { dw }, want(1), 1e-5);
            assert_close("da", leaves.1[1].grad(&gradients).unwrap(), want(2), 1e-5);
            assert_close("db", leaves.1[2].grad(&gradients).unwrap(), want(3), 1e-5);
        }
    }
}

#[test]
fn frozen_matrices_beside_a_low_rank_map_get_no_gradient() {
    let (x, w) = (random([1, 6, 10], 1), random([7, 10], 2));
    let (a, b) = (leaf(&random([2, 10], 3)), leaf(&random([7, 2], 4)));
    let frozen = w.clone().autodiff();
    let y = linear_adapted(
        x.clone().autodiff(),
        frozen.clone(),
        false,
        LowRank { a: a.clone(), b: b.clone(), scale: 1.0 },
    );
    let gradients = backward(y);
    assert!(frozen.grad(&gradients).is_none());
    let want = backward(
        linear(x.clone().autodiff(), w.autodiff()) + linear(linear(x.autodiff(), a.clone()), b.clone()),
    );
    assert_close("da", a.grad(&gradients).unwrap(), a.grad(&want).unwrap(), 1e-5);
    assert_close("db", b.grad(&gradients).unwrap(), b.grad(&want).unwrap(), 1e-5);
}
