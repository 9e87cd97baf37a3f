//! Lengths in bins.

use protocol::Histogram;

const BINS: u64 = 24;

/// Bins of equal width, a power of two, from 0 to beyond the longest, of lengths and how often each occurs. What has no
/// length is not counted.
pub fn histogram(lengths: impl Iterator<Item = (u64, u64)> + Clone) -> Histogram {
    let longest = lengths.clone().map(|(length, _)| length).max().unwrap_or(0);
    if longest == 0 {
        return Histogram::default();
    }
    let width = (longest + 1).div_ceil(BINS).next_power_of_two();
    let bins = longest / width + 1;
    let mut counts = vec![0; bins as usize];
    for (length, times) in lengths.filter(|(length, _)| *length > 0) {
        counts[(length / width) as usize] += times;
    }
    Histogram { edges: (0..=bins).map(|bin| bin * width).collect(), counts }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_lies_between_its_edges() {
        let lengths = [0, 1, 15, 16, 17, 380, 383];
        let Histogram { edges, counts } = histogram(lengths.iter().map(|length| (*length, 1)));
        assert_eq!((edges[1], edges.last()), (16, Some(&384)));
        assert_eq!(counts.iter().sum::<u64>(), 6);
        assert_eq!((counts[0], counts[1], counts.last()), (2, 2, Some(&2)));
        assert_eq!(histogram(std::iter::empty()), Histogram::default());
        assert_eq!(histogram([(3, 5), (2, 2)].into_iter()).counts, [0, 0, 2, 5]);
    }
}
