//! Examples of different lengths as one rectangle.

use protocol::{Result, Text, UserError};

use crate::bee::BeeBatch;
use crate::record::{Example, IGNORE};
use crate::spans::Spans;

/// Rows padded on the right to the longest of them; row-major, `rows × len`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    pub rows: usize,
    /// Rows before them, where this is a piece of a batch.
    pub first_row: usize,
    /// Positions a row.
    pub len: usize,
    /// Token ids; the pad id behind a row's end.
    pub ids: Vec<u32>,
    /// Not shifted; [`IGNORE`] behind a row's end and where nothing is learned.
    pub labels: Vec<i32>,
    /// Tokens of each row without padding.
    pub lengths: Vec<u32>,
    /// Labels that bear loss: all but [`IGNORE`], each row's first position aside, which nothing predicts.
    pub learned: u64,
    /// Tokens without padding.
    pub tokens: u64,
    /// Where rows are of dicts.
    pub side: Option<Box<BeeBatch>>,
    /// Where texts begin in rows that hold several; None: a row is one text.
    pub spans: Option<Spans>,
}

impl Batch {
    /// # Errors
    /// When there is no example, one is empty, or ids and labels differ in number.
    pub fn collate(examples: &[Example], pad: u32) -> Result<Self> {
        let sound = |example: &Example| !example.ids.is_empty() && example.ids.len() == example.labels.len();
        let len = examples.iter().map(|example| example.ids.len()).max().unwrap_or(0);
        let size = examples.len().checked_mul(len).filter(|size| *size > 0 && examples.iter().all(sound));
        let Some(size) = size else {
            return Err(UserError::failure(Text::fixed(
                "A batch holds no tokens, or ids and labels that differ in number",
                "批次中没有词元，或编号与标签数量不一致",
            )));
        };
        let mut batch = Self { rows: examples.len(), len, ..Self::default() };
        batch.ids.reserve_exact(size);
        batch.labels.reserve_exact(size);
        let side = BeeBatch::gather(examples);
        for (row, example) in examples.iter().enumerate() {
            batch.ids.extend(&example.ids);
            batch.ids.resize((row + 1) * len, pad);
            batch.labels.extend(side.as_ref().map_or(&example.labels, |(_, labels)| &labels[row]));
            batch.labels.resize((row + 1) * len, IGNORE);
            // A token id is 32 bits wide, and so is a row's length long before memory ends.
            batch.lengths.push(u32::try_from(example.ids.len()).unwrap_or(u32::MAX));
            batch.learned += example.learned() as u64;
            batch.tokens += example.ids.len() as u64;
        }
        batch.side = side.map(|(side, _)| Box::new(side));
        Ok(batch)
    }

    /// The same rows as so many batches of equal size, each as long as its own longest row. Dicts stay together: the
    /// tokens that stand in one of them compete with those of all.
    ///
    /// # Errors
    /// As [`collate`](Self::collate).
    pub fn pieces(examples: &[Example], pad: u32, pieces: usize) -> Result<Vec<Self>> {
        if pieces <= 1 || examples.iter().any(|example| example.side.is_some()) {
            return Ok(vec![Self::collate(examples, pad)?]);
        }
        let rows = examples.len().div_ceil(pieces).max(1);
        let piece = |(index, examples)| Ok(Self { first_row: index * rows, ..Self::collate(examples, pad)? });
        examples.chunks(rows).enumerate().map(piece).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example(ids: &[u32], labels: &[i32]) -> Example {
        Example { ids: ids.to_vec(), labels: labels.to_vec(), ..Example::default() }
    }

    #[test]
    fn rows_are_padded_on_the_right_to_the_longest() {
        let batch =
            Batch::collate(&[example(&[5, 6], &[5, 6]), example(&[7, 8, 9], &[-100, -100, 9])], 1).unwrap();
        assert_eq!((batch.rows, batch.len), (2, 3));
        assert_eq!(batch.ids, [5, 6, 1, 7, 8, 9]);
        assert_eq!(batch.labels, [5, 6, -100, -100, -100, 9]);
        assert_eq!(batch.lengths, [2, 3]);
        // The first position of a row is predicted by nothing.
        assert_eq!((batch.learned, batch.tokens), (2, 5));
    }

    #[test]
    fn pieces_hold_the_rows_of_the_whole() {
        let rows: Vec<Example> =
            (1..6_u32).map(|n| example(&vec![n; n as usize], &vec![1; n as usize])).collect();
        let whole = Batch::collate(&rows, 0).unwrap();
        let pieces = Batch::pieces(&rows, 0, 2).unwrap();
        let shapes: Vec<_> = pieces.iter().map(|piece| (piece.first_row, piece.rows, piece.len)).collect();
        assert_eq!(shapes, [(0, 3, 3), (3, 2, 5)]);
        assert_eq!(pieces.iter().map(|piece| piece.learned).sum::<u64>(), whole.learned);
        assert_eq!(Batch::pieces(&rows, 0, 99).unwrap().len(), 5);
        assert_eq!(Batch::pieces(&rows, 0, 1).unwrap(), [whole]);
    }

    #[test]
    fn a_batch_without_tokens_is_refused() {
        assert!(Batch::collate(&[], 0).is_err());
        assert!(Batch::collate(&[example(&[], &[])], 0).is_err());
        assert!(Batch::collate(&[example(&[1], &[])], 0).is_err());
    }
}
