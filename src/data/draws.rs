//! Which rows an epoch has: each once, or as often as its file's weight says. What an epoch has follows from the
//! seed and its number, so that a resumed run draws what the undisturbed one would have.

use std::sync::Arc;

use crate::random::{generator, shuffle};

/// The rows (or pieces of rows) that are trained on, file by file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Draws {
    groups: Arc<[Group]>,
    per_epoch: usize,
}

/// The rows of one file.
#[derive(Debug, PartialEq)]
struct Group {
    rows: Vec<u32>,
    /// How often an epoch has all of them.
    whole: usize,
    /// How many it has once more.
    extra: usize,
    /// The order in which those come round; empty where there are none.
    round: Vec<u32>,
}

impl Draws {
    /// Rows of each file with its weight: how often they are drawn in an epoch. Of a weight's fraction, that part of
    /// the file's rows (to the nearest whole row) is drawn, and the next epoch goes on where this one ended, so that
    /// all rows come round alike.
    pub fn weighted(files: impl IntoIterator<Item = (Vec<u32>, f64)>, seed: u64) -> Self {
        let group = |(number, (rows, weight)): (usize, (Vec<u32>, f64))| {
            let extra = (rows.len() as f64 * weight.fract()).round() as usize;
            let mut round = if extra > 0 { rows.clone() } else { Vec::new() };
            shuffle(&mut generator(seed, "weights", number as u64), &mut round);
            Group { rows, whole: weight as usize, extra, round }
        };
        let groups: Arc<[Group]> = files.into_iter().enumerate().map(group).collect();
        let per_epoch = groups.iter().map(|group| group.rows.len() * group.whole + group.extra).sum();
        Self { groups, per_epoch }
    }

    /// Rows of an epoch: every epoch has as many.
    pub fn per_epoch(&self) -> usize {
        self.per_epoch
    }

    /// The rows of an epoch in file order, a file that is drawn several times as often behind itself.
    pub fn epoch(&self, epoch: u64) -> Vec<u32> {
        let mut rows = Vec::with_capacity(self.per_epoch);
        for group in self.groups.iter() {
            (0..group.whole).for_each(|_| rows.extend(&group.rows));
            let begin = rows.len();
            let length = group.round.len().max(1) as u128;
            let first = u128::from(epoch) * group.extra as u128 % length;
            rows.extend(group.round.iter().cycle().skip(first as usize).take(group.extra));
            rows[begin..].sort_unstable();
        }
        rows
    }
}

/// Every row once.
impl From<Vec<u32>> for Draws {
    fn from(rows: Vec<u32>) -> Self {
        Self::weighted([(rows, 1.0)], 0)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn counts(rows: impl IntoIterator<Item = u32>) -> BTreeMap<u32, usize> {
        let mut counts = BTreeMap::new();
        rows.into_iter().for_each(|row| *counts.entry(row).or_default() += 1);
        counts
    }

    #[test]
    fn without_weights_an_epoch_is_the_rows() {
        let rows: Vec<u32> = vec![1, 4, 5];
        let draws = Draws::from(rows.clone());
        assert_eq!((draws.per_epoch(), draws.epoch(0), draws.epoch(9)), (3, rows.clone(), rows));
        assert_eq!(Draws::from(Vec::new()).epoch(3), Vec::<u32>::new());
    }

    #[test]
    fn a_file_is_drawn_as_often_as_its_weight_says() {
        let files = || [((0..10).collect(), 0.5), ((10..20).collect(), 2.0), ((20..24).collect(), 1.25)];
        let draws = Draws::weighted(files(), 42);
        assert_eq!(draws.per_epoch(), 5 + 20 + 5);
        let epoch = counts(draws.epoch(0));
        assert_eq!(epoch.range(..10).count(), 5);
        assert!(epoch.range(10..20).all(|(_, count)| *count == 2) && epoch.range(10..20).count() == 10);
        assert_eq!(epoch.range(20..).map(|(_, count)| *count).collect::<Vec<_>>().iter().sum::<usize>(), 5);
        assert_eq!(draws.epoch(7), Draws::weighted(files(), 42).epoch(7));
        assert_ne!(draws.epoch(0), Draws::weighted(files(), 43).epoch(0));
    }

    #[test]
    fn all_rows_come_round_alike() {
        for (weight, epochs) in [(0.5, 2), (0.3, 10), (1.7, 10)] {
            let draws = Draws::weighted([((0..10).collect(), weight)], 7);
            let all = counts((0..epochs).flat_map(|epoch| draws.epoch(epoch)));
            let often = (weight * epochs as f64).round() as usize;
            assert_eq!(all.len(), 10);
            assert!(all.values().all(|count| *count == often), "{weight}: {all:?}");
        }
        // Far into a run, without a walk there.
        assert_eq!(Draws::weighted([((0..10).collect(), 0.3)], 7).epoch(u64::MAX).len(), 3);
    }
}
