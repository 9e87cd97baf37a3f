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
    /// Tokens of each row without padding, of all its texts together.
    pub lengths: Vec<u32>,
    /// Labels that bear loss: all but [`IGNORE`], each text's first position aside, which nothing predicts.
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
        let len = examples.iter().map(|example| example.ids.len()).max().unwrap_or(0);
        let size = examples.len().checked_mul(len).filter(|size| *size > 0 && examples.iter().all(is_sound));
        let size = size.ok_or_else(unsound)?;
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

    /// Rows of several examples, as many in each as `packed` says: each is a text of its own, whose first label nothing
    /// predicts (as in transformers' `DataCollatorWithFlattening`). Padded on the right as in
    /// [`collate`](Self::collate).
    ///
    /// # Errors
    /// As [`collate`](Self::collate), and when the numbers are not those of the examples.
    pub fn packed(examples: &[Example], packed: &[u32], pad: u32) -> Result<Self> {
        let rows = parted(examples, packed).filter(|_| examples.iter().all(is_sound)).ok_or_else(unsound)?;
        let joined: Vec<Example> = rows.iter().map(|row| joined(row)).collect();
        let mut batch = Self::collate(&joined, pad)?;
        let lengths = |row: &&[Example]| row.iter().map(|example| example.ids.len() as u32).collect();
        let lengths: Vec<Vec<u32>> = rows.iter().map(lengths).collect();
        batch.spans = Some(Spans::packed(lengths.iter().map(Vec::as_slice)));
        if let Some((side, labels)) = BeeBatch::gather(examples) {
            batch.side = Some(Box::new(side));
            batch.put_labels(&lengths, &labels);
        }
        Ok(batch)
    }

    /// Labels of texts of these lengths, row by row. That of a text's first token is left out.
    fn put_labels(&mut self, lengths: &[Vec<u32>], labels: &[Vec<i32>]) {
        let mut labels = labels.iter();
        for (row, lengths) in self.labels.chunks_mut(self.len.max(1)).zip(lengths) {
            let mut rest = row;
            for (length, labels) in lengths.iter().zip(&mut labels) {
                let (text, others) = rest.split_at_mut(*length as usize);
                text[1..].copy_from_slice(&labels[1..]);
                rest = others;
            }
        }
    }

    /// The same rows as so many batches of equal size, each as long as its own longest row. Dicts stay together: the
    /// tokens that stand in one of them compete with those of all. `packed` is as in [`packed`](Self::packed), or None
    /// where each example is a row.
    ///
    /// # Errors
    /// As [`packed`](Self::packed).
    pub fn pieces(
        examples: &[Example],
        packed: Option<&[u32]>,
        pad: u32,
        pieces: usize,
    ) -> Result<Vec<Self>> {
        let rows = packed.map_or(examples.len(), <[u32]>::len);
        let whole = pieces <= 1 || examples.iter().any(|example| example.side.is_some());
        let size = if whole { rows } else { rows.div_ceil(pieces) }.max(1);
        let mut rest = examples;
        let piece = |first: usize| {
            let end = rows.min(first + size);
            let counts = packed.map(|packed| &packed[first..end]);
            let count = counts.map_or(end - first, |counts| counts.iter().map(|count| *count as usize).sum());
            let (own, others) = rest.split_at(count.min(rest.len()));
            rest = others;
            let batch = match counts {
                Some(counts) => Self::packed(own, counts, pad)?,
                None => Self::collate(own, pad)?,
            };
            Ok(Self { first_row: first, ..batch })
        };
        (0..rows.max(1)).step_by(size).map(piece).collect()
    }
}

fn is_sound(example: &Example) -> bool {
    !example.ids.is_empty() && example.ids.len() == example.labels.len()
}

fn unsound() -> UserError {
    UserError::failure(Text::fixed(
        "A batch holds no tokens, or ids and labels that differ in number",
        "批次中没有词元，或编号与标签数量不一致",
    ))
}

/// The examples of each row; None where the numbers are not theirs.
fn parted<'a>(examples: &'a [Example], packed: &[u32]) -> Option<Vec<&'a [Example]>> {
    let mut rest = examples;
    let row = |count: &u32| {
        let (row, others) = rest.split_at_checked(*count as usize)?;
        rest = others;
        Some(row)
    };
    let rows: Option<Vec<_>> = packed.iter().map(row).collect();
    rows.filter(|_| rest.is_empty())
}

/// Examples one behind the other, as ids and labels.
fn joined(examples: &[Example]) -> Example {
    let mut all = Example::default();
    for example in examples {
        all.ids.extend(&example.ids);
        all.labels.push(IGNORE);
        all.labels.extend(&example.labels[1..]);
    }
    all
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
        let pieces = Batch::pieces(&rows, None, 0, 2).unwrap();
        let shapes: Vec<_> = pieces.iter().map(|piece| (piece.first_row, piece.rows, piece.len)).collect();
        assert_eq!(shapes, [(0, 3, 3), (3, 2, 5)]);
        assert_eq!(pieces.iter().map(|piece| piece.learned).sum::<u64>(), whole.learned);
        assert_eq!(Batch::pieces(&rows, None, 0, 99).unwrap().len(), 5);
        assert_eq!(Batch::pieces(&rows, None, 0, 1).unwrap(), [whole]);
    }

    #[test]
    fn packed_rows_know_their_texts() {
        let rows = [example(&[5, 6], &[5, 6]), example(&[7, 8, 9], &[7, -100, 9]), example(&[1], &[1])];
        let batch = Batch::packed(&rows, &[2, 1], 0).unwrap();
        assert_eq!((batch.rows, batch.len, batch.learned, batch.tokens), (2, 5, 2, 6));
        assert_eq!(batch.ids, [5, 6, 7, 8, 9, 1, 0, 0, 0, 0]);
        assert_eq!(batch.labels[..5], [IGNORE, 6, IGNORE, IGNORE, 9]);
        assert_eq!(batch.labels[5..], [IGNORE; 5]);
        assert_eq!(batch.spans, Some(Spans::packed([&[2, 3][..], &[1]])));
        let pieces = Batch::pieces(&rows, Some(&[2, 1]), 0, 2).unwrap();
        assert_eq!(pieces[0], Batch::packed(&rows[..2], &[2], 0).unwrap());
        assert_eq!(pieces[1], Batch { first_row: 1, ..Batch::packed(&rows[2..], &[1], 0).unwrap() });
        for wrong in [&[3, 1][..], &[2], &[]] {
            assert!(Batch::packed(&rows, wrong, 0).is_err(), "{wrong:?}");
        }
        assert!(Batch::packed(&[example(&[], &[])], &[1], 0).is_err());
    }

    #[test]
    fn a_batch_without_tokens_is_refused() {
        assert!(Batch::collate(&[], 0).is_err());
        assert!(Batch::collate(&[example(&[], &[])], 0).is_err());
        assert!(Batch::collate(&[example(&[1], &[])], 0).is_err());
    }
}
