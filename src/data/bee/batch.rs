//! Rows of CPM-Bee side by side.

use std::collections::HashMap;

use super::{BeeRow, FIRST_EXTENSION};
use crate::record::{Example, IGNORE};

/// What a batch carries beside its ids: its rows, without padding, and one extension table for all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BeeBatch {
    pub rows: Vec<BeeRow>,
    columns: Vec<Column>,
}

/// A column of the logits behind the vocabulary's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Column {
    pub id: u32,
    pub sub: u32,
}

impl BeeBatch {
    /// What reference training puts there when a batch has no extension token.
    const PLACEHOLDER: Column = Column { id: 0, sub: 1 };

    /// The side of examples, and the labels of all of them in terms of its columns. None when no example has
    /// one.
    pub(crate) fn gather(examples: &[Example]) -> Option<(Self, Vec<Vec<i32>>)> {
        examples.iter().find(|example| example.side.is_some())?;
        let row = |example: &Example| match &example.side {
            Some(row) => (**row).clone(),
            None => BeeRow::plain(example.ids.len()),
        };
        let mut batch = Self { rows: examples.iter().map(row).collect(), columns: Vec::new() };
        let mut numbers = HashMap::new();
        for (row, example) in batch.rows.iter().zip(examples) {
            for (id, sub) in example.ids.iter().zip(&row.subs).filter(|(_, sub)| **sub > 0) {
                let column = Column { id: *id, sub: *sub };
                numbers.entry(column).or_insert_with(|| {
                    batch.columns.push(column);
                    batch.columns.len() - 1
                });
            }
        }
        if batch.columns.is_empty() {
            batch.columns.push(Self::PLACEHOLDER);
        }
        let label = |row: &BeeRow, label: i32| {
            let Some(entry) = label.checked_sub(FIRST_EXTENSION).and_then(|at| usize::try_from(at).ok())
            else {
                return label;
            };
            let token = row.extension.get(entry).map(|token| Column { id: token.id, sub: token.sub });
            let number = token.and_then(|column| numbers.get(&column));
            number.map_or(IGNORE, |number| FIRST_EXTENSION + *number as i32)
        };
        let labels = examples.iter().zip(&batch.rows);
        let labels = labels.map(|(example, row)| example.labels.iter().map(|at| label(row, *at)).collect());
        let labels = labels.collect();
        Some((batch, labels))
    }

    /// Rows of ids alone, of these lengths.
    pub fn plain(lengths: &[usize]) -> Self {
        Self { rows: lengths.iter().map(|length| BeeRow::plain(*length)).collect(), columns: Vec::new() }
    }

    /// One row that is asked something: no column stands for nothing.
    pub fn asked(row: BeeRow) -> Self {
        let numbered = row.extension.iter().filter(|token| token.sub > 0);
        let columns = numbered.map(|token| Column { id: token.id, sub: token.sub }).collect();
        Self { rows: vec![row], columns }
    }

    /// Appends a token to the last row.
    pub fn push(&mut self, sub: u32, segment: u32, context: bool) {
        if let Some(row) = self.rows.last_mut() {
            row.subs.push(sub);
            row.context.push(context);
            row.segments.push(segment);
        }
    }

    /// Appends tokens of ids alone to the last row, up to this length.
    pub fn fill(&mut self, length: usize, context: bool) {
        let known = self.rows.last().map_or(length, |row| row.subs.len());
        (known..length).for_each(|_| self.push(0, 0, context));
    }

    /// The columns behind the vocabulary's.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }
}
