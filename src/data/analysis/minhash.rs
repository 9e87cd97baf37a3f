//! MinHash: short sketches of sets, by which rows that are alike find each other without comparing all pairs.
//!
//! Of a row's shingles each of [`HASHES`] random orders puts one first. Two rows have the same one first with a probability
//! that is their Jaccard similarity s, the share of shingles that both have (Broder 1997). The sketch keeps eight bits of each:
//! two different ones agree by chance once in 256 (b-bit minwise hashing, Li & König 2010).
//!
//! Bands of r orders each are looked up (locality-sensitive hashing): rows that agree in all of a band are compared.
//! With b bands that happens with probability 1 − (1 − sʳ)ᵇ. [`Bands::new`] takes the largest r with which pairs at the
//! threshold are found with [`RECALL`], and as few bands as that needs:
//!
//! | threshold | r | b | s = t − 0.3 | t − 0.2 | t − 0.1 | t | t + 0.1 |
//! |---|---|---|---|---|---|---|---|
//! | 0.5 | 2 | 27 | 0.668 | 0.922 | 0.991 | 0.9996 | 1.0000 |
//! | 0.7 | 4 | 28 | 0.516 | 0.836 | 0.980 | 0.9995 | 1.0000 |
//! | 0.8 | 5 | 20 | 0.470 | 0.802 | 0.975 | 0.9996 | 1.0000 |
//! | 0.9 | 8 | 14 | 0.211 | 0.565 | 0.924 | 0.9996 | 1.0000 |
//!
//! What is told is verified with the sets themselves: a row that is not alike is never told.

use super::units::spread;

/// Orders; bytes of a sketch.
pub const HASHES: usize = 128;
/// Probability that a pair at the threshold is compared.
pub const RECALL: f64 = 0.9995;
/// Standard deviations by which an estimate may lie below the threshold before a pair is passed over: 3e-5 of those at the
/// threshold are.
const SLACK: f64 = 4.0;

pub type Sketch = [u8; HASHES];

/// The random orders: x ↦ ax + b modulo 2³², on hashes, which are random already.
pub struct Orders {
    factors: [u32; HASHES],
    offsets: [u32; HASHES],
}

impl Orders {
    /// The same ones every time.
    pub fn new() -> Self {
        let number = |at: usize| spread(0x4D69_6E48_6173_6821 ^ at as u64);
        Self {
            factors: std::array::from_fn(|at| number(at) as u32 | 1),
            offsets: std::array::from_fn(|at| (number(at) >> 32) as u32),
        }
    }

    /// The sketch of a set.
    pub fn sketch(&self, set: &[u64]) -> Sketch {
        let mut least = [u32::MAX; HASHES];
        for element in set {
            let element = (*element >> 32) as u32;
            for (least, (factor, offset)) in least.iter_mut().zip(self.factors.iter().zip(&self.offsets)) {
                *least = (*least).min(element.wrapping_mul(*factor).wrapping_add(*offset));
            }
        }
        least.map(|least| least as u8)
    }
}

/// How sketches are cut into bands for a threshold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bands {
    /// Orders in a band.
    pub rows: usize,
    pub count: usize,
    /// Agreeing bytes that a pair at the threshold has at least.
    least: usize,
}

impl Bands {
    /// For a similarity above 0 to 1.
    pub fn new(threshold: f64) -> Self {
        let needed = |rows: usize| bands_needed(threshold, rows);
        let rows = (1..=HASHES).rev().find(|rows| needed(*rows) * rows <= HASHES).unwrap_or(1);
        let count = needed(rows).clamp(1, HASHES / rows);
        let agree = threshold + (1.0 - threshold) / 256.0;
        let deviation = (agree * (1.0 - agree) / HASHES as f64).sqrt();
        let least = ((agree - SLACK * deviation) * HASHES as f64).floor().max(0.0) as usize;
        Self { rows, count, least }
    }

    /// The probability that a pair of that similarity is compared.
    pub fn probability(&self, similarity: f64) -> f64 {
        1.0 - (1.0 - similarity.powi(self.rows as i32)).powi(self.count as i32)
    }

    /// What is looked up for each band of a sketch.
    pub fn keys(&self, sketch: &Sketch) -> impl Iterator<Item = u64> {
        sketch.chunks_exact(self.rows).take(self.count).enumerate().map(|(band, bytes)| {
            let eights = bytes.chunks(8).map(|eight| {
                let mut number = [0; 8];
                number[..eight.len()].copy_from_slice(eight);
                u64::from_le_bytes(number)
            });
            eights.fold(spread(band as u64), |key, eight| spread(key ^ eight))
        })
    }

    /// Whether two rows may be as alike as the threshold.
    pub fn may_be_near(&self, a: &Sketch, b: &Sketch) -> bool {
        a.iter().zip(b).filter(|(a, b)| a == b).count() >= self.least
    }
}

/// Bands of that many orders with which pairs at the threshold are found with [`RECALL`].
fn bands_needed(threshold: f64, rows: usize) -> usize {
    let agree = threshold.powi(rows as i32);
    if agree >= 1.0 {
        return 1;
    }
    let needed = ((1.0 - RECALL).ln() / (-agree).ln_1p()).ceil();
    if needed.is_finite() { needed.clamp(1.0, 1e9) as usize } else { usize::MAX / HASHES }
}

/// Jaccard similarity of two ascending sets without doubles: the share of what either has that both have.
pub fn jaccard(a: &[u64], b: &[u64]) -> f64 {
    let (mut left, mut right, mut both) = (0, 0, 0usize);
    while left < a.len() && right < b.len() {
        let (x, y) = (a[left], b[right]);
        both += usize::from(x == y);
        left += usize::from(x <= y);
        right += usize::from(y <= x);
    }
    let either = a.len() + b.len() - both;
    if either == 0 { 0.0 } else { both as f64 / either as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_above_is_what_is_computed() {
        for (threshold, rows, count) in [(0.5, 2, 27), (0.7, 4, 28), (0.8, 5, 20), (0.9, 8, 14)] {
            let bands = Bands::new(threshold);
            assert_eq!((bands.rows, bands.count), (rows, count), "{threshold}");
            assert!(bands.probability(threshold) >= RECALL);
        }
        let exact = Bands::new(1.0);
        assert_eq!((exact.rows, exact.count), (HASHES, 1));
        assert!(Bands::new(0.01).count <= HASHES);
        for (similarity, probability) in [(0.5, 0.470), (0.6, 0.802), (0.7, 0.975), (0.8, 0.9996)] {
            assert!((Bands::new(0.8).probability(similarity) - probability).abs() < 6e-4, "{similarity}");
        }
    }

    #[test]
    fn sketches_agree_as_often_as_their_sets_are_alike() {
        let orders = Orders::new();
        for shared in [0u64, 200, 500, 800, 1000] {
            let set = |other: u64| -> Vec<u64> {
                let mut set: Vec<u64> =
                    (0..shared).chain((shared..1000).map(|n| n + other)).map(spread).collect();
                set.sort_unstable();
                set
            };
            let (a, b) = (set(10_000), set(20_000));
            let similarity = jaccard(&a, &b);
            assert!((similarity - shared as f64 / (2000 - shared) as f64).abs() < 1e-12);
            let agree = orders.sketch(&a).iter().zip(&orders.sketch(&b)).filter(|(a, b)| a == b).count();
            let told = agree as f64 / HASHES as f64;
            assert!((told - similarity).abs() < 0.15, "{shared}: {told} for {similarity}");
        }
        assert_eq!(jaccard(&[], &[]), 0.0);
    }
}
