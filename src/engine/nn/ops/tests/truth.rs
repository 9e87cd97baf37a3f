//! The compositions against the formulas, written out in `f64`.

use burn::tensor::Tensor;

use super::super::{Causal, Mask, Scores, compose};
use super::{assert_close, backward, leaf, random, values};

fn doubles<const D: usize>(tensor: &Tensor<D>) -> Vec<f64> {
    values(tensor.clone()).into_iter().map(f64::from).collect()
}

fn assert_near<const D: usize>(what: &str, got: Tensor<D>, want: &[f64]) {
    let got = doubles(&got);
    assert_eq!(got.len(), want.len(), "{what}");
    for (index, (got, want)) in got.iter().zip(want).enumerate() {
        assert!((got - want).abs() < 2e-6 * want.abs().max(1.0), "{what}[{index}]: {got} is not {want}");
    }
}

/// What is added to the score of key `j` for the query at position `i`; None if it is not seen.
type Bias<'a> = &'a dyn Fn(usize, usize, usize) -> Option<f64>;

/// Softmax attention of `q` `[B, H, Tq, D]` over `k` `[B, Hkv, Tk, D]`, `v` `[B, Hkv, Tk, Dv]`; queries are the last
/// of the positions. `bias` is a function of head, `i` and `j`.
fn attention([q, k, v]: [&Tensor<4>; 3], rule: Scores, bias: Bias<'_>) -> Vec<f64> {
    let ([batch, heads, queries, width], [_, kv_heads, keys, width_v]) = (q.dims(), v.dims());
    let (q, k, v) = (doubles(q), doubles(k), doubles(v));
    let mut out = Vec::new();
    for (b, h, i) in triples(batch, heads, queries) {
        let row = &q[((b * heads + h) * queries + i) * width..][..width];
        let kv = b * kv_heads + h * kv_heads / heads;
        let weights: Vec<f64> = (0..keys)
            .map(|j| {
                let key = &k[(kv * keys + j) * width..][..width];
                let score = row.iter().zip(key).map(|(q, k)| q * k).sum::<f64>() * rule.scale;
                let score = rule.softcap.map_or(score, |cap| cap * (score / cap).tanh());
                bias(h, i + keys - queries, j).map_or(0.0, |bias| (score + bias).exp())
            })
            .collect();
        let sum: f64 = weights.iter().sum();
        out.extend((0..width_v).map(|d| {
            let values = (0..keys).map(|j| weights[j] * v[(kv * keys + j) * width_v + d]);
            values.sum::<f64>() / sum
        }));
    }
    out
}

fn triples(a: usize, b: usize, c: usize) -> impl Iterator<Item = (usize, usize, usize)> {
    (0..a * b * c).map(move |n| (n / (b * c), n / c % b, n % c))
}

fn inputs(queries: usize, keys: usize) -> [Tensor<4>; 3] {
    [random([2, 4, queries, 6], 1) * 2.0, random([2, 2, keys, 6], 2) * 2.0, random([2, 2, keys, 5], 3)]
}

#[test]
fn attention_follows_its_formula() {
    let slopes = [0.5, 0.25, 0.125, 0.0625];
    for (queries, keys) in [(9, 9), (4, 11), (1, 7)] {
        let [q, k, v] = inputs(queries, keys);
        for window in [None, Some(1), Some(3), Some(100)] {
            for (softcap, lean) in [(None, false), (Some(1.5), false), (None, true), (Some(1.5), true)] {
                let rule = Scores { scale: 0.4, softcap };
                let mask = Mask::Causal(Causal {
                    offset: keys - queries,
                    window,
                    slopes: lean.then(|| slopes.map(|slope| slope as f32).into()),
                    starts: None,
                });
                let bias = |head: usize, i: usize, j: usize| {
                    let seen = j <= i && window.is_none_or(|window| i - j < window);
                    seen.then(|| if lean { slopes[head] * (j as f64 - i as f64) } else { 0.0 })
                };
                let want = attention([&q, &k, &v], rule, &bias);
                let got = compose::attention(q.clone(), k.clone(), v.clone(), rule, &mask);
                assert_near(&format!("{queries} of {keys}, {rule:?}, {mask:?}"), got, &want);
            }
        }
    }
}

