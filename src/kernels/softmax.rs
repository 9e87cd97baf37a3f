//! The probabilities of attention from its scores, and the gradient of the scores, both in place of what they are made
//! from. What a query must not see is known from numbers, not from a mask in memory.
//!
//! The products around them stay matrix products, on tensor cores: queries and keys before, probabilities and values behind.

use cubecl::prelude::*;

use crate::launch::{Buffer, Element, Target, cube_a_row, lanes, start};
use crate::row::merged;

/// Units that share a row.
const UNITS: usize = 128;

/// Rows of scores `[batch, heads, queries, keys]`, and what their queries see.
#[derive(Clone, Debug)]
pub struct Softmax {
    /// Scores before, probabilities after.
    pub scores: Buffer,
    pub element: Element,
    pub heads: usize,
    pub queries: usize,
    pub keys: usize,
    /// Factor on a score.
    pub scale: f32,
    /// `cap · tanh(score / cap)`, after the factor.
    pub cap: Option<f32>,
    /// Keys before the first query.
    pub before: usize,
    /// A query sees a key if the distance to it is smaller.
    pub window: Option<usize>,
    /// ALiBi: `[heads]`, `f32`; each score loses its slope times the distance.
    pub slopes: Option<Buffer>,
    /// Keys in front of all texts of a row, and the first key of the text of each query, `[batch, queries]`, `u32`. What
    /// lies between the front and the text is not seen, and counts as no distance.
    pub starts: Option<(usize, Buffer)>,
}

/// The gradient of the probabilities.
#[derive(Clone, Debug)]
pub struct Gradient {
    /// As the scores: the gradient of the probabilities before, that of the scores after.
    pub buffer: Buffer,
}

impl Softmax {
    fn rows(&self) -> usize {
        self.scores.len() / self.keys.max(1)
    }

    fn check(&self) {
        let whole = self.heads * self.queries * self.keys;
        let batch = self.scores.len() / whole.max(1);
        assert!(batch * whole == self.scores.len(), "softmax: lengths");
        let slopes = self.slopes.as_ref().is_none_or(|slopes| slopes.len() == self.heads);
        let starts = self.starts.as_ref().is_none_or(|(_, first)| first.len() == batch * self.queries);
        assert!(slopes && starts, "softmax: lengths of slopes or starts");
    }
}

/// Something to bind where there is nothing: the scores themselves would be written to and read at once.
fn or_spare(buffer: Option<&Buffer>, spare: &Buffer) -> BufferArg {
    buffer.unwrap_or(spare).clone().arg()
}

/// Makes probabilities of scores. `spare` is any other memory of the device, of four bytes or more: it is not looked at.
///
/// # Panics
/// If the lengths do not fit one another.
pub fn softmax(target: Target<'_>, of: Softmax, spare: &Buffer) {
    of.check();
    if of.scores.is_empty() {
        return;
    }
    let (count, dim) = cube_a_row(&target, of.rows(), UNITS);
    start!(
        probability_rows,
        target,
        count,
        dim,
        lanes(of.keys),
        of.scores.clone().arg(),
        or_spare(of.slopes.as_ref(), spare),
        or_spare(of.starts.as_ref().map(|(_, first)| first), spare),
        SightLaunch::of(&of),
        UNITS,
        of.element.kind(),
    );
}

/// Makes probabilities of scores, and of the probabilities' gradient that of the scores. For `spare` see [`softmax`].
///
/// # Panics
/// If the lengths do not fit one another.
pub fn softmax_backward(target: Target<'_>, of: Softmax, gradient: Gradient, spare: &Buffer) {
    of.check();
    assert!(gradient.buffer.len() == of.scores.len(), "softmax_backward: lengths");
    if of.scores.is_empty() {
        return;
    }
    let (count, dim) = cube_a_row(&target, of.rows(), UNITS);
    start!(
        gradient_rows,
        target,
        count,
        dim,
        lanes(of.keys),
        of.scores.clone().arg(),
        gradient.buffer.arg(),
        or_spare(of.slopes.as_ref(), spare),
        or_spare(of.starts.as_ref().map(|(_, first)| first), spare),
        SightLaunch::of(&of),
        UNITS,
        of.element.kind(),
    );
}

