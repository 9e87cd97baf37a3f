//! Random numbers from counters: what is drawn depends on the seed, the purpose and a stream number only,
//! never on what was drawn before. A resumed run therefore draws what the undisturbed one would have.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// The generator for one purpose: ChaCha8 keyed by seed and purpose (16 bytes at most count), with its own
/// stream number (an epoch, a row). The same on every platform.
pub fn generator(seed: u64, purpose: &str, stream: u64) -> ChaCha8Rng {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    for (to, from) in key[16..].iter_mut().zip(purpose.bytes()) {
        *to = from;
    }
    let mut rng = ChaCha8Rng::from_seed(key);
    rng.set_stream(stream);
    rng
}

/// Puts `items` into random order (Fisher and Yates), all orders alike likely.
pub fn shuffle(rng: &mut ChaCha8Rng, items: &mut [u32]) {
    for last in (1..items.len()).rev() {
        items.swap(last, below(rng, last as u64 + 1) as usize);
    }
}

/// Uniform in `0..bound`, `bound` > 0. Draws above the last multiple of `bound` are drawn again.
pub fn below(rng: &mut ChaCha8Rng, bound: u64) -> u64 {
    let limit = u64::MAX - u64::MAX % bound;
    loop {
        let drawn = rng.next_u64();
        if drawn < limit {
            return drawn % bound;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_a_permutation_and_a_fixed_one() {
        let mut items: Vec<u32> = (0..10).collect();
        shuffle(&mut generator(42, "order", 3), &mut items);
        // Written down: another order here would silently change every run.
        assert_eq!(items, [1, 5, 3, 8, 4, 7, 2, 9, 0, 6]);
        items.sort_unstable();
        assert_eq!(items, (0..10).collect::<Vec<_>>());
    }

    #[test]
    fn all_places_are_reached_alike() {
        let mut counts = [[0u32; 4]; 4];
        for stream in 0..4000 {
            let mut items = [0, 1, 2, 3];
            shuffle(&mut generator(7, "order", stream), &mut items);
            for (place, item) in items.iter().enumerate() {
                counts[place][*item as usize] += 1;
            }
        }
        for count in counts.iter().flatten() {
            assert!((850..1150).contains(count), "{counts:?}");
        }
    }
}
