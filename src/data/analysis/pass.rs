//! The one pass over all rows.

use std::collections::BTreeMap;

use protocol::{AnalysisChecks, Result, TokenRole, UserError};

use super::contamination::{Questions, Shared};
use super::frequent::Counter;
use super::language::{self, Code};
use super::lengths::{Lengths, turns};
use super::minhash::Orders;
use super::near::{Index, Likeness, Print};
use super::said::{Said, Who, said};
use super::units::{add_id_shingles, add_shingles, ending, opening, units};
use crate::dataset::Dataset;
use crate::record::Record;
use crate::verdict::{Facts, Pass as Judging};

/// Similarity from which a training row is told to stand in the validation rows, unless near-duplicates say otherwise.
pub const NEAR: f64 = 0.8;

/// What rows are looked at for.
pub struct Looking<'a> {
    pub dataset: &'a Dataset,
    pub questions: Option<&'a Questions>,
    /// Orders of the sketches, where rows are compared.
    orders: Option<Orders>,
}

/// What was seen in a row.
pub struct Seen {
    facts: Facts,
    code: Code,
    turns: Vec<(TokenRole, u32)>,
    openings: Vec<String>,
    endings: Vec<String>,
    print: Option<Print>,
    shared: Option<Shared>,
}

impl<'a> Looking<'a> {
    pub fn new(dataset: &'a Dataset, questions: Option<&'a Questions>, checks: &AnalysisChecks) -> Self {
        let compares = checks.near_duplicates.is_some() || checks.leaks;
        Self { dataset, questions, orders: compares.then(Orders::new) }
    }

    /// # Errors
    /// When the row cannot be read or encoded.
    pub fn at(&self, index: usize) -> Result<Seen, Box<UserError>> {
        let (row, record) = self.dataset.read(index)?;
        let example = self.dataset.encode(&row, &record)?;
        let said = said(&record);
        let (mut openings, mut endings) = (Vec::new(), Vec::new());
        for answer in said.iter().filter(|said| said.who == Who::Answers) {
            let units = units(&answer.text);
            openings.extend(opening(&answer.text, &units).map(super::frequent::on_a_line));
            endings.extend(ending(&answer.text, &units).map(super::frequent::on_a_line));
        }
        let questions = self.questions.filter(|_| !self.dataset.is_validation_file(index));
        Ok(Seen {
            facts: Facts::of(self.dataset, &record, &example, None),
            code: language::of(&said),
            turns: turns(&example.roles),
            openings,
            endings,
            print: self.orders.as_ref().map(|orders| {
                let shingles = shingles(&record, &said);
                Print { sketch: orders.sketch(&shingles), shingles }
            }),
            shared: questions.and_then(|questions| questions.shared_with(&said)),
        })
    }

    /// The shingles of a row that was seen; none if it cannot be read any more.
    pub fn again(&self, row: u32) -> Vec<u64> {
        let record = self.dataset.record(row as usize);
        record.map(|record| shingles(&record, &said(&record))).unwrap_or_default()
    }
}

/// The set of a row's shingles: ascending, without doubles.
fn shingles(record: &Record, said: &[Said<'_>]) -> Vec<u64> {
    let mut all = Vec::new();
    match record {
        Record::Tokens { input_ids, .. } => add_id_shingles(input_ids, &mut all),
        _ => said.iter().for_each(|said| add_shingles(&units(&said.text), &mut all)),
    }
    all.sort_unstable();
    all.dedup();
    all
}

/// What the rows so far have shown.
pub struct Pass<'a> {
    pub looking: &'a Looking<'a>,
    /// Which rows a run would train on and hold out.
    pub judging: Judging<'a>,
    pub index: Option<Index>,
    pub lengths: Lengths,
    pub openings: Counter,
    pub endings: Counter,
    /// Of every row, its place in `codes`.
    pub languages: Vec<u8>,
    pub codes: Vec<Code>,
    pub near: Vec<Likeness>,
    pub shared: BTreeMap<u32, Shared>,
    /// Rows that cannot be read or encoded.
    pub unusable: Vec<u32>,
    finds: bool,
    next: u32,
}

impl<'a> Pass<'a> {
    pub fn new(looking: &'a Looking<'a>, checks: &AnalysisChecks) -> Self {
        let rows = looking.dataset.len();
        let threshold = checks.near_duplicates.unwrap_or(NEAR);
        Self {
            looking,
            judging: Judging::new(looking.dataset),
            index: looking.orders.as_ref().map(|_| Index::new(threshold, rows)),
            lengths: Lengths::default(),
            openings: Counter::default(),
            endings: Counter::default(),
            languages: Vec::with_capacity(rows),
            codes: vec![""],
            near: Vec::new(),
            shared: BTreeMap::new(),
            unusable: Vec::new(),
            finds: checks.near_duplicates.is_some(),
            next: 0,
        }
    }

    /// Takes the next row.
    ///
    /// # Errors
    /// When rows are split into more pieces than can be numbered.
    pub fn add(&mut self, seen: Result<Seen, Box<UserError>>) -> Result<()> {
        let row = self.next;
        self.next += 1;
        match seen {
            Ok(seen) => self.add_row(row, seen),
            Err(err) => {
                self.unusable.push(row);
                self.languages.push(0);
                self.judging.add(Err(err))
            }
        }
    }

    fn add_row(&mut self, row: u32, seen: Seen) -> Result<()> {
        let number = u64::from(row) + 1;
        seen.openings.iter().for_each(|text| self.openings.add(text, number));
        seen.endings.iter().for_each(|text| self.endings.add(text, number));
        self.lengths.add(&seen.turns);
        let place = self.place_of(seen.code);
        self.languages.push(place);
        self.shared.extend(seen.shared.map(|shared| (row, shared)));
        let looking = self.looking;
        let again = |row| looking.again(row);
        if let Some(index) = &mut self.index {
            match self.finds {
                true => self.near.extend(index.add(row, seen.print.as_ref(), &again)),
                false => index.remember(row, seen.print.as_ref()),
            }
        }
        self.judging.add(Ok(seen.facts))
    }

    fn place_of(&mut self, code: Code) -> u8 {
        let place = self.codes.iter().position(|known| *known == code).unwrap_or_else(|| {
            self.codes.push(code);
            self.codes.len() - 1
        });
        // There are 73 codes.
        u8::try_from(place).unwrap_or(0)
    }
}
