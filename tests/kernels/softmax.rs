use kernels::{Element, Gradient, Softmax, Target, softmax, softmax_backward};

use crate::{Memory, assert_close, client, element_types, numbers, rounding};
use cubecl::client::Client;

/// What stands around the scores `[batch, heads, queries, keys]`.
#[derive(Clone, Debug)]
struct Case {
    batch: usize,
    heads: usize,
    queries: usize,
    keys: usize,
    before: usize,
    window: Option<usize>,
    cap: Option<f32>,
    slopes: Option<Vec<f32>>,
    /// Keys in front, and the first key of each query's text.
    starts: Option<(usize, Vec<u32>)>,
}

const SCALE: f32 = 0.25;

impl Case {
    fn new([batch, heads, queries, keys]: [usize; 4]) -> Self {
        let before = keys - queries;
        Self { batch, heads, queries, keys, before, window: None, cap: None, slopes: None, starts: None }
    }

    fn scores(&self) -> usize {
        self.batch * self.heads * self.queries * self.keys
    }

    /// The keys that a query sees, from the farthest to its own: those in front of all texts and those of its text, as
    /// though they followed each other; of these the last of the window.
    fn seen(&self, row: usize, query: usize) -> Vec<usize> {
        let own = query + self.before;
        let keys: Vec<usize> = match &self.starts {
            Some((front, _)) if own < *front => (0..=own).collect(),
            Some((front, first)) => {
                let first = first[row * self.queries + query] as usize;
                (0..*front).chain(first..=own).collect()
            }
            None => (0..=own).collect(),
        };
        let kept = self.window.unwrap_or(keys.len()).min(keys.len());
        keys[keys.len() - kept..].to_vec()
    }

    /// Of a row, by the definition: probabilities, the gradient of its scores, and the size of what cancels in that.
    fn row(&self, scores: &[f32], gradient: &[f32], [row, head, query]: [usize; 3]) -> [Vec<f64>; 3] {
        let seen = self.seen(row, query);
        let (mut values, mut left) = (Vec::new(), Vec::new());
        for (behind, key) in seen.iter().rev().enumerate() {
            let scaled = f64::from(scores[*key]) * f64::from(SCALE);
            let tanh = self.cap.map(|cap| (scaled / f64::from(cap)).tanh());
            let bent = tanh.map_or(scaled, |tanh| tanh * f64::from(self.cap.unwrap_or(0.0)));
            let slope = self.slopes.as_ref().map_or(0.0, |slopes| f64::from(slopes[head]));
            values.push(bent - slope * behind as f64);
            left.push(tanh.map_or(1.0, |tanh| 1.0 - tanh * tanh));
        }
        let top = values.iter().copied().fold(f64::MIN, f64::max);
        let sum: f64 = values.iter().map(|value| (value - top).exp()).sum();
        let p: Vec<f64> = values.iter().map(|value| (value - top).exp() / sum).collect();
        let d = |key: usize| f64::from(gradient[key]);
        let along: f64 = seen.iter().rev().zip(&p).map(|(key, p)| p * d(*key)).sum();
        let [mut all, mut ds, mut sizes] = [(); 3].map(|()| vec![0.0; self.keys]);
        for ((key, p), left) in seen.iter().rev().zip(&p).zip(&left) {
            all[*key] = *p;
            ds[*key] = p * (d(*key) - along) * f64::from(SCALE) * left;
            sizes[*key] = p * (d(*key).abs() + along.abs()) * f64::from(SCALE);
        }
        [all, ds, sizes]
    }

    fn truth(&self, scores: &[f32], gradient: &[f32]) -> [Vec<f64>; 3] {
        let mut all = [Vec::new(), Vec::new(), Vec::new()];
        for at in 0..self.scores() / self.keys {
            let place = [at / (self.heads * self.queries), at / self.queries % self.heads, at % self.queries];
            let cells = at * self.keys..(at + 1) * self.keys;
            let row = self.row(&scores[cells.clone()], &gradient[cells], place);
            all.iter_mut().zip(row).for_each(|(all, row)| all.extend(row));
        }
        all
    }

    fn check(&self) {
        let client = client();
        element_types(&client).into_iter().for_each(|element| self.check_in(&client, element));
    }

