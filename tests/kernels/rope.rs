use cubecl::client::Client;
use kernels::{Element, Rope, Target, rope};

use crate::{Memory, assert_close, client, element_types, numbers, rounding};

#[derive(Clone, Copy, Debug)]
struct Case {
    shape: [usize; 4],
    half: usize,
    /// Numbers of each token before its heads: as in a view of a wider matrix; and whether heads lie within tokens.
    before: usize,
    token_major: bool,
    own_tables: bool,
    interleaved: bool,
    back: bool,
    by_token: bool,
}

impl Case {
    fn strides(&self) -> [usize; 3] {
        let [_, heads, time, width] = self.shape;
        let token = self.before + heads * width;
        if self.token_major {
            [time * token, width, token]
        } else {
            [heads * time * width, time * width, width]
        }
    }

    /// Numbers in memory, from the first head's first on.
    fn span(&self) -> usize {
        let [batch, heads, time, width] = self.shape;
        let [a_batch, a_head, a_token] = self.strides();
        (batch - 1) * a_batch + (heads - 1) * a_head + (time - 1) * a_token + width
    }

    /// By the definition, in the order that is asked for.
    fn truth(&self, x: &[f32], cos: &[f32], sin: &[f32]) -> Vec<f64> {
        let [batch, heads, time, width] = self.shape;
        let strides = self.strides();
        let mut truth = vec![0.0; batch * heads * time * width];
        for row in 0..batch * heads * time {
            let (b, h, t) = (row / (heads * time), row / time % heads, row % time);
            let from = b * strides[0] + h * strides[1] + t * strides[2];
            let to = if self.by_token { (b * time + t) * heads + h } else { row } * width;
            let out = &mut truth[to..to + width];
            out.iter_mut().zip(&x[from..]).for_each(|(out, x)| *out = f64::from(*x));
            for pair in 0..self.half {
                let table = (t + if self.own_tables { b * time } else { 0 }) * self.half + pair;
                let (c, s) = (f64::from(cos[table]), f64::from(sin[table]));
                let s = if self.back { -s } else { s };
                let (i, j) =
                    if self.interleaved { (2 * pair, 2 * pair + 1) } else { (pair, pair + self.half) };
                let (first, second) = (out[i], out[j]);
                (out[i], out[j]) = (first * c - second * s, second * c + first * s);
            }
        }
        truth
    }

    fn check(&self, client: &Client, element: Element) {
        let [batch, _, time, _] = self.shape;
        let x = Memory::of(client, &numbers(self.span(), 1), element);
        let tables = if self.own_tables { batch } else { 1 } * time * self.half;
        let (cos, sin) = (numbers(tables, 2), numbers(tables, 3));
        let truth = self.truth(&x.read(), &cos, &sin);
        let turned = Memory::of(client, &vec![7.0; truth.len()], element);
        let of = Rope {
            x: x.buffer(),
            strides: self.strides(),
            shape: self.shape,
            element,
            cos: Memory::floats(client, &cos).buffer(),
            sin: Memory::floats(client, &sin).buffer(),
            half: self.half,
            interleaved: self.interleaved,
            back: self.back,
            turned: turned.buffer(),
            by_token: self.by_token,
        };
        rope(Target::Device(client), of);
        assert_close(&format!("{self:?} in {element:?}"), &turned.read(), &truth, 1e-6 + rounding(element));
    }
}

#[test]
fn every_order_and_pairing() {
    let client = client();
    // The last two cannot be read by fours.
    for (shape, half) in [
        ([1, 1, 1, 8], 4),
        ([2, 3, 5, 16], 8),
        ([3, 2, 7, 24], 8),
        ([1, 4, 130, 64], 32),
        ([2, 2, 3, 6], 3),
        ([2, 3, 4, 14], 5),
    ] {
        for flags in 0..1 << 6 {
            let flag = |bit: usize| flags >> bit & 1 == 1;
            let case = Case {
                shape,
                half,
                before: if flag(0) { 12 } else { 0 },
                token_major: flag(1),
                own_tables: flag(2),
                interleaved: flag(3),
                back: flag(4),
                by_token: flag(5),
            };
            for element in element_types(&client) {
                case.check(&client, element);
            }
        }
    }
}

#[test]
fn turned_back_it_is_what_it_was() {
    let client = client();
    let values = numbers(2 * 3 * 8, 4);
    let angles = numbers(3 * 4, 5);
    let table =
        |f: fn(f32) -> f32| Memory::floats(&client, &angles.iter().copied().map(f).collect::<Vec<_>>());
    let (cos, sin) = (table(f32::cos), table(f32::sin));
    let turn = |x: &Memory, back: bool| {
        let turned = Memory::floats(&client, &[0.0; 48]);
        let of = Rope {
            x: x.buffer(),
            strides: [48, 24, 8],
            shape: [1, 2, 3, 8],
            element: Element::F32,
            cos: cos.buffer(),
            sin: sin.buffer(),
            half: 4,
            interleaved: false,
            back,
            turned: turned.buffer(),
            by_token: false,
        };
        rope(Target::Device(&client), of);
        turned
    };
    let again = turn(&turn(&Memory::floats(&client, &values), false), true);
    let truth: Vec<f64> = values.iter().map(|x| f64::from(*x)).collect();
    assert_close("turned back", &again.read(), &truth, 1e-6);
}
