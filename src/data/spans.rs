//! Where texts begin in rows that hold several, or that are padded on the left.

use std::ops::Range;
use std::sync::Arc;

/// Where the texts of each row begin. A text sees itself alone and counts its positions from its own first token. What
/// lies behind a row's last token belongs to its last text; what lies before its first is one by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spans {
    /// Of each row: 0 first, ascending.
    starts: Arc<[Vec<u32>]>,
}

impl Spans {
    /// Rows of texts one behind the other, of these lengths, none of them 0.
    pub fn packed<'a>(rows: impl IntoIterator<Item = &'a [u32]>) -> Self {
        let begin = |lengths: &[u32]| {
            let starts = lengths.iter().scan(0u32, |end, length| {
                let start = *end;
                *end = end.saturating_add(*length);
                Some(start)
            });
            starts.collect()
        };
        Self { starts: rows.into_iter().map(begin).collect() }
    }

    /// Rows of one text each, behind so many tokens of padding. The padding is a text of its own, which nobody asks.
    pub fn left_padded(padding: &[usize]) -> Self {
        let begin = |padding: &usize| match u32::try_from(*padding).unwrap_or(u32::MAX) {
            0 => vec![0],
            padding => vec![0, padding],
        };
        Self { starts: padding.iter().map(begin).collect() }
    }

    pub fn rows(&self) -> usize {
        self.starts.len()
    }

    /// Where the texts of a row begin: 0 first, ascending. Of a row that is not there: at its beginning.
    pub fn starts(&self, row: usize) -> &[u32] {
        self.starts.get(row).map_or(&[0], Vec::as_slice)
    }

    /// For each of `positions` of a row the number of its text in the row, and where that begins.
    pub fn of(&self, row: usize, positions: Range<usize>) -> impl Iterator<Item = (usize, usize)> {
        let starts = self.starts(row);
        let mut next = starts.partition_point(|start| *start as usize <= positions.start);
        positions.map(move |position| {
            while starts.get(next).is_some_and(|start| *start as usize <= position) {
                next += 1;
            }
            let text = next.saturating_sub(1);
            (text, starts.get(text).map_or(0, |start| *start as usize))
        })
    }

    /// Number of the first text of each row, where those of all rows are counted together.
    pub fn offsets(&self) -> Vec<usize> {
        let texts = self.starts.iter().scan(0usize, |sum, starts| {
            let before = *sum;
            *sum += starts.len();
            Some(before)
        });
        texts.collect()
    }

    /// Lengths of all texts, in order, where rows have `len` positions.
    pub fn lengths(&self, len: usize) -> Vec<usize> {
        let of_row = |starts: &Vec<u32>| {
            let ends = starts.iter().skip(1).map(|start| *start as usize).chain([len]);
            starts
                .iter()
                .zip(ends)
                .map(|(start, end)| end.saturating_sub(*start as usize))
                .collect::<Vec<_>>()
        };
        self.starts.iter().flat_map(of_row).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_knows_where_its_text_begins() {
        let spans = Spans::packed([&[2_u32, 3][..], &[4]]);
        assert_eq!((spans.starts(0), spans.starts(1), spans.starts(2)), (&[0, 2][..], &[0][..], &[0][..]));
        let begins = |row, positions| spans.of(row, positions).map(|(_, start)| start).collect::<Vec<_>>();
        // What lies behind the end of the last text belongs to it.
        assert_eq!(begins(0, 0..6), [0, 0, 2, 2, 2, 2]);
        assert_eq!(begins(0, 3..5), [2, 2]);
        assert_eq!(begins(1, 0..3), [0, 0, 0]);
        assert_eq!(spans.of(0, 1..3).map(|(text, _)| text).collect::<Vec<_>>(), [0, 1]);
        assert_eq!((spans.offsets(), spans.lengths(6)), (vec![0, 2], vec![2, 4, 6]));
    }

    #[test]
    fn padding_on_the_left_is_a_text_of_its_own() {
        let spans = Spans::left_padded(&[0, 3]);
        assert_eq!((spans.rows(), spans.starts(0), spans.starts(1)), (2, &[0][..], &[0, 3][..]));
        assert_eq!(spans.of(1, 2..4).collect::<Vec<_>>(), [(0, 0), (1, 3)]);
    }
}