/// The numbers of a [`Softmax`].
#[derive(CubeLaunch, CubeType)]
struct Sight {
    rows: u32,
    heads: u32,
    queries: u32,
    keys: u32,
    before: i32,
    window: i32,
    front: i32,
    scale: f32,
    /// 0: none.
    cap: f32,
    sloped: u32,
    started: u32,
}

impl SightLaunch {
    fn of(softmax: &Softmax) -> Self {
        Self::new(
            softmax.rows() as u32,
            softmax.heads as u32,
            softmax.queries as u32,
            softmax.keys as u32,
            softmax.before as i32,
            softmax.window.map_or(i32::MAX, |window| window as i32),
            softmax.starts.as_ref().map_or(0, |(front, _)| *front as i32),
            softmax.scale,
            softmax.cap.unwrap_or(0.0),
            u32::from(softmax.slopes.is_some()),
            u32::from(softmax.starts.is_some()),
        )
    }
}

/// What the query of one row sees.
#[derive(CubeType)]
struct Query {
    /// Its place among the keys.
    place: i32,
    /// The first key of its text.
    first: i32,
    /// Keys before this one are not seen.
    low: i32,
    /// Nor are those from this one on.
    high: i32,
    slope: f32,
}

#[cube]
fn query(row: usize, sight: &Sight, slopes: &[f32], starts: &[u32]) -> Query {
    let queries = sight.queries as usize;
    let heads = sight.heads as usize;
    let at = row % queries;
    let place = at as i32 + sight.before;
    let mut first = 0i32.runtime();
    if sight.started == 1 {
        first = starts[row / (queries * heads) * queries + at] as i32;
    }
    let mut slope = 0.0f32.runtime();
    if sight.sloped == 1 {
        slope = slopes[row / queries % heads];
    }
    let mut low = 0i32.runtime();
    if sight.front == 0 {
        low = max(first, place - sight.window + 1);
        low = max(low, 0);
    }
    let high = min(place + 1, sight.keys as i32);
    Query { place, first, low, high, slope }
}

/// How far the query is behind a key; negative or no smaller than the window: not seen.
#[cube]
fn distance(key: i32, query: &Query, sight: &Sight) -> i32 {
    let mut distance = query.place - key;
    if key < sight.front {
        distance -= query.first - sight.front;
    } else if key < query.first {
        distance = -1i32;
    }
    distance
}

/// A score as the softmax takes it, and the slope that the cap has left it.
#[cube]
fn bent(score: f32, distance: i32, query: &Query, sight: &Sight) -> (f32, f32) {
    let mut value = score * sight.scale;
    let mut left = 1.0f32.runtime();
    if sight.cap > 0.0 {
        let tanh = (value / sight.cap).tanh();
        value = tanh * sight.cap;
        left = 1.0 - tanh * tanh;
    }
    value -= query.slope * f32::cast_from(distance);
    (value, left)
}

