//! Counts of row lengths, and the longest length as a line to drag.

use protocol::Histogram;

/// How many rows are longer than `length`. Inside a bar the rows are taken to lie evenly.
pub fn longer_than(lengths: &Histogram, length: u64) -> u64 {
    let bars = lengths.counts.iter().zip(lengths.edges.windows(2));
    let longer = bars.map(|(count, edges)| {
        let (first, beyond) = (edges[0], edges[1]);
        match length {
            _ if length < first => *count as f64,
            _ if beyond <= first || length + 1 >= beyond => 0.0,
            _ => *count as f64 * (beyond - 1 - length) as f64 / (beyond - first) as f64,
        }
    });
    longer.sum::<f64>().round() as u64
}

/// The greatest length on the axis: all rows, and the limit unless it lies far beyond them.
pub fn axis_end(lengths: &Histogram, limit: u64) -> u64 {
    let longest = lengths.edges.last().copied().unwrap_or(0).max(1);
    longest.max(limit.saturating_add(limit / 8).min(longest.saturating_mul(2)))
}

/// A length where the pointer is: whole multiples of 8, of 64 for long ones, so that the number reads well.
pub fn snapped(length: f64) -> u64 {
    let length = length.max(1.0);
    let step = match length {
        0.0..64.0 => 1.0,
        64.0..2048.0 => 8.0,
        _ => 64.0,
    };
    ((length / step).round() * step).max(1.0) as u64
}

/// Round numbers for an axis: at most `count` of them.
pub fn ticks(end: u64, count: u64) -> Vec<u64> {
    let least = end.div_ceil(count.max(1)).max(1);
    let mut step = 1_u64;
    while step < least {
        // 1, 2, 4, … to 512, then in steps that read well as tokens: 1024, 2048, …
        step = step.saturating_mul(2);
    }
    (1..).map(|index| index * step).take_while(|tick| *tick <= end).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths() -> Histogram {
        Histogram { edges: vec![0, 64, 128, 192], counts: vec![10, 64, 6] }
    }

    #[test]
    fn the_rows_beyond_a_length_are_counted() {
        let lengths = lengths();
        assert_eq!(longer_than(&lengths, 0), 80);
        assert_eq!(longer_than(&lengths, 63), 70);
        assert_eq!(longer_than(&lengths, 127), 6);
        assert_eq!(longer_than(&lengths, 95), 6 + 32);
        assert_eq!(longer_than(&lengths, 191), 0);
        assert_eq!(longer_than(&lengths, u64::MAX - 1), 0);
        assert_eq!(longer_than(&Histogram::default(), 5), 0);
    }

    #[test]
    fn fewer_rows_are_cut_the_longer_they_may_be() {
        let lengths = lengths();
        let cut: Vec<_> = (0..200).map(|length| longer_than(&lengths, length)).collect();
        assert!(cut.windows(2).all(|pair| pair[0] >= pair[1]));
    }

    #[test]
    fn the_axis_holds_the_limit_unless_it_is_far_away() {
        assert_eq!(axis_end(&lengths(), 128), 192);
        assert_eq!(axis_end(&lengths(), 256), 288);
        assert_eq!(axis_end(&lengths(), 100_000), 384);
        assert_eq!(axis_end(&Histogram::default(), 10), 2);
        assert_eq!(ticks(192, 4), [64, 128, 192]);
        assert_eq!((snapped(99.7), snapped(3.2), snapped(5000.0), snapped(-4.0)), (96, 3, 4992, 1));
    }
}
