//! Which examples of an epoch go through the model together: as they come, those of near length, or several in one row.
//! All of it follows from the epoch's order and from lengths that are known before.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;

use rand_chacha::ChaCha8Rng;

use crate::random::shuffle;

/// Batches of a stretch that is sorted by length, as in transformers' `LengthGroupedSampler`.
const STRETCH: usize = 50;

/// How examples become rows of micro-batches. Lengths are those of all examples of a dataset, in tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Batching {
    /// One example a row, as they come.
    #[default]
    InOrder,
    /// One example a row, batches of near length.
    ByLength { lengths: Arc<[u32]> },
    /// Several examples in one row of `room` tokens at most.
    Packed { lengths: Arc<[u32]>, room: u32 },
}

/// The examples of an epoch, in order, and how many are in each row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Epoch {
    examples: Arc<[u32]>,
    /// Behind the last example of each row; None: one in each.
    ends: Option<Vec<u32>>,
}

impl Epoch {
    /// `order` is the epoch's, shuffled by `random` where it is given. What is drawn here is drawn behind that.
    pub fn new(
        order: Arc<[u32]>,
        batching: &Batching,
        batch_size: usize,
        random: Option<&mut ChaCha8Rng>,
    ) -> Self {
        match (batching, random) {
            (Batching::InOrder, _) | (Batching::ByLength { .. }, None) => {
                Self { examples: order, ends: None }
            }
            (Batching::ByLength { lengths }, Some(random)) => {
                let examples =
                    by_length(order.to_vec(), &|example| length(lengths, example), batch_size, random);
                Self { examples: examples.into(), ends: None }
            }
            (Batching::Packed { lengths, room }, random) => {
                Self::packed(&order, &|example| length(lengths, example), *room, random)
            }
        }
    }

    fn packed(
        order: &[u32],
        length: &dyn Fn(u32) -> u32,
        room: u32,
        random: Option<&mut ChaCha8Rng>,
    ) -> Self {
        let (row_of, rows) = best_fit(order, length, room);
        let mut turn: Vec<u32> = vec![0; rows];
        match random {
            Some(random) => {
                let mut shuffled: Vec<u32> = (0..rows as u32).collect();
                shuffle(random, &mut shuffled);
                shuffled.iter().enumerate().for_each(|(turn_of, row)| turn[*row as usize] = turn_of as u32);
            }
            None => by_first_example(&row_of, &mut turn),
        }
        let mut ends = vec![0u32; rows];
        row_of.iter().for_each(|row| ends[turn[*row as usize] as usize] += 1);
        let mut sum = 0;
        for end in &mut ends {
            sum += *end;
            *end = sum;
        }
        let mut next: Vec<u32> = std::iter::once(0).chain(ends.iter().copied()).take(rows).collect();
        let mut examples = vec![0; order.len()];
        for (example, row) in order.iter().zip(&row_of) {
            let place = &mut next[turn[*row as usize] as usize];
            examples[*place as usize] = *example;
            *place += 1;
        }
        Self { examples: examples.into(), ends: Some(ends) }
    }

    /// Rows of the epoch.
    pub fn rows(&self) -> usize {
        self.ends.as_ref().map_or(self.examples.len(), Vec::len)
    }

    /// The examples of some rows, fewer where the epoch ends, and how many are in each; None: one.
    pub fn batch(&self, first: usize, rows: usize) -> (Vec<u32>, Option<Vec<u32>>) {
        let end = self.rows().min(first + rows);
        let Some(ends) = &self.ends else { return (self.examples[first..end].to_vec(), None) };
        let begin = |row: usize| row.checked_sub(1).map_or(0, |before| ends[before]);
        let counts = (first..end).map(|row| ends[row] - begin(row)).collect();
        (self.examples[begin(first) as usize..begin(end) as usize].to_vec(), Some(counts))
    }
}

fn length(lengths: &[u32], example: u32) -> u32 {
    lengths.get(example as usize).copied().unwrap_or(0).max(1)
}

/// Stretches of the order sorted by length, the longest first, and then the batches in an order of their own. A batch
/// that is not full stays the last.
fn by_length(
    mut order: Vec<u32>,
    length: &dyn Fn(u32) -> u32,
    batch_size: usize,
    random: &mut ChaCha8Rng,
) -> Vec<u32> {
    let stretch =
        batch_size.saturating_mul((order.len() / batch_size.saturating_mul(4).max(1)).clamp(1, STRETCH));
    for stretch in order.chunks_mut(stretch.max(1)) {
        stretch.sort_by_key(|example| Reverse(length(*example)));
    }
    let full = order.len() / batch_size;
    let mut batches: Vec<u32> = (0..full as u32).collect();
    shuffle(random, &mut batches);
    let batch = |number: u32| number as usize * batch_size..(number as usize + 1) * batch_size;
    let mut grouped: Vec<u32> =
        batches.into_iter().flat_map(|number| order[batch(number)].iter().copied()).collect();
    grouped.extend(&order[full * batch_size..]);
    grouped
}

