//! A dataset's rows in another format, as JSON lines.

use std::collections::BTreeMap;

use protocol::{ConvertReport, ConvertedRow, Result, Text, UserError, text};
use rayon::prelude::*;
use serde_json::Value;

use crate::dataset::Dataset;
use crate::deep::DeepPool;
use crate::formats::{Format, Write, Written};
use crate::progress::{Progress, check_cancelled};
use crate::record::{Encode, Example, Record};
use crate::sources::RowValue;

/// Rows converted at once, between two looks at whether to go on.
const CHUNK: usize = 1024;
/// Row numbers that a report lists.
const LISTED: usize = 100;

/// For data that is only read: rows cannot be made into tokens.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unencoded;

impl Encode for Unencoded {
    fn encode(&self, _: &Record) -> Result<Example> {
        Err(UserError::failure(Text::fixed("These rows were opened to be read only", "这些行只为读取而打开")))
    }
}

/// A conversion of all rows of a dataset.
pub struct Conversion<'a> {
    dataset: &'a Dataset,
    write: Write,
}

impl<'a> Conversion<'a> {
    /// # Errors
    /// When the format is unknown or cannot be written.
    pub fn new(dataset: &'a Dataset, to: &str) -> Result<Self> {
        let write = Format::find(to).and_then(|format| format.write);
        write.map(|write| Self { dataset, write }).ok_or_else(|| {
            let known = crate::formats::written().join(", ");
            UserError::bad_input(text!(
                "There is no dataset format `{to}` that can be written",
                "没有可以写出的数据格式 `{to}`"
            ))
            .mend(text!("choose one of {known}", "可选：{known}"))
        })
    }

    /// Rows as they are and as they would be written; fewer at the end.
    pub fn rows(&self, first: u64, count: u64) -> Vec<ConvertedRow> {
        let rows = self.dataset.len() as u64;
        let range = first.min(rows)..first.saturating_add(count).min(rows);
        range.map(|index| self.shown(index as usize)).collect()
    }

    fn shown(&self, index: usize) -> ConvertedRow {
        let row = index as u64 + 1;
        let before = match self.dataset.row(index).map(|row| row.value) {
            Ok(RowValue::Object(fields)) => pretty(&Value::Object(fields)),
            Ok(RowValue::Text(text)) => text,
            // The same error is told below.
            Err(_) => String::new(),
        };
        match self.convert(index) {
            Ok(written) => {
                let after = pretty(&Value::Object(written.fields));
                ConvertedRow { row, before, after, error: None }
            }
            Err(why) => ConvertedRow { row, before, after: String::new(), error: Some(why) },
        }
    }

    fn convert(&self, index: usize) -> std::result::Result<Written, Text> {
        let record = self.dataset.record(index).map_err(|err| err.line())?;
        (self.write)(&record)
    }

    /// Hands every row to `put` as a line of JSON, in order. Rows that cannot be read or written are left out and
    /// counted. `out` of the report is for the caller to fill in.
    ///
    /// # Errors
    /// When it was cancelled, or `put` fails.
    pub fn run(
        &self,
        put: &mut dyn FnMut(&[u8]) -> Result<()>,
        progress: &dyn Progress,
    ) -> Result<ConvertReport> {
        let pool = DeepPool::new()?;
        let stage = Text::fixed("converting rows", "转换数据");
        let all = self.dataset.len();
        let mut report = ConvertReport::default();
        let mut told = Told::default();
        for first in (0..all).step_by(CHUNK) {
            check_cancelled(progress)?;
            progress.report(&stage, first as u64, all as u64);
            let rows = first..all.min(first + CHUNK);
            let lines: Vec<_> = pool.run(|| rows.into_par_iter().map(|index| self.line(index)).collect());
            for (index, line) in (first..).zip(lines) {
                match line {
                    Ok((line, notes)) => {
                        put(&line)?;
                        (report.rows, report.bytes) = (report.rows + 1, report.bytes + line.len() as u64);
                        notes.into_iter().for_each(|note| told.add(note));
                    }
                    Err(why) => self.leave_out(index, why, &mut report, &mut told),
                }
            }
        }
        progress.report(&stage, all as u64, all as u64);
        report.notes = told.notes();
        Ok(report)
    }

    fn line(&self, index: usize) -> std::result::Result<(Vec<u8>, Vec<Text>), Text> {
        let written = self.convert(index)?;
        let mut line =
            serde_json::to_vec(&written.fields).map_err(|err| Text::new(err.to_string(), err.to_string()))?;
        line.push(b'\n');
        Ok((line, written.notes))
    }

    fn leave_out(&self, index: usize, why: Text, report: &mut ConvertReport, told: &mut Told) {
        report.left_out += 1;
        if report.left_out_rows.len() < LISTED {
            report.left_out_rows.push(index as u64 + 1);
        }
        let Text { en, zh } = why;
        told.add(text!("Left out: {en}", "已略过：{zh}"));
    }
}

/// What is said of rows, each thing once, with the number of rows.
#[derive(Default)]
struct Told {
    counts: BTreeMap<String, (Text, u64)>,
    /// Further things that differ in every row are not kept.
    more: u64,
}

impl Told {
    const KINDS: usize = 20;

    fn add(&mut self, note: Text) {
        if let Some((_, count)) = self.counts.get_mut(note.en.as_ref()) {
            *count += 1;
        } else if self.counts.len() < Self::KINDS {
            self.counts.insert(note.en.to_string(), (note, 1));
        } else {
            self.more += 1;
        }
    }

    fn notes(self) -> Vec<Text> {
        let mut counts: Vec<_> = self.counts.into_values().collect();
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let line = |(Text { en, zh }, rows): (Text, u64)| text!("{en} ({rows} rows)", "{zh}（{rows} 行）");
        let more = self.more;
        let rest = (more > 0).then(|| text!("and more ({more} rows)", "其他（{more} 行）"));
        counts.into_iter().map(line).chain(rest).collect()
    }
}

fn pretty(value: &Value) -> String {
    // A JSON value can always be written.
    serde_json::to_string_pretty(value).unwrap_or_default()
}