    fn check_in(&self, client: &Client, element: Element) {
        let scores: Vec<f32> = numbers(self.scores(), 1).iter().map(|value| value * 24.0).collect();
        let gradient = numbers(self.scores(), 2);
        let slopes = self.slopes.as_ref().map(|slopes| Memory::floats(client, slopes));
        let starts =
            self.starts.as_ref().map(|(front, first)| (*front, Memory::words(client, first.iter().copied())));
        let spare = Memory::floats(client, &[f32::NAN]);
        let of = |scores: &Memory| Softmax {
            scores: scores.buffer(),
            element,
            heads: self.heads,
            queries: self.queries,
            keys: self.keys,
            scale: SCALE,
            cap: self.cap,
            before: self.before,
            window: self.window,
            slopes: slopes.as_ref().map(Memory::buffer),
            starts: starts.as_ref().map(|(front, first)| (*front, first.buffer())),
        };
        let memory = Memory::of(client, &scores, element);
        let changed = Memory::of(client, &gradient, element);
        let [p, ds, sizes] = self.truth(&memory.read(), &changed.read());
        let part = 1e-5 + rounding(element);
        // The smallest number of f16 that is not rounded to nothing.
        let least = if element == Element::F32 { 1e-30 } else { 6e-8 };

        softmax(Target::Device(client), of(&memory), &spare.buffer());
        assert_close(&format!("probabilities of {self:?} in {element:?}"), &memory.read(), &p, part);

        let memory = Memory::of(client, &scores, element);
        softmax_backward(
            Target::Device(client),
            of(&memory),
            Gradient { buffer: changed.buffer() },
            &spare.buffer(),
        );
        assert_close(&format!("probabilities again of {self:?} in {element:?}"), &memory.read(), &p, part);
        for (at, ((got, truth), size)) in changed.read().iter().zip(&ds).zip(&sizes).enumerate() {
            let difference = (f64::from(*got) - truth).abs();
            let what = format!("gradients of {self:?} in {element:?}");
            assert!(difference <= part * size + least, "{what}: [{at}] is {got}, and should be {truth}");
        }
    }
}

const SHAPES: [[usize; 4]; 11] = [
    [1, 1, 1, 1],
    [1, 1, 1, 9],
    [2, 3, 5, 5],
    [1, 2, 7, 12],
    [2, 4, 8, 8],
    [1, 1, 33, 33],
    [3, 2, 16, 20],
    [1, 2, 3, 511],
    [1, 1, 2, 512],
    [1, 1, 2, 2051],
    [1, 2, 130, 130],
];

/// Rows of texts behind `front` keys: a new one every third query, then every fifth.
fn starts(case: &Case, front: usize) -> Option<(usize, Vec<u32>)> {
    let first = |row: usize, query: usize| {
        let own = query + case.before;
        let every = 3 + 2 * (row % 2);
        (own.saturating_sub(front) / every * every + front) as u32
    };
    let all = (0..case.batch).flat_map(|row| (0..case.queries).map(move |query| (row, query)));
    Some((front, all.map(|(row, query)| first(row, query)).collect()))
}

#[test]
fn causal() {
    SHAPES.into_iter().for_each(|shape| Case::new(shape).check());
}

#[test]
fn a_sliding_window() {
    for (shape, window) in SHAPES.into_iter().flat_map(|shape| [1, 2, 5, 600].map(|window| (shape, window))) {
        Case { window: Some(window), ..Case::new(shape) }.check();
    }
}

#[test]
fn a_cap_on_the_scores() {
    SHAPES.into_iter().for_each(|shape| Case { cap: Some(2.5), ..Case::new(shape) }.check());
}

#[test]
fn slopes_of_heads() {
    for shape in SHAPES {
        let slopes = (0..shape[1]).map(|head| 0.5 / (head + 1) as f32).collect();
        Case { slopes: Some(slopes), ..Case::new(shape) }.check();
    }
}

#[test]
fn several_texts_in_a_row() {
    for (shape, front) in SHAPES.into_iter().flat_map(|shape| [0, 1, 4].map(|front| (shape, front))) {
        let case = Case::new(shape);
        if front > case.keys {
            continue;
        }
        let starts = starts(&case, front);
        Case { starts: starts.clone(), ..case.clone() }.check();
        Case { starts: starts.clone(), window: Some(2), ..case.clone() }.check();
        let slopes = (0..shape[1]).map(|head| 0.25 * (head + 1) as f32).collect();
        Case { starts, slopes: Some(slopes), cap: Some(3.0), window: Some(4), ..case }.check();
    }
}

/// A part of the queries, as attention by turns has it: the keys from a window's first on.
#[test]
fn a_part_of_the_queries() {
    Case { before: 40, keys: 48, window: Some(16), ..Case::new([2, 2, 8, 48]) }.check();
    // More keys than any query of the part sees.
    Case { before: 3, keys: 48, ..Case::new([2, 2, 8, 48]) }.check();
}

#[test]
fn more_rows_than_a_side_of_the_grid() {
    Case::new([1100, 2, 32, 32]).check_few();
}

impl Case {
    /// One row of many: the last.
    fn check_few(&self) {
        let client = client();
        let scores = numbers(self.scores(), 3);
        let memory = Memory::floats(&client, &scores);
        let of = Softmax {
            scores: memory.buffer(),
            element: Element::F32,
            heads: self.heads,
            queries: self.queries,
            keys: self.keys,
            scale: SCALE,
            cap: None,
            before: 0,
            window: None,
            slopes: None,
            starts: None,
        };
        softmax(Target::Device(&client), of, &Memory::floats(&client, &[0.0]).buffer());
        let cells = self.scores() - self.keys..self.scores();
        let last = [self.batch - 1, self.heads - 1, self.queries - 1];
        let [p, ..] = self.row(&scores[cells.clone()], &scores[cells.clone()], last);
        assert_close("the last row", &memory.read()[cells], &p, 1e-5);
    }
}
