//! Norms of rows with a gain: RMS norms and layer norms. Backwards, the gradient of the rows, and that of the gain as
//! sums over parts of the rows.
//!
//! With `n = (x − mean) · r` and the gradient `g` for `n`, that for `x` is `r · (g − mean(g) − n · mean(g · n))`; an RMS norm
//! takes no means of `x` and of `g` away.

use cubecl::prelude::*;

use crate::launch::{Buffer, Element, Target, cube_a_row, cubes, lanes, start};
use crate::row::summed;

/// Units of a cube; several rows share one where they are short.
const UNITS: usize = 256;
/// Units that sum the gain's gradient: enough to fill a large GPU.
const SUMMING: usize = 1 << 17;
/// Rows of a part at least.
const LEAST_ROWS: usize = 16;

/// Rows and what is done with them.
#[derive(Clone, Debug)]
pub struct Norm {
    /// `[rows, columns]`.
    pub x: Buffer,
    pub element: Element,
    /// `[columns]`, in the same element type.
    pub weight: Buffer,
    /// The same, added behind the gain.
    pub bias: Option<Buffer>,
    /// What the gain is more than the weight.
    pub added: f32,
    pub eps: f32,
    /// Whether the normed number is rounded to the element type before the gain.
    pub rounded: bool,
    /// Whether the row's mean is taken away.
    pub centred: bool,
}

impl Norm {
    fn columns(&self) -> usize {
        self.weight.len()
    }

    fn rows(&self) -> usize {
        self.x.len() / self.columns().max(1)
    }

    /// Units that share a row, a power of two.
    fn share(&self) -> usize {
        (self.columns() / lanes(self.columns())).next_power_of_two().min(UNITS)
    }

    fn check(&self) {
        assert!(self.rows() * self.columns() == self.x.len(), "norm: lengths");
        assert!(self.bias.as_ref().is_none_or(|bias| bias.len() == self.columns()), "norm: bias");
    }

    fn shape(&self) -> ShapeLaunch {
        ShapeLaunch::new(
            self.rows() as u32,
            self.columns() as u32,
            self.share() as u32,
            self.added,
            self.eps,
            u32::from(self.rounded),
            u32::from(self.centred),
            u32::from(self.bias.is_some()),
        )
    }

    fn cubes(&self, target: &Target<'_>) -> (CubeCount, CubeDim) {
        cube_a_row(target, self.rows().div_ceil(UNITS / self.share()), UNITS)
    }
}

/// Norms rows into `y`.
///
/// # Panics
/// If the lengths do not fit one another.
pub fn norm(target: Target<'_>, of: Norm, y: Buffer) {
    of.check();
    assert!(y.len() == of.x.len(), "norm: lengths");
    if of.x.is_empty() {
        return;
    }
    let (count, dim) = of.cubes(&target);
    start!(
        normed_rows,
        target,
        count,
        dim,
        lanes(of.columns()),
        of.x.clone().arg(),
        of.weight.clone().arg(),
        of.bias.as_ref().unwrap_or(&of.weight).clone().arg(),
        y.arg(),
        of.shape(),
        UNITS,
        of.element.kind(),
    );
}

/// The gradient of the rows, from that of the normed ones; and of each row its mean (0 where it is not taken away) and the
/// factor that norms it, `[rows, 2]`, `f32`.
///
/// # Panics
/// If the lengths do not fit one another.
pub fn norm_backward(target: Target<'_>, of: Norm, gradient: Buffer, dx: Buffer, moments: Buffer) {
    of.check();
    assert!([gradient.len(), dx.len()] == [of.x.len(); 2], "norm_backward: lengths");
    assert!(moments.len() == 2 * of.rows(), "norm_backward: moments");
    if of.x.is_empty() {
        return;
    }
    let (count, dim) = of.cubes(&target);
    start!(
        gradient_rows,
        target,
        count,
        dim,
        lanes(of.columns()),
        of.x.clone().arg(),
        of.weight.clone().arg(),
        gradient.arg(),
        dx.arg(),
        moments.arg(),
        of.shape(),
        UNITS,
        of.element.kind(),
    );
}

