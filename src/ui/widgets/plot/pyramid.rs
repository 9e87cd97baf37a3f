//! The least and the greatest value of every stretch of a series, at every scale.
//!
//! A series of a million values is drawn from about two points a pixel: the extremes of each bucket, so that no spike
//! is lost. Level k has a bucket for every `BASE << k` values; buckets lie at fixed places, so that a picture does not
//! flicker while the series grows. Values stay where they are: the pyramid holds their indices.

use std::ops::Range;

/// Values a bucket of the lowest level.
const BASE: usize = 4;
/// In place of an index: no value of the bucket is finite.
const NONE: u32 = u32::MAX;

/// Where the extremes of a bucket lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Extremes {
    least: u32,
    greatest: u32,
}

#[derive(Clone, Debug, Default)]
pub struct Pyramid {
    levels: Vec<Vec<Extremes>>,
    len: usize,
}

impl Pyramid {
    /// How many values it knows.
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn clear(&mut self) {
        self.levels.clear();
        self.len = 0;
    }

    /// Takes in the values from its end to `len`; those before must be as they were.
    pub fn extend(&mut self, len: usize, value: &impl Fn(usize) -> f64) {
        let len = len.min(NONE as usize);
        if len <= self.len {
            return;
        }
        if self.levels.is_empty() {
            self.levels.push(Vec::new());
        }
        // The last bucket may not have been full: from there on all is made anew.
        let mut from = self.len / BASE;
        self.len = len;
        let lowest = &mut self.levels[0];
        lowest.truncate(from);
        lowest.extend((from..len.div_ceil(BASE)).map(|bucket| {
            let values = bucket * BASE..((bucket + 1) * BASE).min(len);
            values.fold(EMPTY, |found, index| with(found, index as u32, value))
        }));
        let mut level = 1;
        while self.levels[level - 1].len() > 1 {
            from /= 2;
            if self.levels.len() == level {
                self.levels.push(Vec::new());
                from = 0;
            }
            let (below, above) = self.levels.split_at_mut(level);
            let (below, above) = (&below[level - 1], &mut above[0]);
            above.truncate(from);
            above.extend(below[2 * from..].chunks(2).map(|pair| {
                pair.iter()
                    .fold(EMPTY, |found, part| with(with(found, part.least, value), part.greatest, value))
            }));
            level += 1;
        }
    }

    /// Visits, in order, the indices that draw this stretch in about `most` buckets; None is a gap. A bucket that the
    /// stretch only touches is visited whole.
    pub fn visit(
        &self,
        range: Range<usize>,
        most: usize,
        value: &impl Fn(usize) -> f64,
        mut point: impl FnMut(Option<usize>),
    ) {
        let range = range.start.min(self.len)..range.end.min(self.len);
        if range.len() <= 2 * most.max(1) {
            for index in range {
                point(value(index).is_finite().then_some(index));
            }
            return;
        }
        let fits = |level: usize| range.len().div_ceil(BASE << level) <= most.max(1);
        let level = (0..self.levels.len()).find(|level| fits(*level)).unwrap_or(self.levels.len() - 1);
        let size = BASE << level;
        let buckets = range.start / size..range.end.div_ceil(size).min(self.levels[level].len());
        for extremes in &self.levels[level][buckets] {
            let (a, b) = (extremes.least.min(extremes.greatest), extremes.least.max(extremes.greatest));
            if a == NONE {
                point(None);
                continue;
            }
            point(Some(a as usize));
            if b != a {
                point(Some(b as usize));
            }
        }
    }
}

const EMPTY: Extremes = Extremes { least: NONE, greatest: NONE };