#[cube(launch, create_dummy_kernel)]
fn probability_rows<F: Float, N: Size>(
    scores: &mut [Vector<F, N>],
    slopes: &[f32],
    starts: &[u32],
    sight: Sight,
    #[comptime] units: usize,
    #[define(F)] _element: ElemType,
) {
    let row = CUBE_POS;
    if row >= sight.rows as usize {
        terminate!();
    }
    let lanes = N::value();
    let width = sight.keys as usize / lanes;
    let base = row * width;
    let query = query(row, &sight, slopes, starts);

    let mut top = f32::MIN.runtime();
    let mut sum = 0.0f32.runtime();
    let mut at = query.low as usize / lanes + UNIT_POS as usize;
    while at * lanes < query.high as usize {
        let x = Vector::<f32, N>::cast_from(scores[base + at]);
        #[unroll]
        for lane in 0..lanes {
            let distance = distance((at * lanes + lane) as i32, &query, &sight);
            if distance >= 0 && distance < sight.window {
                let (value, _left) = bent(x.extract(lane), distance, &query, &sight);
                let higher = max(top, value);
                sum = sum * (top - higher).exp() + (value - higher).exp();
                top = higher;
            }
        }
        at += units;
    }
    let (top, sum, _along) = merged(top, sum, 0.0, units);

    let mut at = UNIT_POS as usize;
    while at < width {
        let mut p = Vector::<f32, N>::new(0.0);
        if at * lanes + lanes > query.low as usize && at * lanes < query.high as usize {
            let x = Vector::<f32, N>::cast_from(scores[base + at]);
            #[unroll]
            for lane in 0..lanes {
                let distance = distance((at * lanes + lane) as i32, &query, &sight);
                if distance >= 0 && distance < sight.window {
                    let (value, _left) = bent(x.extract(lane), distance, &query, &sight);
                    p.insert(lane, (value - top).exp() / sum);
                }
            }
        }
        scores[base + at] = Vector::cast_from(p);
        at += units;
    }
}

#[cube(launch, create_dummy_kernel)]
fn gradient_rows<F: Float, N: Size>(
    scores: &mut [Vector<F, N>],
    gradient: &mut [Vector<F, N>],
    slopes: &[f32],
    starts: &[u32],
    sight: Sight,
    #[comptime] units: usize,
    #[define(F)] _element: ElemType,
) {
    let row = CUBE_POS;
    if row >= sight.rows as usize {
        terminate!();
    }
    let lanes = N::value();
    let width = sight.keys as usize / lanes;
    let base = row * width;
    let query = query(row, &sight, slopes, starts);

    let mut top = f32::MIN.runtime();
    let mut sum = 0.0f32.runtime();
    let mut along = 0.0f32.runtime();
    let mut at = query.low as usize / lanes + UNIT_POS as usize;
    while at * lanes < query.high as usize {
        let x = Vector::<f32, N>::cast_from(scores[base + at]);
        let d = Vector::<f32, N>::cast_from(gradient[base + at]);
        #[unroll]
        for lane in 0..lanes {
            let distance = distance((at * lanes + lane) as i32, &query, &sight);
            if distance >= 0 && distance < sight.window {
                let (value, _left) = bent(x.extract(lane), distance, &query, &sight);
                let higher = max(top, value);
                let (before, now) = ((top - higher).exp(), (value - higher).exp());
                sum = sum * before + now;
                along = along * before + now * d.extract(lane);
                top = higher;
            }
        }
        at += units;
    }
    let (top, sum, along) = merged(top, sum, along, units);
    let along = along / sum;

    let mut at = UNIT_POS as usize;
    while at < width {
        let mut p = Vector::<f32, N>::new(0.0);
        let mut ds = Vector::<f32, N>::new(0.0);
        if at * lanes + lanes > query.low as usize && at * lanes < query.high as usize {
            let x = Vector::<f32, N>::cast_from(scores[base + at]);
            let d = Vector::<f32, N>::cast_from(gradient[base + at]);
            #[unroll]
            for lane in 0..lanes {
                let distance = distance((at * lanes + lane) as i32, &query, &sight);
                if distance >= 0 && distance < sight.window {
                    let (value, left) = bent(x.extract(lane), distance, &query, &sight);
                    let likely = (value - top).exp() / sum;
                    p.insert(lane, likely);
                    ds.insert(lane, likely * (d.extract(lane) - along) * sight.scale * left);
                }
            }
        }
        scores[base + at] = Vector::cast_from(p);
        gradient[base + at] = Vector::cast_from(ds);
        at += units;
    }
}