/// Parts that the rows are summed in for the gradient of the gain.
pub fn gain_parts(rows: usize, columns: usize) -> usize {
    let filling = SUMMING / (columns / lanes(columns)).max(1);
    filling.min(rows.div_ceil(LEAST_ROWS)).max(1)
}

/// The gradient of the gain, summed over parts of the rows: `[parts, columns]`, `f32`, for any number of parts. `moments` are
/// [`norm_backward`]'s.
///
/// # Panics
/// If the lengths do not fit one another.
pub fn norm_gain(target: Target<'_>, of: Norm, gradient: Buffer, moments: Buffer, sums: Buffer) {
    of.check();
    let parts = sums.len() / of.columns().max(1);
    assert!(sums.len() == parts * of.columns() && gradient.len() == of.x.len(), "norm_gain: lengths");
    assert!(moments.len() == 2 * of.rows(), "norm_gain: moments");
    if sums.is_empty() {
        return;
    }
    let dim = CubeDim::new_1d(UNITS as u32);
    let lanes = lanes(of.columns());
    let count = cubes(&target, sums.len() / lanes, dim);
    start!(
        gain_sums,
        target,
        count,
        dim,
        lanes,
        of.x.clone().arg(),
        gradient.arg(),
        moments.arg(),
        sums.arg(),
        of.shape(),
        parts as u32,
        of.element.kind(),
    );
}

/// The numbers of a [`Norm`].
#[derive(CubeLaunch, CubeType)]
struct Shape {
    rows: u32,
    columns: u32,
    share: u32,
    added: f32,
    eps: f32,
    rounded: u32,
    centred: u32,
    biased: u32,
}

/// The part of a row that a unit has: vectors `from`, `from + share` and so on below `to`; none behind the last row.
#[derive(CubeType)]
struct Part {
    row: usize,
    from: usize,
    to: usize,
}

#[cube]
fn part<N: Size>(shape: &Shape, #[comptime] units: usize) -> Part {
    let unit = UNIT_POS as usize;
    let share = shape.share as usize;
    let row = CUBE_POS * (units / share) + unit / share;
    let width = shape.columns as usize / N::value();
    let mut to = 0usize.runtime();
    if row < shape.rows as usize {
        to = (row + 1) * width;
    }
    Part { row, from: row * width + unit % share, to }
}

/// The sum of a vector's lanes.
#[cube]
fn across<N: Size>(vector: Vector<f32, N>) -> f32 {
    let mut sum = 0.0f32.runtime();
    #[unroll]
    for lane in 0..N::value() {
        sum += vector.extract(lane);
    }
    sum
}

/// What is taken from the row's numbers.
#[cube]
fn mean<F: Float, N: Size>(x: &[Vector<F, N>], part: &Part, shape: &Shape, #[comptime] units: usize) -> f32 {
    let mut mean = 0.0f32.runtime();
    if shape.centred == 1 {
        let mut sum = Vector::<f32, N>::new(0.0);
        let mut at = part.from;
        while at < part.to {
            sum += Vector::cast_from(x[at]);
            at += shape.share as usize;
        }
        let (sum, _b, _c) = summed(across::<N>(sum), 0.0, 0.0, shape.share, units);
        mean = sum / f32::cast_from(shape.columns);
    }
    mean
}

/// The normed numbers as the gain meets them.
#[cube]
fn met<F: Float, N: Size>(normed: Vector<f32, N>, shape: &Shape) -> Vector<f32, N> {
    let mut met = normed;
    if shape.rounded == 1 {
        met = Vector::cast_from(Vector::<F, N>::cast_from(normed));
    }
    met
}

