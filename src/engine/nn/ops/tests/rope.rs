use super::super::{compose, cpu, formula};
use super::{assert_close, backward, leaf, random};

const TOLERANCE: f32 = 1e-5;

/// Heads, tokens, width, half of the rotated dimensions.
const SHAPES: [[usize; 4]; 4] = [[1, 1, 4, 2], [3, 7, 10, 3], [4, 200, 64, 32], [2, 129, 96, 16]];

#[test]
fn rope_agrees_with_the_composition_in_every_order() {
    let batch = 3;
    for [heads, time, width, half] in SHAPES {
        for (tables, interleaved) in [(1, false), (1, true), (batch, false), (batch, true)] {
            let (cos, sin) = (random([tables, time, half], 5), random([tables, time, half], 6));
            let by_head = random([batch, heads, time, width], 1);
            let by_token = random([batch, time, heads, width], 1).swap_dims(1, 2);
            for x in [by_head, by_token] {
                let want = compose::rope(x.clone(), cos.clone(), sin.clone(), interleaved);
                let got = cpu::rope(x.clone(), cos.clone(), sin.clone(), interleaved);
                assert_close("rope", got, want.clone(), TOLERANCE);
                // Nobody else holds this one: the kernel writes into it.
                let got = cpu::rope(x.clone() + 0.0, cos.clone(), sin.clone(), interleaved);
                assert_close("in place", got, want, TOLERANCE);
                for by_hand in [cpu::rope, formula::rope] {
                    let (a, b) = (leaf(&x), leaf(&x));
                    let da = backward(by_hand(a.clone(), cos.clone(), sin.clone(), interleaved));
                    let db = backward(compose::rope(b.clone(), cos.clone(), sin.clone(), interleaved));
                    assert_close("dx", a.grad(&da).unwrap(), b.grad(&db).unwrap(), TOLERANCE);
                }
            }
        }
    }
}

#[test]
#[should_panic(expected = "rope: tables [2, 7, 4] and [2, 7, 4] for [3, 1, 7, 8]")]
fn tables_of_another_batch_are_refused() {
    let table = random([2, 7, 4], 5);
    drop(cpu::rope(random([3, 1, 7, 8], 1), table.clone(), table, false));
}
