//! Rows that are longer than allowed, as several examples (`on_too_long = "split"`): the row's tokens are cut into
//! windows of the maximal length, one behind the other, and each window that has something to learn is a piece.

use std::ops::Range;

use protocol::{Result, Text, UserError};

use crate::record::{Example, IGNORE};

/// How many examples each row is: four bytes a row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pieces {
    /// Examples of this row and of all before it.
    ends: Vec<u32>,
}

impl Pieces {
    /// Notes the next row.
    ///
    /// # Errors
    /// When there are more than 4 billion examples.
    pub(crate) fn push(&mut self, pieces: u32) -> Result<()> {
        let end = self.ends.last().copied().unwrap_or(0).checked_add(pieces).ok_or_else(|| {
            UserError::bad_input(Text::fixed(
                "Split into pieces, the rows are more than 4 billion examples",
                "拆分后的样本超过 40 亿个",
            ))
            .at_item("data.max_length")
            .mend(Text::fixed("raise data.max_length", "请增大 data.max_length"))
        })?;
        self.ends.push(end);
        Ok(())
    }

    /// The examples that a row is.
    pub fn of_row(&self, row: u32) -> Range<u32> {
        let end = |row: usize| self.ends.get(row).copied().unwrap_or(0);
        (row as usize).checked_sub(1).map_or(0, end)..end(row as usize)
    }

    /// The row of an example, and which of its pieces it is (from 0 on).
    pub fn locate(&self, example: u32) -> Option<(u32, u32)> {
        let row = self.ends.partition_point(|end| *end <= example);
        let row = u32::try_from(row).ok().filter(|row| (*row as usize) < self.ends.len())?;
        Some((row, example - self.of_row(row).start))
    }

    /// The examples of `rows`, in their order.
    pub fn of_rows(&self, rows: &[u32]) -> Vec<u32> {
        rows.iter().flat_map(|row| self.of_row(*row)).collect()
    }
}

/// Where the pieces of a row lie among its tokens. A row that is not longer than `length` is one piece, whatever it
/// holds; of a longer one, windows without a label are left out.
pub(crate) fn windows(labels: &[i32], length: u64) -> impl Iterator<Item = Range<usize>> {
    let size = usize::try_from(length).unwrap_or(usize::MAX).max(1);
    let whole = labels.len() <= size;
    // The first token of a window is predicted by nothing.
    let learns = move |window: &Range<usize>| {
        labels
            .get(window.start + 1..window.end)
            .is_some_and(|labels| labels.iter().any(|label| *label != IGNORE))
    };
    let count = if whole { 1 } else { labels.len().div_ceil(size) };
    let window = move |number: usize| number * size..labels.len().min((number + 1).saturating_mul(size));
    (0..count).map(window).filter(move |window| whole || learns(window))
}

impl Example {
    /// The tokens of one window, and the text they come from.
    pub(crate) fn window(&self, window: Range<usize>) -> Self {
        fn part<T: Clone>(items: &[T], window: &Range<usize>) -> Vec<T> {
            items.get(window.clone()).unwrap_or_default().to_vec()
        }
        let mut offsets = part(&self.offsets, &window);
        let begin = offsets.iter().map(|(start, _)| *start).min().unwrap_or(0);
        let end = offsets.iter().map(|(_, end)| *end).max().unwrap_or(0);
        for (start, end) in &mut offsets {
            (*start, *end) = (*start - begin, end.saturating_sub(begin));
        }
        Self {
            ids: part(&self.ids, &window),
            labels: part(&self.labels, &window),
            roles: part(&self.roles, &window),
            offsets,
            rendered: self.rendered.get(begin..end).unwrap_or_default().to_owned(),
            truncated_from: None,
            learns_to_stop: self.learns_to_stop && window.end == self.ids.len(),
            side: self.side.as_ref().map(|side| Box::new(side.window(&window))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_belong_to_the_rows_they_were_cut_from() {
        let mut pieces = Pieces::default();
        for count in [1, 0, 3, 0, 0, 2] {
            pieces.push(count).unwrap();
        }
        let found: Vec<_> = (0..6).map(|example| pieces.locate(example).unwrap()).collect();
        assert_eq!(found, [(0, 0), (2, 0), (2, 1), (2, 2), (5, 0), (5, 1)]);
        assert_eq!((pieces.locate(6), pieces.of_row(3), pieces.of_row(9)), (None, 4..4, 0..0));
        assert_eq!(pieces.of_rows(&[0, 1, 5]), [0, 4, 5]);
        assert!(pieces.push(u32::MAX).is_err());
    }

    #[test]
    fn windows_without_a_label_are_left_out() {
        let labels = [IGNORE, IGNORE, IGNORE, IGNORE, 5, 6, 7, IGNORE, 9];
        let of = |length: u64| -> Vec<(usize, usize)> {
            windows(&labels, length).map(|window| (window.start, window.end)).collect()
        };
        assert_eq!(of(9), [(0, 9)]);
        // Its last token is no label, and the label on the first one of the third is predicted by nothing.
        assert_eq!(of(4), [(4, 8)]);
        assert_eq!(of(6), [(0, 6), (6, 9)]);
        assert_eq!(of(1), []);
        assert_eq!(windows(&[IGNORE], 4).count(), 1);
    }
}