#[cube(launch, create_dummy_kernel)]
fn normed_rows<F: Float, N: Size>(
    x: &[Vector<F, N>],
    weight: &[Vector<F, N>],
    bias: &[Vector<F, N>],
    y: &mut [Vector<F, N>],
    shape: Shape,
    #[comptime] units: usize,
    #[define(F)] _element: ElemType,
) {
    let share = shape.share as usize;
    let width = shape.columns as usize / N::value();
    let part = part::<N>(&shape, units);
    let mean = mean::<F, N>(x, &part, &shape, units);

    let mut squares = Vector::<f32, N>::new(0.0);
    let mut at = part.from;
    while at < part.to {
        let centred = Vector::<f32, N>::cast_from(x[at]) - Vector::new(mean);
        squares += centred * centred;
        at += share;
    }
    let (squares, _b, _c) = summed(across::<N>(squares), 0.0, 0.0, shape.share, units);
    let r = 1.0 / (squares / f32::cast_from(shape.columns) + shape.eps).sqrt();

    let mut at = part.from;
    while at < part.to {
        let column = at - part.row * width;
        let centred = Vector::<f32, N>::cast_from(x[at]) - Vector::new(mean);
        let gain = Vector::<f32, N>::cast_from(weight[column]) + Vector::new(shape.added);
        let mut normed = met::<F, N>(centred * Vector::new(r), &shape) * gain;
        if shape.biased == 1 {
            normed += Vector::cast_from(bias[column]);
        }
        y[at] = Vector::cast_from(normed);
        at += share;
    }
}

#[cube(launch, create_dummy_kernel)]
fn gradient_rows<F: Float, N: Size>(
    x: &[Vector<F, N>],
    weight: &[Vector<F, N>],
    gradient: &[Vector<F, N>],
    dx: &mut [Vector<F, N>],
    moments: &mut [f32],
    shape: Shape,
    #[comptime] units: usize,
    #[define(F)] _element: ElemType,
) {
    let share = shape.share as usize;
    let width = shape.columns as usize / N::value();
    let part = part::<N>(&shape, units);
    let mean = mean::<F, N>(x, &part, &shape, units);

    let mut squares = Vector::<f32, N>::new(0.0);
    let mut along = Vector::<f32, N>::new(0.0);
    let mut sum = Vector::<f32, N>::new(0.0);
    let mut at = part.from;
    while at < part.to {
        let centred = Vector::<f32, N>::cast_from(x[at]) - Vector::new(mean);
        let gain = Vector::<f32, N>::cast_from(weight[at - part.row * width]) + Vector::new(shape.added);
        let g = Vector::<f32, N>::cast_from(gradient[at]) * gain;
        squares += centred * centred;
        along += centred * g;
        sum += g;
        at += share;
    }
    let (squares, along, sum) =
        summed(across::<N>(squares), across::<N>(along), across::<N>(sum), shape.share, units);
    let columns = f32::cast_from(shape.columns);
    let r = 1.0 / (squares / columns + shape.eps).sqrt();
    let along = along * r / columns;
    let mut level = 0.0f32.runtime();
    if shape.centred == 1 {
        level = sum / columns;
    }
    // One of those that share the row.
    if part.from == part.row * width && part.row < shape.rows as usize {
        moments[part.row * 2] = mean;
        moments[part.row * 2 + 1] = r;
    }

    let mut at = part.from;
    while at < part.to {
        let centred = Vector::<f32, N>::cast_from(x[at]) - Vector::new(mean);
        let gain = Vector::<f32, N>::cast_from(weight[at - part.row * width]) + Vector::new(shape.added);
        let g = Vector::<f32, N>::cast_from(gradient[at]) * gain;
        let n = centred * Vector::new(r);
        dx[at] = Vector::cast_from((g - Vector::new(level) - n * Vector::new(along)) * Vector::new(r));
        at += share;
    }
}

#[cube(launch, create_dummy_kernel)]
fn gain_sums<F: Float, N: Size>(
    x: &[Vector<F, N>],
    gradient: &[Vector<F, N>],
    moments: &[f32],
    sums: &mut [Vector<f32, N>],
    shape: Shape,
    parts: u32,
    #[define(F)] _element: ElemType,
) {
    let width = shape.columns as usize / N::value();
    let place = ABSOLUTE_POS;
    if place >= parts as usize * width {
        terminate!();
    }
    let column = place % width;
    let mut sum = Vector::<f32, N>::new(0.0);
    let mut row = place / width;
    while row < shape.rows as usize {
        let at = row * width + column;
        let centred = Vector::<f32, N>::cast_from(x[at]) - Vector::new(moments[row * 2]);
        let n = met::<F, N>(centred * Vector::new(moments[row * 2 + 1]), &shape);
        sum += n * Vector::cast_from(gradient[at]);
        row += parts as usize;
    }
    sums[place] = sum;
}
