//! Characters that stand side by side in some piece.

/// A set of pairs of characters that may hold more than was put in, but never less (a Bloom filter of one hash): some
/// megabytes whatever a file holds, and one look for each character of a text.
#[derive(Debug)]
pub(super) struct Neighbours {
    bits: Vec<u64>,
    /// Bits of a hash that are dropped.
    shift: u32,
}

/// Bits for each pair: one pair in sixteen that is not there is taken for one that is.
const BITS_EACH: usize = 16;
/// From 8 KiB to 8 MiB.
const LEAST: usize = 1 << 16;
const MOST: usize = 1 << 26;

impl Neighbours {
    pub fn of<'a>(texts: impl Iterator<Item = &'a str> + Clone) -> Self {
        let pairs: usize = texts.clone().map(str::len).sum();
        let size = pairs.saturating_mul(BITS_EACH).clamp(LEAST, MOST).next_power_of_two();
        let mut made = Self { bits: vec![0; size / 64], shift: 64 - size.trailing_zeros() };
        for text in texts {
            for (first, second) in text.chars().zip(text.chars().skip(1)) {
                let (word, bit) = made.place(first, second);
                made.bits[word] |= bit;
            }
        }
        made
    }

    /// False only if no piece has the two side by side.
    pub fn may_hold(&self, first: char, second: char) -> bool {
        let (word, bit) = self.place(first, second);
        self.bits[word] & bit != 0
    }

    fn place(&self, first: char, second: char) -> (usize, u64) {
        let pair = u64::from(u32::from(first)) << 32 | u64::from(u32::from(second));
        // Fibonacci hashing, with the halves mixed first.
        let hash = (pair ^ pair >> 29).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> self.shift;
        ((hash / 64) as usize, 1 << (hash % 64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_of_pieces_are_held_and_most_others_are_not() {
        let texts: Vec<String> = (0..20_000u32)
            .filter_map(|n| Some([char::from_u32(0x4E00 + n)?, 'a'].iter().collect()))
            .collect();
        let neighbours = Neighbours::of(texts.iter().map(String::as_str));
        assert!(texts.iter().all(|text| neighbours.may_hold(text.chars().next().unwrap(), 'a')));
        let others = (0..20_000u32).filter_map(|n| char::from_u32(0x4E00 + n));
        let wrong = others.filter(|first| neighbours.may_hold(*first, 'b')).count();
        assert!(wrong < 20_000 / 8, "{wrong}");
    }
}
