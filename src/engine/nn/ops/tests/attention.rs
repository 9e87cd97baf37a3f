use burn::tensor::{DType, Tensor};

use super::super::{Mask, compose, cpu};
use super::{assert_close, backward, leaf, random};

const TOLERANCE: f32 = 1e-5;

struct Case {
    batch: usize,
    heads: usize,
    kv_heads: usize,
    queries: usize,
    offset: usize,
    width: usize,
}

impl Case {
    const fn new(
        batch: usize,
        [heads, kv_heads]: [usize; 2],
        queries: usize,
        offset: usize,
        width: usize,
    ) -> Self {
        Self { batch, heads, kv_heads, queries, offset, width }
    }

    /// Queries, keys and values, laid out as projections leave them.
    fn inputs(&self) -> [Tensor<4>; 3] {
        let keys = self.queries + self.offset;
        [(self.heads, self.queries, 1), (self.kv_heads, keys, 2), (self.kv_heads, keys, 3)].map(
            |(heads, time, seed)| (random([self.batch, time, heads, self.width], seed) * 2.0).swap_dims(1, 2),
        )
    }
}

const CASES: [Case; 6] = [
    Case::new(1, [1, 1], 1, 0, 4),
    Case::new(2, [2, 2], 7, 0, 8),
    Case::new(1, [4, 1], 65, 0, 16),
    Case::new(2, [4, 2], 130, 3, 20),
    Case::new(1, [3, 3], 1, 200, 64),
    Case::new(1, [2, 1], 257, 0, 32),
];

fn check(case: &Case, mask: &Mask) {
    let scale = 0.3;
    let [q, k, v] = case.inputs();
    let want = compose::attention(q.clone(), k.clone(), v.clone(), scale, mask);
    let got = cpu::attention(q.clone(), k.clone(), v.clone(), scale, mask);
    assert_close("output", got, want, TOLERANCE);
    let [a, b] = std::array::from_fn(|_| [leaf(&q), leaf(&k), leaf(&v)]);
    let [aq, ak, av] = a.clone();
    let da = backward(cpu::attention(aq, ak, av, scale, mask));
    let [bq, bk, bv] = b.clone();
    let db = backward(compose::attention(bq, bk, bv, scale, mask));
    for (name, (a, b)) in ["dq", "dk", "dv"].into_iter().zip(a.iter().zip(&b)) {
        if case.queries + case.offset > 1 || name == "dv" {
            // With a single key the exact gradients of q and k are zero.
            assert_close(name, a.grad(&da).unwrap(), b.grad(&db).unwrap(), TOLERANCE);
        }
    }
}

#[test]
fn causal_attention_agrees_with_the_composition() {
    for case in &CASES {
        check(case, &Mask::Causal { offset: case.offset });
    }
}

#[test]
fn biased_attention_agrees_with_the_composition() {
    for case in &CASES[1..] {
        let keys = case.queries + case.offset;
        for heads in [1, case.heads] {
            let bias = random([case.batch, heads, case.queries, keys], 9);
            // Padding: the last key of the first row of the batch is hidden.
            let padded = bias.clone().slice_fill([0..1, 0..heads, 0..case.queries, keys - 1..keys], -1e9);
            check(case, &Mask::Bias(padded));
        }
    }
}

#[test]
fn the_order_of_the_result_needs_no_copy_to_join_heads() {
    let case = &CASES[3];
    let [q, k, v] = case.inputs();
    let y = cpu::attention(q, k, v, 1.0, &Mask::Causal { offset: case.offset });
    let joined = y.swap_dims(1, 2).try_into_primitive::<burn_flex::Flex>().unwrap();
    assert!(joined.is_contiguous());
}

#[test]
fn only_tracked_operands_get_gradients() {
    let [q, k, v] = CASES[1].inputs();
    let q = leaf(&q);
    let y = cpu::attention(q.clone(), k, v, 1.0, &Mask::Causal { offset: 0 });
    assert!(q.grad(&backward(y)).is_some());
}

#[test]
fn half_precision_takes_the_composition() {
    let [q, k, v] = CASES[2].inputs();
    let mask = Mask::Causal { offset: 0 };
    let want = super::super::attention(q.clone(), k.clone(), v.clone(), 0.25, &mask);
    let [q, k, v] = [q, k, v].map(|x| x.cast(DType::BF16));
    let got = super::super::attention(q, k, v, 0.25, &mask);
    assert_eq!(got.dtype(), DType::BF16);
    assert_close("attention", got, want, 2e-2);
}
