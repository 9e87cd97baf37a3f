use std::sync::Arc;

use burn::tensor::{DType, Tensor};

use super::super::{Causal, Mask, READY_MASK, Scores, compose, cpu, formula, ready_mask};
use super::{assert_close, backward, leaf, random};

const TOLERANCE: f32 = 1e-5;

#[derive(Clone, Copy, Debug)]
pub struct Case {
    batch: usize,
    heads: usize,
    kv_heads: usize,
    queries: usize,
    offset: usize,
    width: usize,
    /// Of a value.
    width_v: usize,
}

impl Case {
    pub const fn new(
        batch: usize,
        [heads, kv_heads]: [usize; 2],
        queries: usize,
        offset: usize,
        width: usize,
    ) -> Self {
        Self { batch, heads, kv_heads, queries, offset, width, width_v: width }
    }

    /// Queries, keys and values, laid out as projections leave them.
    pub fn inputs(&self) -> [Tensor<4>; 3] {
        let keys = self.queries + self.offset;
        [
            (self.heads, self.queries, self.width, 1),
            (self.kv_heads, keys, self.width, 2),
            (self.kv_heads, keys, self.width_v, 3),
        ]
        .map(|(heads, time, width, seed)| {
            (random([self.batch, time, heads, width], seed) * 2.0).swap_dims(1, 2)
        })
    }

    pub fn slopes(&self) -> Arc<[f32]> {
        (0..self.heads).map(|head| 0.4 / (head + 1) as f32).collect()
    }

