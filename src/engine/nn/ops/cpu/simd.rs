//! Loops that the compiler turns into the widest vectors of the machine, and the elementary
//! functions they need: branch-free, without calls, so that they vectorise.

/// Runs `work` in a version compiled for this machine's vectors (AVX-512, AVX2 with FMA, NEON).
///
/// The closure and everything it calls must be `#[inline(always)]`, else it stays baseline code, where
/// `mul_add` is a slow call: so plain `for` loops here, not `for_each`, `map` or `sum`.
#[inline(always)]
pub fn vectorised<R>(work: impl FnOnce() -> R) -> R {
    struct Work<F>(F);
    impl<R, F: FnOnce() -> R> pulp::WithSimd for Work<F> {
        type Output = R;

        #[inline(always)]
        fn with_simd<S: pulp::Simd>(self, _simd: S) -> R {
            (self.0)()
        }
    }
    pulp::Arch::new().dispatch(Work(work))
}

/// `eˣ` within 2 ulp, at most 2.4e38; NaN stays NaN. Zero below 1e-30: no softmax or sigmoid feels the
/// difference, but a product with numbers that small, once a factor has made them denormal, takes
/// twenty times as long. (Range reduction and polynomial of Cephes `expf`.)
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    const LOWEST: f32 = -69.0;
    const MAGIC: f32 = 12_582_912.0; // 1.5 · 2²³: the sum's low mantissa bits are the rounded integer
    let clamped = x.clamp(LOWEST, 88.376);
    let shifted = clamped.mul_add(std::f32::consts::LOG2_E, MAGIC);
    let n = shifted - MAGIC;
    let r = n.mul_add(2.121_944_4e-4, n.mul_add(-0.693_359_4, clamped));
    let p = 1.987_569_1e-4_f32
        .mul_add(r, 1.398_199_9e-3)
        .mul_add(r, 8.333_452e-3)
        .mul_add(r, 4.166_579_6e-2)
        .mul_add(r, 1.666_666_5e-1)
        .mul_add(r, 0.5);
    let y = p.mul_add(r * r, r + 1.0);
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(0x3f80_0000));
    if x < LOWEST { 0.0 } else { y * power }
}

/// `1 / (1 + e⁻ˣ)`.
#[inline(always)]
pub fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// The error function within 4 ulp (rational approximation of Eigen's `erf`); exactly ±1 far out.
#[inline(always)]
pub fn erf(x: f32) -> f32 {
    let near = x.clamp(-4.0, 4.0);
    let x2 = near * near;
    let p = (-2.726_142_4e-10_f32)
        .mul_add(x2, 2.770_681_4e-8)
        .mul_add(x2, -2.101_024e-6)
        .mul_add(x2, -5.692_506_4e-5)
        .mul_add(x2, -7.349_906e-4)
        .mul_add(x2, -2.954_6e-3)
        .mul_add(x2, -1.609_603_3e-2);
    let q = (-1.456_607_2e-5_f32)
        .mul_add(x2, -2.133_740_6e-4)
        .mul_add(x2, -1.682_827e-3)
        .mul_add(x2, -7.373_329e-3)
        .mul_add(x2, -1.426_473_9e-2);
    if x.abs() > 3.9 { 1.0_f32.copysign(x) } else { near * p / q }
}

/// The hyperbolic tangent within 4 ulp (rational approximation of Eigen's `tanh`).
#[inline(always)]
pub fn tanh(x: f32) -> f32 {
    let near = x.clamp(-7.905_311, 7.905_311);
    let x2 = near * near;
    let p = (-2.760_768_5e-16_f32)
        .mul_add(x2, 2.000_188e-13)
        .mul_add(x2, -8.604_672e-11)
        .mul_add(x2, 5.122_297e-8)
        .mul_add(x2, 1.485_722_4e-5)
        .mul_add(x2, 6.372_619e-4)
        .mul_add(x2, 4.893_525e-3);
    let q =
        1.198_258_4e-6_f32.mul_add(x2, 1.185_347e-4).mul_add(x2, 2.268_434_6e-3).mul_add(x2, 4.893_525e-3);
    near * p / q
}

/// Independent partial results: enough to fill two of the widest registers.
const LANES: usize = 32;

/// `Σ x`. The order of the additions depends on the length only, as in all sums here.
#[inline(always)]
pub fn sum(x: &[f32]) -> f32 {
    let (chunks, rest) = x.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for chunk in chunks {
        for lane in 0..LANES {
            lanes[lane] += chunk[lane];
        }
    }
    let mut total = fold(lanes, |a, b| a + b);
    for x in rest {
        total += x;
    }
    total
}

