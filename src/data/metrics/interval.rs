//! 95 % confidence intervals over items.

use protocol::Measured;

use crate::random::{below, generator};

/// The normal distribution's.
const Z: f64 = 1.959_963_984_540_054;
const RESAMPLES: u64 = 1000;

/// The mean of values, one an item. Shares (all values 0 or 1) have Wilson's interval (Wilson 1927), which is honest
/// also where all items are right; others the normal one, mean ± 1.96 · s/√n with s as lm-evaluation-harness's `stderr`
/// has it (n − 1).
pub fn mean(values: &[f64]) -> Measured {
    let value = average(values);
    if values.iter().all(|value| *value == 0.0 || *value == 1.0) && !values.is_empty() {
        return wilson(value, values.len() as f64);
    }
    around(value, standard_error(values))
}

/// The mean of the items' differences, `tuned` − `base`: both lists are of the same items. Normal interval over the
/// differences (paired).
pub fn mean_difference(base: &[f64], tuned: &[f64]) -> Measured {
    let differences: Vec<f64> = tuned.iter().zip(base).map(|(tuned, base)| tuned - base).collect();
    around(average(&differences), standard_error(&differences))
}

/// A figure of all items together (a perplexity, BLEU of a corpus): `figure` gets the numbers of items. The interval
/// holds the middle 95 % of 1000 resamples of the items (percentile bootstrap, Efron 1979), which are always the same.
pub fn pooled(items: usize, figure: impl Fn(&mut dyn Iterator<Item = usize>) -> f64) -> Measured {
    let value = figure(&mut (0..items));
    bootstrap(value, items, |drawn| figure(&mut drawn.iter().copied()))
}

fn bootstrap(value: f64, items: usize, figure: impl Fn(&[usize]) -> f64) -> Measured {
    if items < 2 {
        return Measured { value, low: f64::NAN, high: f64::NAN };
    }
    let mut drawn = vec![0; items];
    let resample = |number| {
        let mut random = generator(0, "bootstrap", number);
        drawn.iter_mut().for_each(|item| *item = below(&mut random, items as u64) as usize);
        figure(&drawn)
    };
    let mut figures: Vec<f64> = (0..RESAMPLES).map(resample).filter(|figure| figure.is_finite()).collect();
    figures.sort_unstable_by(f64::total_cmp);
    Measured { value, low: quantile(&figures, 0.025), high: quantile(&figures, 0.975) }
}

/// Between the two nearest, as numpy's `quantile`; not a number of nothing.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let place = share * last as f64;
    let (below, above) = (place.floor() as usize, place.ceil() as usize);
    sorted[below] + (sorted[above] - sorted[below]) * place.fract()
}

fn wilson(share: f64, items: f64) -> Measured {
    let z2 = Z * Z;
    let middle = (share + z2 / (2.0 * items)) / (1.0 + z2 / items);
    let half = Z / (1.0 + z2 / items) * (share * (1.0 - share) / items + z2 / (4.0 * items * items)).sqrt();
    Measured { value: share, low: (middle - half).clamp(0.0, share), high: (middle + half).clamp(share, 1.0) }
}

fn around(value: f64, error: f64) -> Measured {
    Measured { value, low: value - Z * error, high: value + Z * error }
}

fn average(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Of the mean; not a number of fewer than two.
fn standard_error(values: &[f64]) -> f64 {
    let (count, mean) = (values.len() as f64, average(values));
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (squares / (count - 1.0) / count).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(measured: Measured, expected: [f64; 3]) {
        let got = [measured.value, measured.low, measured.high];
        assert!(
            got.iter().zip(expected).all(|(got, want)| (got - want).abs() < 1e-6),
            "{got:?} {expected:?}"
        );
    }

    #[test]
    fn shares_have_wilsons_interval() {
        let values = |right: usize, all: usize| {
            (0..all).map(|item| f64::from(u8::from(item < right))).collect::<Vec<_>>()
        };
        // statsmodels: proportion_confint(8, 10, method="wilson").
        close(mean(&values(8, 10)), [0.8, 0.490_162_5, 0.943_317_8]);
        let all = mean(&values(5, 5));
        assert!(all.value == 1.0 && all.high == 1.0 && all.low < 0.6, "{all:?}");
    }

    #[test]
    fn means_have_the_normal_interval() {
        close(mean(&[1.0, 2.0, 3.0, 4.0]), [2.5, 1.234_848_7, 3.765_151_3]);
        assert!(mean(&[]).value.is_nan() && mean(&[2.0]).low.is_nan());
    }

    #[test]
    fn a_difference_looks_at_pairs() {
        let base = [0.0, 1.0, 0.0, 1.0, 0.0, 0.0];
        let tuned = [1.0, 1.0, 0.0, 1.0, 1.0, 0.0];
        let paired = mean_difference(&base, &tuned);
        close(paired, [1.0 / 3.0, -0.079_863_4, 0.746_530_0]);
        // The same answers: no doubt about no difference.
        assert_eq!(mean_difference(&base, &base), Measured { value: 0.0, low: 0.0, high: 0.0 });
    }

    #[test]
    fn a_bootstrap_is_the_same_each_time_and_near_the_normal_one() {
        let values: Vec<f64> = (0..400).map(|item| f64::from(item * 37 % 101)).collect();
        let figure = |items: &mut dyn Iterator<Item = usize>| {
            let (sum, count) = items.fold((0.0, 0.0), |(sum, count), item| (sum + values[item], count + 1.0));
            sum / count
        };
        let drawn = pooled(values.len(), figure);
        assert_eq!(drawn, pooled(values.len(), figure));
        let normal = mean(&values);
        assert!(
            (drawn.low - normal.low).abs() < 0.3 && (drawn.high - normal.high).abs() < 0.3,
            "{drawn:?} {normal:?}"
        );
        assert!(pooled(1, figure).low.is_nan());
    }
}
