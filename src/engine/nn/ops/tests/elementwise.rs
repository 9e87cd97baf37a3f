use burn::tensor::Tensor;

use super::super::{compose, cpu, formula};
use super::{assert_close, backward, leaf, random};

const TOLERANCE: f32 = 1e-5;

/// Shapes: one row, odd widths, more rows than one task takes.
const SHAPES: [[usize; 3]; 4] = [[1, 1, 1], [2, 3, 37], [1, 1, 512], [3, 171, 129]];

type Unary = fn(Tensor<3>) -> Tensor<3>;

#[test]
fn activations_agree_with_the_compositions() {
    let pairs: [(&str, Unary, Unary); 6] = [
        ("silu", cpu::silu, compose::silu),
        ("gelu_tanh", cpu::gelu_tanh, compose::gelu_tanh),
        ("gelu_erf", cpu::gelu_erf, compose::gelu_erf),
        ("silu, formula", formula::silu, compose::silu),
        ("gelu_tanh, formula", formula::gelu_tanh, compose::gelu_tanh),
        ("gelu_erf, formula", formula::gelu_erf, compose::gelu_erf),
    ];
    for (name, fused, plain) in pairs {
        for shape in SHAPES {
            let x = random(shape, 1) * 9.0;
            assert_close(name, fused(x.clone()), plain(x.clone()), TOLERANCE);
            let (a, b) = (leaf(&x), leaf(&x));
            let (da, db) = (backward(fused(a.clone())), backward(plain(b.clone())));
            assert_close(name, a.grad(&da).unwrap(), b.grad(&db).unwrap(), TOLERANCE);
        }
    }
}

#[test]
fn activations_survive_extreme_values() {
    let x = Tensor::<3>::from_data([[[-1e30_f32, -200.0, 0.0, 200.0, 1e30]]], &burn::tensor::Device::flex());
    for f in [cpu::silu, cpu::gelu_tanh, cpu::gelu_erf] {
        let y = super::values(f(x.clone()));
        assert!(y[..3].iter().all(|y| y.abs() < 1e-6), "{y:?}");
        assert_eq!(y[3..], [200.0, 1e30]);
    }
}

#[test]
fn silu_mul_agrees_with_the_composition() {
    for shape in SHAPES {
        let (gate, up) = (random(shape, 1) * 9.0, random(shape, 2));
        let want = compose::silu_mul(gate.clone(), up.clone());
        assert_close("silu_mul", cpu::silu_mul(gate.clone(), up.clone()), want.clone(), TOLERANCE);
        // Nobody else holds this gate: the kernel writes into it.
        assert_close("in place", cpu::silu_mul(gate.clone() + 0.0, up.clone()), want, TOLERANCE);
        for by_hand in [cpu::silu_mul, formula::silu_mul] {
            let [a, b] = [(leaf(&gate), leaf(&up)), (leaf(&gate), leaf(&up))];
            let da = backward(by_hand(a.0.clone(), a.1.clone()));
            let db = backward(compose::silu_mul(b.0.clone(), b.1.clone()));
            assert_close("d gate", a.0.grad(&da).unwrap(), b.0.grad(&db).unwrap(), TOLERANCE);
            assert_close("d up", a.1.grad(&da).unwrap(), b.1.grad(&db).unwrap(), TOLERANCE);
        }
    }
}

type RmsNorm = fn(Tensor<3>, Tensor<1>, f64) -> Tensor<3>;

#[test]
fn rms_norms_agree_with_the_compositions() {
    let ways: [(RmsNorm, RmsNorm); 3] = [
        (cpu::rms_norm, compose::rms_norm),
        (formula::rms_norm, compose::rms_norm),
        (formula::rms_norm_unit, compose::rms_norm_unit),
    ];
    for (by_hand, plain) in ways {
        for shape in SHAPES {
            let (x, w) = (random(shape, 1), random([shape[2]], 2));
            let want = plain(x.clone(), w.clone(), 1e-6);
            assert_close("rms_norm", by_hand(x.clone(), w.clone(), 1e-6), want, TOLERANCE);
            let [a, b] = [(leaf(&x), leaf(&w)), (leaf(&x), leaf(&w))];
            let da = backward(by_hand(a.0.clone(), a.1.clone(), 1e-6));
            let db = backward(plain(b.0.clone(), b.1.clone(), 1e-6));
            if shape[2] > 1 {
                // With one channel the exact gradient is zero and both are rounding errors.
                assert_close("dx", a.0.grad(&da).unwrap(), b.0.grad(&db).unwrap(), TOLERANCE);
            }
            assert_close("dw", a.1.grad(&da).unwrap(), b.1.grad(&db).unwrap(), TOLERANCE);
        }
    }
}

#[test]
fn layer_norm_agrees_with_the_composition() {
    for shape in &SHAPES[1..] {
        let (x, w, b) = (random(*shape, 1) + 3.0, random([shape[2]], 2), random([shape[2]], 3));
        let want = compose::layer_norm(x.clone(), w.clone(), b.clone(), 1e-5);
        for by_hand in [cpu::layer_norm, formula::layer_norm] {
            let got = by_hand(x.clone(), w.clone(), b.clone(), 1e-5);
            assert_close("layer_norm", got, want.clone(), TOLERANCE);
            let [p, q] = std::array::from_fn(|_| (leaf(&x), leaf(&w), leaf(&b)));
            let dp = backward(by_hand(p.0.clone(), p.1.clone(), p.2.clone(), 1e-5));
            let dq = backward(compose::layer_norm(q.0.clone(), q.1.clone(), q.2.clone(), 1e-5));
            assert_close("dx", p.0.grad(&dp).unwrap(), q.0.grad(&dq).unwrap(), TOLERANCE);
            assert_close("dw", p.1.grad(&dp).unwrap(), q.1.grad(&dq).unwrap(), TOLERANCE);
            assert_close("db", p.2.grad(&dp).unwrap(), q.2.grad(&dq).unwrap(), TOLERANCE);
        }
    }
}

#[test]
fn frozen_gains_get_no_gradient() {
    for by_hand in [cpu::rms_norm, formula::rms_norm] {
        let (x, w) = (leaf(&random([2, 5, 64], 1)), random([64], 2));
        let gradients = backward(by_hand(x.clone(), w.clone(), 1e-6));
        let want = leaf(&random([2, 5, 64], 1));
        let want_gradients = backward(compose::rms_norm(want.clone(), w.clone().autodiff(), 1e-6));
        let got = x.grad(&gradients).unwrap();
        assert_close("dx", got, want.grad(&want_gradients).unwrap(), TOLERANCE);
    }
}
