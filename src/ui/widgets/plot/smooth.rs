//! Exponential smoothing with bias correction, so that the first values are not drawn towards 0.

use super::Pyramid;

/// A smoothed series: `s = w s + (1 - w) x`, shown as `s / (1 - w^n)` (as Adam corrects its moments; Kingma and Ba
/// 2015, section 3). A value that is not finite leaves a gap and the mean as it was.
#[derive(Clone, Debug, Default)]
pub struct Smooth {
    weight: f64,
    mean: f64,
    /// `w^n`
    left: f64,
    values: Vec<f32>,
    pub pyramid: Pyramid,
}

impl Smooth {
    /// `weight` from 0 (as it is) to below 1.
    pub fn new(weight: f64) -> Self {
        Self { weight: weight.clamp(0.0, 0.9999), left: 1.0, ..Self::default() }
    }

    pub fn weight(&self) -> f64 {
        self.weight
    }

    /// Takes in the values from its end to `len`.
    pub fn extend(&mut self, len: usize, value: &impl Fn(usize) -> f64) {
        for index in self.values.len()..len {
            let new = value(index);
            if new.is_finite() {
                self.mean = self.weight * self.mean + (1.0 - self.weight) * new;
                self.left *= self.weight;
                self.values.push((self.mean / (1.0 - self.left)) as f32);
            } else {
                self.values.push(f32::NAN);
            }
        }
        let values = &self.values;
        self.pyramid.extend(values.len(), &|index| value_at(values, index));
    }

    pub fn get(&self, index: usize) -> f64 {
        value_at(&self.values, index)
    }
}

fn value_at(values: &[f32], index: usize) -> f64 {
    values.get(index).map_or(f64::NAN, |value| f64::from(*value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constant_stays_what_it_is_from_the_first_value() {
        let mut smooth = Smooth::new(0.99);
        smooth.extend(500, &|_| 3.0);
        assert!((0..500).all(|index| (smooth.get(index) - 3.0).abs() < 1e-5));
    }

    #[test]
    fn it_is_the_weighted_mean_and_leaves_gaps() {
        let values = [4.0, f64::NAN, 2.0, 1.0];
        let mut smooth = Smooth::new(0.5);
        smooth.extend(2, &|index| values[index]);
        smooth.extend(4, &|index| values[index]);
        assert_eq!(smooth.get(0), 4.0);
        assert!(smooth.get(1).is_nan() && smooth.get(9).is_nan());
        // (0.5² · 0.5 · 4 + 0.5 · 0.5 · 2 + 0.5 · 1) / (1 − 0.5³)
        assert!((smooth.get(3) - (0.5 + 0.5 + 0.5) / 0.875).abs() < 1e-6);
        let mut same = Smooth::new(0.0);
        same.extend(4, &|index| values[index]);
        assert_eq!([same.get(0), same.get(2), same.get(3)], [4.0, 2.0, 1.0]);
    }
}
