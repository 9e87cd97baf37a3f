//! Which rows are held out for validation.

use crate::random::{generator, shuffle};

/// Rows to train on and rows to validate on, each in file order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Split {
    pub train: Vec<u32>,
    pub validation: Vec<u32>,
}

impl Split {
    /// Holds out `fraction` (0 to below 1) of `rows`, drawn by `seed`: rounded up as in Hugging Face's
    /// `train_test_split`; at least one row and never all of them where there are two.
    pub fn hold_out(rows: &[u32], fraction: f64, seed: u64) -> Self {
        let held = held_out(rows.len(), fraction);
        let mut order = rows.to_vec();
        shuffle(&mut generator(seed, "split", 0), &mut order);
        let mut train = order.split_off(held);
        train.sort_unstable();
        order.sort_unstable();
        Self { train, validation: order }
    }
}

fn held_out(rows: usize, fraction: f64) -> usize {
    if rows < 2 || fraction <= 0.0 {
        return 0;
    }
    // 0.1 × 30 may come out a hair above 3.
    let wanted = (rows as f64 * fraction - 1e-9).ceil();
    (wanted as usize).clamp(1, rows - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_on_one_side_and_the_seed_decides() {
        let rows: Vec<u32> = (0..1000).filter(|row| row % 7 != 0).collect();
        let split = Split::hold_out(&rows, 0.05, 42);
        assert_eq!(split.validation.len(), 43);
        let mut all: Vec<_> = split.train.iter().chain(&split.validation).copied().collect();
        all.sort_unstable();
        assert_eq!(all, rows);
        assert_eq!(split, Split::hold_out(&rows, 0.05, 42));
        assert_ne!(split, Split::hold_out(&rows, 0.05, 43));
    }

    #[test]
    fn small_sets_keep_a_row_on_both_sides() {
        assert_eq!(held_out(0, 0.5), 0);
        assert_eq!(held_out(1, 0.5), 0);
        assert_eq!(held_out(2, 0.01), 1);
        assert_eq!(held_out(2, 0.99), 1);
        assert_eq!(held_out(30, 0.1), 3);
        assert_eq!(held_out(100, 0.0), 0);
    }
}