#[test]
fn a_bias_is_added_behind_the_cap_and_can_learn() {
    let [q, k, v] = inputs(5, 8);
    let bias = random([1, 4, 5, 8], 4);
    let added = doubles(&bias);
    let rule = Scores { scale: 0.4, softcap: Some(1.5) };
    let want = attention([&q, &k, &v], rule, &|head, i, j| Some(added[(head * 5 + i - 3) * 8 + j]));
    let learned = leaf(&bias);
    let got = super::super::attention(q.clone(), k.clone(), v.clone(), rule, &Mask::Bias(learned.clone()));
    assert_near("output", got.clone().inner(), &want);
    // The gradient of one element of the bias, by the difference of two outputs.
    let gradient = doubles(&learned.grad(&backward(got)).unwrap());
    let weights = doubles(&random([2, 4, 5, 5], 77));
    for element in [0, 3, 77, 159] {
        let moved = |step: f64| {
            let mut added = added.clone();
            added[element] += step;
            let out = attention([&q, &k, &v], rule, &|head, i, j| Some(added[(head * 5 + i - 3) * 8 + j]));
            out.iter().zip(&weights).map(|(y, w)| y * w).sum::<f64>()
        };
        let want = (moved(1e-5) - moved(-1e-5)) / 2e-5;
        assert!((gradient[element] - want).abs() < 1e-5, "{element}: {} is not {want}", gradient[element]);
    }
}

#[test]
fn rope_turns_halves_or_neighbours() {
    let (batch, heads, time, width, half) = (2, 3, 4, 10, 4);
    let x = random([batch, heads, time, width], 1);
    for (tables, interleaved) in [(1, false), (batch, false), (1, true), (batch, true)] {
        let (cos, sin) = (random([tables, time, half], 5), random([tables, time, half], 6));
        let (c, s, mut want) = (doubles(&cos), doubles(&sin), doubles(&x));
        for (b, h, t) in triples(batch, heads, time) {
            let row = &mut want[((b * heads + h) * time + t) * width..][..width];
            for i in 0..half {
                let at = (b * usize::from(tables > 1) * time + t) * half + i;
                let [first, second] = if interleaved { [2 * i, 2 * i + 1] } else { [i, i + half] };
                let (u, w) = (row[first], row[second]);
                (row[first], row[second]) = (u * c[at] - w * s[at], w * c[at] + u * s[at]);
            }
        }
        assert_near("rope", compose::rope(x.clone(), cos, sin, interleaved), &want);
    }
}

#[test]
fn the_gain_of_gemmas_norm_is_one_more_than_its_weight() {
    let (x, w) = (random([2, 3, 7], 1), random([7], 2));
    let (xs, ws) = (doubles(&x), doubles(&w));
    let want: Vec<f64> = xs
        .chunks(7)
        .flat_map(|row| {
            let root = (row.iter().map(|x| x * x).sum::<f64>() / 7.0 + 1e-6).sqrt();
            row.iter().zip(&ws).map(move |(x, w)| x / root * (1.0 + w)).collect::<Vec<_>>()
        })
        .collect();
    assert_near("composed", compose::rms_norm_unit(x.clone(), w.clone(), 1e-6), &want);
    assert_near("fused", super::super::rms_norm_unit(x.clone(), w.clone(), 1e-6), &want);
    let [a, b] = std::array::from_fn(|_| (leaf(&x), leaf(&w)));
    let da = backward(super::super::rms_norm_unit(a.0.clone(), a.1.clone(), 1e-6));
    let db = backward(compose::rms_norm_unit(b.0.clone(), b.1.clone(), 1e-6));
    assert_close("dx", a.0.grad(&da).unwrap(), b.0.grad(&db).unwrap(), 1e-5);
    assert_close("dw", a.1.grad(&da).unwrap(), b.1.grad(&db).unwrap(), 1e-5);
}