/// `Σ x·y` over the shorter length.
#[inline(always)]
pub fn dot(x: &[f32], y: &[f32]) -> f32 {
    let ((xs, x_rest), (ys, y_rest)) = (x.as_chunks::<LANES>(), y.as_chunks::<LANES>());
    let mut lanes = [0.0; LANES];
    for (x, y) in xs.iter().zip(ys) {
        for lane in 0..LANES {
            lanes[lane] = x[lane].mul_add(y[lane], lanes[lane]);
        }
    }
    let mut total = fold(lanes, |a, b| a + b);
    for (x, y) in x_rest.iter().zip(y_rest) {
        total = x.mul_add(*y, total);
    }
    total
}

/// Lanes of each of several sums at once: one register.
const NARROW: usize = 16;

/// `Σ w·x` of `N` rows with one `x`, all as long as it. A sum does not depend on which rows it is among.
#[inline(always)]
pub fn dots<const N: usize>(rows: [&[f32]; N], x: &[f32]) -> [f32; N] {
    let (xs, x_rest) = x.as_chunks::<NARROW>();
    let rows = rows.map(|row| row[..x.len()].as_chunks::<NARROW>());
    let mut lanes = [[0.0; NARROW]; N];
    for (at, x) in xs.iter().enumerate() {
        for (lanes, (chunks, _)) in lanes.iter_mut().zip(&rows) {
            let chunk = &chunks[at];
            for lane in 0..NARROW {
                lanes[lane] = chunk[lane].mul_add(x[lane], lanes[lane]);
            }
        }
    }
    let mut totals = [0.0; N];
    for ((total, lanes), (_, rest)) in totals.iter_mut().zip(lanes).zip(&rows) {
        *total = fold(lanes, |a, b| a + b);
        for (w, x) in rest.iter().zip(x_rest) {
            *total = w.mul_add(*x, *total);
        }
    }
    totals
}

/// `Σ x·y·z` over the shortest length.
#[inline(always)]
pub fn dot3(x: &[f32], y: &[f32], z: &[f32]) -> f32 {
    let ((xs, x_rest), (ys, y_rest)) = (x.as_chunks::<LANES>(), y.as_chunks::<LANES>());
    let (zs, z_rest) = z.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for ((x, y), z) in xs.iter().zip(ys).zip(zs) {
        for lane in 0..LANES {
            lanes[lane] = (x[lane] * y[lane]).mul_add(z[lane], lanes[lane]);
        }
    }
    let mut total = fold(lanes, |a, b| a + b);
    for ((x, y), z) in x_rest.iter().zip(y_rest).zip(z_rest) {
        total = (x * y).mul_add(*z, total);
    }
    total
}

/// The greatest element (`-∞` of nothing); NaN is passed over.
#[inline(always)]
pub fn max(x: &[f32]) -> f32 {
    let greater = |a: f32, b: f32| if b > a { b } else { a };
    let (chunks, rest) = x.as_chunks::<LANES>();
    let mut lanes = [f32::NEG_INFINITY; LANES];
    for chunk in chunks {
        for lane in 0..LANES {
            lanes[lane] = greater(lanes[lane], chunk[lane]);
        }
    }
    let mut top = fold(lanes, greater);
    for x in rest {
        top = greater(top, *x);
    }
    top
}

/// Replaces each score by `e^(score − max)` and gives the sum of them.
#[inline(always)]
pub fn exp_sum(x: &mut [f32], max: f32) -> f32 {
    let (chunks, rest) = x.as_chunks_mut::<LANES>();
    let mut lanes = [0.0; LANES];
    for chunk in chunks {
        for lane in 0..LANES {
            chunk[lane] = exp(chunk[lane] - max);
            lanes[lane] += chunk[lane];
        }
    }
    let mut total = fold(lanes, |a, b| a + b);
    for score in rest {
        *score = exp(*score - max);
        total += *score;
    }
    total
}

#[inline(always)]
fn fold<const N: usize>(mut lanes: [f32; N], f: impl Fn(f32, f32) -> f32) -> f32 {
    let mut width = N / 2;
    while width > 0 {
        for lane in 0..width {
            lanes[lane] = f(lanes[lane], lanes[lane + width]);
        }
        width /= 2;
    }
    lanes[0]
}

#[cfg(test)]
mod tests {
    use super::tanh;

    #[test]
    fn the_hyperbolic_tangent_is_that_of_doubles() {
        for step in -4000..=4000_i32 {
            let x = (step as f32 / 400.0).powi(3) / 50.0;
            let want = f64::from(x).tanh();
            let error = (f64::from(tanh(x)) - want).abs();
            assert!(error <= 4.0 * f64::from(f32::EPSILON) * want.abs(), "{x}: {} is not {want}", tanh(x));
        }
        for (x, want) in [(-1e30, -1.0), (f32::INFINITY, 1.0)] {
            assert!((tanh(x) - want).abs() < 1e-6, "{x}");
        }
        assert!(tanh(f32::NAN).is_nan());
    }
}