/// The extremes together with one more value.
fn with(found: Extremes, index: u32, value: &impl Fn(usize) -> f64) -> Extremes {
    if index == NONE {
        return found;
    }
    let new = value(index as usize);
    if !new.is_finite() {
        return found;
    }
    if found.least == NONE {
        return Extremes { least: index, greatest: index };
    }
    Extremes {
        least: if new < value(found.least as usize) { index } else { found.least },
        greatest: if new > value(found.greatest as usize) { index } else { found.greatest },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A series with spikes and gaps, the same at every call.
    fn noisy(index: usize) -> f64 {
        let hash = (index as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(17) % 1000;
        match hash {
            0..20 => f64::NAN,
            20..22 => 1e6,
            _ => hash as f64 / 100.0,
        }
    }

    fn visited(
        pyramid: &Pyramid,
        range: Range<usize>,
        most: usize,
        value: &impl Fn(usize) -> f64,
    ) -> Vec<Option<usize>> {
        let mut points = Vec::new();
        pyramid.visit(range, most, value, |point| points.push(point));
        points
    }

    #[test]
    fn every_bucket_keeps_its_least_and_its_greatest() {
        let len = 10_007;
        let mut pyramid = Pyramid::default();
        pyramid.extend(len, &noisy);
        for (level, buckets) in pyramid.levels.iter().enumerate() {
            let size = BASE << level;
            assert_eq!(buckets.len(), len.div_ceil(size));
            for (bucket, extremes) in buckets.iter().enumerate() {
                let values = (bucket * size..((bucket + 1) * size).min(len)).map(noisy);
                let finite: Vec<f64> = values.filter(|value| value.is_finite()).collect();
                if finite.is_empty() {
                    assert_eq!(*extremes, EMPTY);
                    continue;
                }
                let least = finite.iter().copied().fold(f64::INFINITY, f64::min);
                let greatest = finite.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                assert_eq!(noisy(extremes.least as usize), least);
                assert_eq!(noisy(extremes.greatest as usize), greatest);
            }
        }
    }

    #[test]
    fn growing_step_by_step_is_the_same_as_all_at_once() {
        let mut grown = Pyramid::default();
        for len in (0..=4097).step_by(7).chain([4097]) {
            grown.extend(len, &noisy);
        }
        let mut whole = Pyramid::default();
        whole.extend(4097, &noisy);
        assert_eq!(grown.levels, whole.levels);
    }

    #[test]
    fn what_is_drawn_has_all_spikes_in_order_and_about_two_points_a_pixel() {
        let len = 1_000_000;
        let mut pyramid = Pyramid::default();
        pyramid.extend(len, &noisy);
        let range = 123_457..876_543;
        let points: Vec<usize> =
            visited(&pyramid, range.clone(), 800, &noisy).into_iter().flatten().collect();
        assert!(points.len() <= 2 * 802, "{}", points.len());
        assert!(points.len() >= 800, "{}", points.len());
        assert!(points.windows(2).all(|pair| pair[0] < pair[1]), "from left to right");
        let greatest = range.map(noisy).filter(|value| value.is_finite()).fold(f64::MIN, f64::max);
        assert!(points.iter().any(|index| noisy(*index) == greatest), "the spike is seen");
    }

    #[test]
    fn gaps_stay_gaps() {
        let holed = |index: usize| if (100..200).contains(&index) { f64::NAN } else { index as f64 };
        let mut pyramid = Pyramid::default();
        pyramid.extend(400, &holed);
        let close = visited(&pyramid, 90..210, 400, &holed);
        assert_eq!(close.iter().filter(|point| point.is_none()).count(), 100);
        let far = visited(&pyramid, 0..400, 50, &holed);
        assert!(far.contains(&None) && far.first() == Some(&Some(0)) && far.last() == Some(&Some(399)));
        let nothing = |_: usize| f64::NAN;
        let mut pyramid = Pyramid::default();
        pyramid.extend(1000, &nothing);
        assert!(visited(&pyramid, 0..1000, 10, &nothing).iter().all(Option::is_none));
        assert!(visited(&Pyramid::default(), 0..10, 10, &nothing).is_empty());
    }
}
