//! Several texts in one row against each in a row of its own.

use burn::tensor::{DType, Tensor};

use super::super::{Causal, Mask, Starts, compose, cpu, ready_mask};
use super::assert_close;
use super::attention::{Attend, CAPPED, Case, PLAIN, WAYS, check};

/// Texts of the rows, around the borders of a tile.
const TEXTS: [&[usize]; 2] = [&[5, 40, 1, 130, 33, 91], &[3, 297]];

/// Where they stand among queries and keys.
#[derive(Clone, Copy, Debug)]
struct Layout {
    /// Keys in front of them.
    front: usize,
    /// Whether queries come with these.
    asks: bool,
}

impl Layout {
    const ALL: [Self; 4] = [
        Self { front: 0, asks: false },
        Self { front: 7, asks: false },
        Self { front: 7, asks: true },
        Self { front: 133, asks: true },
    ];

    /// Queries in front of the texts.
    fn led(self) -> usize {
        if self.asks { self.front } else { 0 }
    }

    fn case(self) -> Case {
        let queries = self.led() + TEXTS[0].iter().sum::<usize>();
        Case::new(2, [4, 2], queries, self.front - self.led(), 12)
    }

    fn starts(self) -> Starts {
        let mut first = Vec::new();
        for lengths in TEXTS {
            first.extend(std::iter::repeat_n(self.front as u32, self.led()));
            let mut start = self.front;
            for length in lengths {
                first.extend(std::iter::repeat_n(start as u32, *length));
                start += length;
            }
        }
        Starts { front: self.front, queries: first.len() / TEXTS.len(), first: first.into() }
    }

    fn mask(self, window: Option<usize>, lean: bool) -> Mask {
        let slopes = lean.then(|| self.case().slopes());
        let offset = self.front - self.led();
        Mask::Causal(Causal { offset, window, slopes, starts: Some(self.starts()) })
    }
}

const WINDOWS: [Option<usize>; 4] = [None, Some(4), Some(60), Some(500)];

/// What each text gets alone behind the front, one after the other along the queries.
fn alone(layout: Layout, row: usize, mask: &Mask) -> Tensor<4> {
    let [q, k, v] = layout.case().inputs().map(|x| x.narrow(0, row, 1));
    let (front, led) = (layout.front, layout.led());
    let mut parts = Vec::new();
    let mut begin = 0;
    for length in TEXTS[row] {
        let text = |x: &Tensor<4>, lead: usize| {
            let own = x.clone().narrow(2, lead + begin, *length);
            if lead == 0 { own } else { Tensor::cat(vec![x.clone().narrow(2, 0, lead), own], 2) }
        };
        let y = compose::attention(text(&q, led), text(&k, front), text(&v, front), PLAIN, mask);
        // The front asks with each of them, and gets the same.
        parts.push(if begin == 0 { y } else { y.narrow(2, led, *length) });
        begin += length;
    }
    Tensor::cat(parts, 2)
}

#[test]
fn texts_of_one_row_do_not_see_each_other() {
    for layout in Layout::ALL {
        for (window, lean) in WINDOWS.into_iter().flat_map(|window| [(window, false), (window, true)]) {
            let packed = layout.mask(window, lean);
            let Mask::Causal(causal) = packed.clone() else { unreachable!() };
            let single = Mask::Causal(Causal { starts: None, ..causal });
            let want = Tensor::cat((0..2).map(|row| alone(layout, row, &single)).collect(), 0);
            for (name, attend) in [("composed", compose::attention as Attend)].into_iter().chain(WAYS) {
                let [q, k, v] = layout.case().inputs();
                let got = attend(q, k, v, PLAIN, &packed);
                let about = format!("{name}, {layout:?}, window {window:?}, ALiBi {lean}");
                assert_close(&about, got, want.clone(), 1e-5);
            }
        }
    }
}

#[test]
fn gradients_of_texts_agree_with_the_composition() {
    for layout in Layout::ALL {
        for window in WINDOWS {
            check(&layout.case(), PLAIN, &layout.mask(window, false));
            check(&layout.case(), CAPPED, &layout.mask(window, true));
        }
    }
}

#[test]
fn a_ready_mask_keeps_texts_apart() {
    let layout = Layout::ALL[2];
    let [q, k, v] = layout.case().inputs();
    for lean in [false, true] {
        let mask = layout.mask(Some(60), lean);
        let ready = ready_mask(mask.clone(), q.dims()[2], &q.device(), DType::F64);
        assert!(matches!(&ready, Mask::Bias(bias) if bias.dims()[0] == 2));
        let want = cpu::attention(q.clone(), k.clone(), v.clone(), PLAIN, &mask);
        let got = compose::attention(q.clone(), k.clone(), v.clone(), PLAIN, &ready);
        assert_close("attention", got, want, 1e-5);
    }
}

/// One query a row behind a cache whose rows began late.
#[test]
fn padding_on_the_left_is_not_seen() {
    let case = Case::new(2, [4, 2], 1, 20, 12);
    let padding = [0usize, 13];
    let [q, k, v] = case.inputs();
    let starts = Starts { front: 0, queries: 1, first: padding.map(|first| first as u32).to_vec().into() };
    let slopes = Some(case.slopes());
    let causal =
        |offset, starts| Mask::Causal(Causal { offset, window: Some(6), slopes: slopes.clone(), starts });
    let got = cpu::attention(q.clone(), k.clone(), v.clone(), PLAIN, &causal(20, Some(starts)));
    for (row, padding) in padding.into_iter().enumerate() {
        let [q, k, v] = [&q, &k, &v].map(|x| x.clone().narrow(0, row, 1));
        let [k, v] = [k, v].map(|x| x.narrow(2, padding, 21 - padding));
        let want = compose::attention(q, k, v, PLAIN, &causal(20 - padding, None));
        assert_close("a row", got.clone().narrow(0, row, 1), want, 1e-5);
    }
}