/// The row of each example, and the number of rows: the longest example first goes where the least room is left that it
/// fits into, the first of equals (best fit, decreasing; Johnson 1973). How many rows there are follows from the lengths
/// alone; which of equally long examples share one, from the order.
fn best_fit(order: &[u32], length: &dyn Fn(u32) -> u32, room: u32) -> (Vec<u32>, usize) {
    let mut places: Vec<u32> = (0..order.len() as u32).collect();
    places.sort_by_key(|place| Reverse(length(order[*place as usize])));
    let mut row_of = vec![0; order.len()];
    let mut open = BTreeSet::new();
    let mut rows = 0;
    for place in places {
        let length = length(order[place as usize]).min(room);
        let (left, row) = match open.range((length, 0)..).next().copied() {
            Some(found) => {
                open.remove(&found);
                found
            }
            None => {
                rows += 1;
                (room, rows - 1)
            }
        };
        if left > length {
            open.insert((left - length, row));
        }
        row_of[place as usize] = row;
    }
    (row_of, rows as usize)
}

/// Rows by the example that comes first in the order.
fn by_first_example(row_of: &[u32], turn: &mut [u32]) {
    let mut met = vec![false; turn.len()];
    let mut next = 0;
    for row in row_of {
        if !std::mem::replace(&mut met[*row as usize], true) {
            turn[*row as usize] = next;
            next += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::generator;

    fn lengths(count: u32) -> Arc<[u32]> {
        (0..count).map(|at| 1 + (at * 7919) % 83).collect()
    }

    fn shuffled(count: u32, epoch: u64) -> Arc<[u32]> {
        let mut order: Vec<u32> = (0..count).collect();
        shuffle(&mut generator(42, "sampler", epoch), &mut order);
        order.into()
    }

    fn packed(count: u32, room: u32, epoch: u64) -> Epoch {
        let batching = Batching::Packed { lengths: lengths(count), room };
        Epoch::new(shuffled(count, epoch), &batching, 4, Some(&mut generator(42, "batches", epoch)))
    }

    #[test]
    fn the_best_fit_is_that_of_the_rule() {
        let sizes: Arc<[u32]> = [4, 8, 1, 4, 2, 1, 9, 10].into();
        let order: Vec<u32> = (0..8).collect();
        let (rows, count) = best_fit(&order, &|example| sizes[example as usize], 10);
        // 10 | 9 1 | 8 2 | 4 4 1
        assert_eq!((rows, count), (vec![3, 2, 1, 3, 2, 3, 1, 0], 4));
        let batching = Batching::Packed { lengths: sizes, room: 10 };
        let epoch = Epoch::new(order.into(), &batching, 2, None);
        // In the file's order, rows by their first example.
        assert_eq!(epoch.batch(0, 2), (vec![0, 3, 5, 1, 4], Some(vec![3, 2])));
        assert_eq!(epoch.batch(2, 2), (vec![2, 6, 7], Some(vec![2, 1])));
    }

    #[test]
    fn every_example_is_in_one_row_that_it_fits_into() {
        let (count, room) = (1000, 100);
        let lengths = lengths(count);
        let total: u32 = lengths.iter().sum();
        let counts: Vec<usize> = (0..3).map(|epoch| packed(count, room, epoch).rows()).collect();
        for epoch in 0..3 {
            let epoch = packed(count, room, epoch);
            let (mut all, rows) = epoch.batch(0, epoch.rows());
            let mut rest = all.as_slice();
            for examples in rows.unwrap() {
                let (row, others) = rest.split_at(examples as usize);
                rest = others;
                assert!(row.iter().map(|example| lengths[*example as usize]).sum::<u32>() <= room);
            }
            all.sort_unstable();
            assert_eq!(all, (0..count).collect::<Vec<_>>());
            // How many rows there are does not depend on the order, and few could be saved.
            assert_eq!(epoch.rows(), counts[0]);
            assert!(epoch.rows() as f64 <= 1.05 * f64::from(total.div_ceil(room)), "{}", epoch.rows());
        }
        assert_eq!(packed(count, room, 1), packed(count, room, 1));
        assert_ne!(packed(count, room, 0), packed(count, room, 1));
    }

    #[test]
    fn batches_of_near_length_hold_every_example_once() {
        let (count, size) = (1003, 8);
        let batching = Batching::ByLength { lengths: lengths(count) };
        let epoch = |epoch| {
            Epoch::new(shuffled(count, epoch), &batching, size, Some(&mut generator(42, "batches", epoch)))
        };
        let (all, single) = epoch(0).batch(0, count as usize);
        assert!(single.is_none());
        let spread = |examples: &[u32]| {
            let of = |example: &u32| lengths(count)[*example as usize];
            let longest = examples.iter().map(of).max().unwrap();
            (longest * examples.len() as u32 - examples.iter().map(of).sum::<u32>()) as f64
        };
        let padding = |all: &[u32]| all.chunks(size).map(spread).sum::<f64>();
        assert!(padding(&all) < 0.2 * padding(&shuffled(count, 0)), "{}", padding(&all));
        let firsts: Vec<_> = all.chunks(size).map(|batch| batch[0]).collect();
        let mut by_length = firsts.clone();
        by_length.sort_by_key(|example| Reverse(lengths(count)[*example as usize]));
        assert_ne!(firsts, by_length, "batches come in an order of their own");
        let mut sorted = all.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..count).collect::<Vec<_>>());
        assert_ne!(epoch(1).batch(0, 1000).0, all[..1000]);
    }

    #[test]
    fn a_handful_of_examples_is_enough() {
        for batching in [
            Batching::ByLength { lengths: [3].into() },
            Batching::Packed { lengths: [3].into(), room: 2 },
            Batching::Packed { lengths: [].into(), room: 0 },
        ] {
            let epoch = Epoch::new([0].into(), &batching, 4, Some(&mut generator(1, "batches", 0)));
            assert_eq!((epoch.rows(), epoch.batch(0, 4).0), (1, vec![0]), "{batching:?}");
        }
    }
}
