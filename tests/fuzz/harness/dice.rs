//! Random choices that a seed and a round decide.

use std::ops::Range;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

pub struct Dice(ChaCha8Rng);

impl Dice {
    pub fn new(seed: u64, round: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(round);
        Self(rng)
    }

    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number below `end`; 0 where that is 0.
    pub fn below(&mut self, end: usize) -> usize {
        ((u128::from(self.bits()) * end as u128) >> 64) as usize
    }

    /// True once in `times`.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// # Panics
    /// When there is nothing to pick from.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    /// A part of `0..length`, short more often than long.
    pub fn run(&mut self, length: usize) -> Range<usize> {
        let start = self.below(length + 1);
        let longest = length - start;
        let shift = self.below(usize::BITS as usize - longest.leading_zeros() as usize + 1);
        let most = (longest >> shift).max(1).min(longest);
        start..start + self.below(most + 1)
    }

    /// An integer that parsers stumble over.
    pub fn extreme(&mut self) -> u64 {
        // Sizes that a parser may take for real are seldom beyond 32 bits.
        let bits = if self.once_in(2) { 64 } else { 32 };
        let shift = self.below(bits);
        match self.below(8) {
            0 => 0,
            1 => u64::MAX,
            2 => 1 << shift,
            3 => (1 << shift) - 1,
            4 => (1u64 << shift).wrapping_neg(),
            5 => self.below(300) as u64,
            6 => i64::MAX as u64 - self.below(16) as u64,
            _ => self.bits() >> shift,
        }
    }

    /// A number near another, or an extreme one.
    pub fn near(&mut self, number: u64) -> u64 {
        match self.below(6) {
            0 => number.wrapping_add(1),
            1 => number.wrapping_sub(1),
            2 => number.wrapping_mul(2),
            3 => number / 2,
            4 => number.wrapping_neg(),
            _ => self.extreme(),
        }
    }
}