    fn mask(&self, window: Option<usize>, lean: bool) -> Mask {
        let slopes = lean.then(|| self.slopes());
        Mask::Causal(Causal { offset: self.offset, window, slopes, ..Causal::default() })
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

/// Around the borders of a tile, with and without a cache.
const BORDERS: [Case; 6] = [
    Case::new(2, [2, 1], 127, 0, 8),
    Case::new(1, [2, 2], 128, 0, 8),
    Case::new(2, [4, 2], 129, 130, 12),
    Case::new(1, [2, 1], 300, 0, 16),
    Case::new(2, [2, 1], 3, 297, 8),
    Case::new(1, [2, 2], 1, 300, 8),
];

pub fn check(case: &Case, rule: Scores, mask: &Mask) {
    let about = |what: &str| match mask {
        Mask::Causal(Causal { window, slopes, .. }) => {
            format!("{what} of {case:?}, {rule:?}, window {window:?}, ALiBi {}", slopes.is_some())
        }
        Mask::Bias(bias) => format!("{what} of {case:?}, {rule:?}, bias {:?}", bias.dims()),
    };
    let inputs = case.inputs();
    let [q, k, v] = inputs.clone();
    let want = compose::attention(q, k, v, rule, mask);
    let one_key =
        case.queries + case.offset == 1 || matches!(mask, Mask::Causal(Causal { window: Some(1), .. }));
    let b = inputs.each_ref().map(leaf);
    let [bq, bk, bv] = b.clone();
    let db = backward(compose::attention(bq, bk, bv, rule, mask));
    for (way, attend) in WAYS {
        let [q, k, v] = inputs.clone();
        assert_close(&about(way), attend(q, k, v, rule, mask), want.clone(), TOLERANCE);
        let a = inputs.each_ref().map(leaf);
        let [aq, ak, av] = a.clone();
        let da = backward(attend(aq, ak, av, rule, mask));
        for (name, (a, b)) in ["dq", "dk", "dv"].into_iter().zip(a.iter().zip(&b)) {
            if !one_key || name == "dv" {
                // With a single key the exact gradients of q and k are zero.
                let about = about(&format!("{name}, {way}"));
                assert_close(&about, a.grad(&da).unwrap(), b.grad(&db).unwrap(), TOLERANCE);
            }
        }
    }
}

pub type Attend = fn(Tensor<4>, Tensor<4>, Tensor<4>, Scores, &Mask) -> Tensor<4>;

/// Ways to the same result as the composition's.
pub const WAYS: [(&str, Attend); 3] =
    [("kernel", cpu::attention), ("formula", formula::attention), ("formula in turns", in_turns)];

fn in_turns(q: Tensor<4>, k: Tensor<4>, v: Tensor<4>, rule: Scores, mask: &Mask) -> Tensor<4> {
    formula::attention_in_chunks(q, k, v, rule, mask, 50)
}

pub const PLAIN: Scores = Scores { scale: 0.3, softcap: None };
/// Low enough to bend most scores.
pub const CAPPED: Scores = Scores { scale: 0.3, softcap: Some(1.2) };

#[test]
fn causal_attention_agrees_with_the_composition() {
    for case in CASES.iter().chain(&BORDERS) {
        check(case, PLAIN, &Mask::causal(case.offset));
    }
}

#[test]
fn windows_agree_with_the_composition() {
    for case in CASES[1..].iter().chain(&BORDERS) {
        for window in [1, 2, 5, 127, 128, 129, 200, 1000] {
            check(case, PLAIN, &case.mask(Some(window), false));
        }
    }
}

#[test]
fn slopes_agree_with_the_composition() {
    for case in CASES.iter().chain(&BORDERS) {
        check(case, PLAIN, &case.mask(None, true));
    }
}

#[test]
fn capped_scores_agree_with_the_composition() {
    for case in CASES.iter().chain(&BORDERS) {
        check(case, CAPPED, &Mask::causal(case.offset));
        check(case, Scores { softcap: Some(50.0), ..PLAIN }, &Mask::causal(case.offset));
    }
}

#[test]
fn values_of_another_width_agree_with_the_composition() {
    for case in CASES.iter().chain(&BORDERS) {
        for width_v in [1, case.width / 2, case.width + 7] {
            check(&Case { width_v, ..*case }, PLAIN, &Mask::causal(case.offset));
        }
    }
}

#[test]
fn all_options_together_agree_with_the_composition() {
    for case in CASES[1..].iter().chain(&BORDERS) {
        let case = Case { width_v: case.width + 3, ..*case };
        for window in [9, 150] {
            check(&case, CAPPED, &case.mask(Some(window), true));
        }
    }
}

#[test]
fn biased_attention_agrees_with_the_composition() {
    for case in &CASES[1..] {
        let keys = case.queries + case.offset;
        for (batch, heads) in [(case.batch, 1), (case.batch, case.heads), (1, case.heads)] {
            let bias = random([batch, heads, case.queries, keys], 9);
            // Padding: the last key of the first row of the batch is hidden.
            let padded = bias.clone().slice_fill([0..1, 0..heads, 0..case.queries, keys - 1..keys], -1e9);
            for rule in [PLAIN, CAPPED] {
                check(case, rule, &Mask::Bias(padded.clone()));
            }
        }
    }
}

#[test]
fn a_ready_mask_hides_what_the_causal_one_does() {
    let case = &BORDERS[2];
    let [q, k, v] = case.inputs();
    for (window, lean) in [(None, false), (Some(9), false), (None, true), (Some(140), true)] {
        let mask = case.mask(window, lean);
        let device = q.device();
        let same = ready_mask(mask.clone(), case.queries, &device, DType::F32);
        assert!(matches!(same, Mask::Causal(_)), "the kernel needs no bias");
        let ready = ready_mask(mask.clone(), case.queries, &device, DType::F64);
        let Mask::Bias(bias) = &ready else { panic!("{ready:?}") };
        let heads = if lean { case.heads } else { 1 };
        assert_eq!(bias.dims(), [1, heads, case.queries, case.queries + case.offset]);
        let many = (READY_MASK / 4 / heads).isqrt();
        for (queries, whole) in [(many - case.offset, true), (many, false)] {
            let ready = ready_mask(mask.clone(), queries, &device, DType::F64);
            assert_eq!(matches!(ready, Mask::Bias(_)), whole, "{queries}: {heads}");
        }
        let want = compose::attention(q.clone(), k.clone(), v.clone(), PLAIN, &mask);
        assert_close(
            "attention",
            cpu::attention(q.clone(), k.clone(), v.clone(), PLAIN, &ready),
            want,
            TOLERANCE,
        );
    }
}

#[test]
fn the_order_of_the_result_needs_no_copy_to_join_heads() {
    let case = &CASES[3];
    let [q, k, v] = case.inputs();
    let y = cpu::attention(q, k, v, Scores::scaled(1.0), &Mask::causal(case.offset));
    let joined = y.swap_dims(1, 2).try_into_primitive::<burn_flex::Flex>().unwrap();
    assert!(joined.is_contiguous());
}

#[test]
fn only_tracked_operands_get_gradients() {
    for (_, attend) in WAYS {
        let [q, k, v] = CASES[1].inputs();
        let q = leaf(&q);
        let y = attend(q.clone(), k, v, Scores::scaled(1.0), &Mask::causal(0));
        assert!(q.grad(&backward(y)).is_some());
    }
}

#[test]
fn half_precision_takes_the_formula() {
    let [q, k, v] = CASES[2].inputs();
    let mask = Mask::causal(0);
    let want = super::super::attention(q.clone(), k.clone(), v.clone(), Scores::scaled(0.25), &mask);
    let [q, k, v] = [q, k, v].map(|x| x.cast(DType::BF16));
    let got = super::super::attention(q, k, v, Scores::scaled(0.25), &mask);
    assert_eq!(got.dtype(), DType::BF16);
    assert_close("attention", got, want, 2e-2);
}

#[test]
fn gradients_in_half_precision_are_near_those_in_single() {
    let case = CASES[3];
    let mask = Mask::causal(case.offset);
    let [single, half] = [DType::F32, DType::BF16].map(|dtype| {
        let leaves = case.inputs().map(|x| leaf(&x.cast(dtype)));
        let [q, k, v] = leaves.clone();
        let gradients = backward(formula::attention_in_chunks(q, k, v, PLAIN, &mask, 50).cast(DType::F32));
        leaves.map(|leaf| leaf.grad(&gradients).unwrap().cast(DType::F32))
    });
    for (half, single) in half.into_iter().zip(single) {
        assert_close("gradient", half, single, 3e-2);
    }
}
