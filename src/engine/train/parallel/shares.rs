//! Which worker computes what of a step.

use std::cmp::Reverse;

use data::Batch;

use crate::train::step::numbered;

/// A batch with the number of its micro-batch.
pub type Piece<'a> = (u64, &'a Batch);

/// The batches of a step, shared out among so many workers: the largest first, each to the one who has least so far, so
/// that all are done at about the same time. A worker keeps the order of the step. Where there are fewer batches than
/// workers, some get none.
pub fn shares(batches: &[Batch], workers: usize) -> Vec<Vec<Piece<'_>>> {
    let mut pieces: Vec<(usize, Piece<'_>)> = numbered(batches).enumerate().collect();
    pieces.sort_by_key(|(_, (_, batch))| Reverse(positions(batch)));
    let mut shares = vec![(0, Vec::new()); workers.max(1)];
    for piece in pieces {
        if let Some((load, share)) = shares.iter_mut().min_by_key(|(load, _)| *load) {
            *load += positions(piece.1.1);
            share.push(piece);
        }
    }
    shares.into_iter().map(|(_, share)| in_order(share)).collect()
}

fn in_order(mut share: Vec<(usize, Piece<'_>)>) -> Vec<Piece<'_>> {
    share.sort_by_key(|(at, _)| *at);
    share.into_iter().map(|(_, piece)| piece).collect()
}

/// What a batch costs: padding is computed, too.
fn positions(batch: &Batch) -> usize {
    batch.rows * batch.len
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(first_row: usize, rows: usize, len: usize) -> Batch {
        Batch { rows, first_row, len, ..Batch::default() }
    }

    /// Number of the micro-batch and length of each piece.
    fn told(batches: &[Batch], workers: usize) -> Vec<Vec<(u64, usize)>> {
        let told =
            |share: Vec<Piece<'_>>| share.into_iter().map(|(micro, batch)| (micro, batch.len)).collect();
        shares(batches, workers).into_iter().map(told).collect()
    }

    #[test]
    fn the_load_is_even_and_the_order_is_kept() {
        let batches = [batch(0, 2, 3), batch(2, 2, 9), batch(0, 2, 5), batch(2, 2, 2)];
        assert_eq!(told(&batches, 2), [vec![(0, 9)], vec![(0, 3), (1, 5), (1, 2)]]);
        assert_eq!(told(&batches, 1), [[(0, 3), (0, 9), (1, 5), (1, 2)]]);
    }

    #[test]
    fn there_may_be_more_workers_than_rows() {
        let one = [batch(0, 1, 4)];
        assert_eq!(told(&one, 3), [vec![(0, 4)], vec![], vec![]]);
        assert_eq!(told(&[], 2), [vec![], vec![]]);
    }
}
