//! Rows that are longer than allowed, as several examples (`on_too_long = "split"`): the row's tokens are cut into
//! windows of the maximal length, one behind the other, and each window that has something to learn is a piece.
//!
//! Texts that are joined (`join_texts`) are cut likewise, but a window runs on into the next text: it belongs to the row
//! in which it begins. What comes out are the blocks of transformers' `run_clm.py` (`group_texts`), and its remainder,
//! which that script drops.

use std::ops::Range;

use protocol::{Result, Text, UserError};

use crate::record::{Example, IGNORE};

/// How many examples each row is: four bytes a row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pieces {
    /// Examples of this row and of all before it.
    ends: Vec<u32>,
    /// How each row goes on; empty where rows are not joined.
    joints: Vec<Joint>,
}

/// A row among joined ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Joint {
    /// Tokens at its beginning that belong to an example which began before.
    skip: u32,
    next: Option<u32>,
}

impl Pieces {
    /// The blocks of rows that are joined: each list by itself. `lengths` holds the tokens of all rows.
    ///
    /// # Errors
    /// When there are more than 4 billion blocks.
    pub(crate) fn joined(lengths: &[u32], lists: [&[u32]; 2], max_length: u64) -> Result<Self> {
        let mut joints = vec![Joint::default(); lengths.len()];
        let mut begun = vec![0u64; lengths.len()];
        let size = max_length.max(1);
        for rows in lists {
            // Tokens of the block under way.
            let mut filled = 0;
            for (row, next) in rows.iter().zip(rows.iter().skip(1).map(Some).chain([None])) {
                let row = *row as usize;
                let tokens = u64::from(lengths[row]);
                let skip = if filled == 0 { 0 } else { tokens.min(size - filled) };
                let left = tokens - skip;
                begun[row] = left.div_ceil(size);
                filled = if left == 0 { (filled + skip) % size } else { left % size };
                // Not more than the row's tokens.
                joints[row] = Joint { skip: skip as u32, next: next.copied() };
            }
            // A block of one token has nothing to learn; only the last one can be so short.
            let last = rows.iter().rev().find(|row| begun[**row as usize] > 0);
            if let Some(last) = last.filter(|_| filled == 1) {
                begun[*last as usize] -= 1;
            }
        }
        let mut pieces = Self { joints, ..Self::default() };
        begun.into_iter().try_for_each(|blocks| pieces.push(u32::try_from(blocks).unwrap_or(u32::MAX)))?;
        Ok(pieces)
    }

    /// Whether examples run on from row to row.
    pub(crate) fn are_joined(&self) -> bool {
        !self.joints.is_empty()
    }

    /// Tokens of a joined row in front of the first example that begins in it.
    pub(crate) fn skipped(&self, row: u32) -> usize {
        self.joints.get(row as usize).map_or(0, |joint| joint.skip as usize)
    }

    /// The row that a joined one goes on with.
    pub(crate) fn after(&self, row: u32) -> Option<u32> {
        self.joints.get(row as usize)?.next
    }

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

    /// All examples.
    pub(crate) fn len(&self) -> usize {
        self.ends.last().copied().unwrap_or(0) as usize
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
            changes: self.changes.clone(),
        }
    }
}

impl Example {
    /// Puts another text behind this one.
    pub(crate) fn append(&mut self, other: Self) {
        let begin = self.rendered.len();
        self.rendered.push_str(&other.rendered);
        self.offsets.extend(other.offsets.iter().map(|(start, end)| (start + begin, end + begin)));
        self.ids.extend(other.ids);
        self.labels.extend(other.labels);
        self.roles.extend(other.roles);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Blocks as run_clm's `group_texts` cuts them, and the rest.
    #[test]
    fn joined_rows_are_cut_into_blocks_wherever_texts_end() {
        let lengths = [3, 7, 1, 0, 2, 12, 5, 4];
        for length in 2..20u64 {
            let train: &[u32] = &[0, 1, 2, 3, 5, 7];
            let held: &[u32] = &[4, 6];
            let pieces = Pieces::joined(&lengths, [train, held], length).unwrap();
            for rows in [train, held] {
                let all: Vec<(u32, usize)> = rows
                    .iter()
                    .flat_map(|row| (0..lengths[*row as usize] as usize).map(|at| (*row, at)))
                    .collect();
                let wanted: Vec<&[(u32, usize)]> =
                    all.chunks(length as usize).filter(|block| block.len() > 1).collect();
                let examples = pieces.of_rows(rows);
                assert_eq!(examples.len(), wanted.len(), "{length}");
                for (example, wanted) in examples.iter().zip(wanted) {
                    let (row, piece) = pieces.locate(*example).unwrap();
                    let mut found = Vec::new();
                    let (mut at, mut start) =
                        (Some(row), pieces.skipped(row) + piece as usize * length as usize);
                    while let Some(row) = at.filter(|_| found.len() < length as usize) {
                        let end = (lengths[row as usize] as usize).min(start + length as usize - found.len());
                        found.extend((start..end).map(|at| (row, at)));
                        (at, start) = (pieces.after(row), 0);
                    }
                    assert_eq!(found, wanted, "{length}");
                }
            }
        }
    }

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
