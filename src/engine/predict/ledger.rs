//! Answers as they come, written in the order of their rows.

use std::collections::BTreeMap;
use std::time::Instant;

use data::metrics::Classification;
use data::predict::{Output, plain};
use data::sources::{Row, RowValue};
use protocol::{
    Event, PredictReport, PredictRequest, PredictedRow, RequestId, Result, Text, UserError, text,
};
use serde_json::{Map, Value};

use super::Setup;
use super::failures::Failures;
use crate::sink::Sink;

/// What became of a row.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    pub answer: String,
    pub choices: Vec<f64>,
    pub finish: &'static str,
    pub error: Option<Text>,
    /// Tokens that were generated or scored.
    pub tokens: u64,
}

impl Outcome {
    pub fn failed(error: &UserError) -> Self {
        Self { error: Some(error.what.clone()), ..Self::default() }
    }
}

/// The output, and what is known of the answers in it.
pub struct Ledger<'a> {
    request: RequestId,
    wanted: &'a PredictRequest,
    setup: &'a Setup,
    sink: &'a mut Sink,
    output: Output,
    failures: Failures,
    /// Rows that have an answer while an earlier one has none.
    early: BTreeMap<u64, Outcome>,
    classified: Classification,
    report: PredictReport,
    began: Instant,
}

impl<'a> Ledger<'a> {
    /// Begins the output, or goes on with it.
    ///
    /// # Errors
    /// When it is there and not to be resumed, or holds something else.
    pub fn open(
        request: RequestId,
        wanted: &'a PredictRequest,
        setup: &'a Setup,
        sink: &'a mut Sink,
    ) -> Result<Self> {
        let names = setup.outputs.names();
        let mut classified = Classification::default();
        let mut resumed = 0;
        let output = if wanted.resume {
            Output::resume(&wanted.output, &names, &mut |values| {
                resumed += 1;
                take_up(wanted, setup, resumed, &values, &mut classified)
            })?
        } else {
            Output::create(&wanted.output, &names)?
        };
        let failures = Failures::of(&wanted.output, resumed)?;
        let mut report = PredictReport {
            output: wanted.output.clone(),
            rows: resumed,
            resumed,
            failed: failures.count(),
            seconds: 0.0,
            tokens: 0,
            scores: Vec::new(),
            confusion: None,
            notes: Vec::new(),
            complete: false,
        };
        if resumed > 0 && !wanted.label.is_empty() && setup.outputs.answer().is_none() {
            report.notes.push(Text::fixed(
                "The output has no column with the answer itself: the figures leave out the rows that were there before",
                "输出中没有直接保存回答的列：各项指标不包含先前已有的行",
            ));
        }
        let early = BTreeMap::new();
        let began = Instant::now();
        Ok(Self { request, wanted, setup, sink, output, failures, early, classified, report, began })
    }

    /// Rows that are done, from the first on: the number (0-based) of the next.
    pub fn next(&self) -> u64 {
        self.output.rows()
    }

    pub fn loading(&mut self, done: u64, total: u64) {
        self.sink.progress(self.request, Text::fixed("loading the model", "加载模型"), done, total, None);
    }

    /// The model is there: from now on rows are answered.
    pub fn begin(&mut self) {
        self.began = Instant::now();
    }

    pub fn note(&mut self, note: Text) {
        self.report.notes.push(note);
    }

    /// Takes the outcome of row `index` (0-based), and writes what can be written.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub fn put(&mut self, index: u64, outcome: Outcome) -> Result<()> {
        self.early.insert(index, outcome);
        let (mut values, mut told) = (Vec::new(), Vec::new());
        let mut next = self.next();
        while let Some(outcome) = self.early.remove(&next) {
            let (row, predicted) = self.row(next, outcome);
            // Before the row itself: what is told of a row that is not there is forgotten.
            if let Some(why) = &predicted.error {
                self.failures.add(predicted.row, why)?;
            }
            values.push(row);
            told.push(predicted);
            next += 1;
        }
        if told.is_empty() {
            return Ok(());
        }
        self.output.write(&values)?;
        self.report.rows = next;
        self.report.failed = self.failures.count();
        self.sink.emit(Event::Predicted { request: self.request, rows: told });
        self.progress(next);
        Ok(())
    }

    fn progress(&mut self, done: u64) {
        let total = self.setup.questions.len() as u64;
        let fresh = (done - self.report.resumed).max(1);
        let left = self.began.elapsed().as_secs_f64() / fresh as f64 * total.saturating_sub(done) as f64;
        self.sink.progress(self.request, Text::fixed("answering", "预测"), done, total, Some(left));
    }

    /// A row of the output, and what is told of it.
    fn row(&mut self, index: u64, mut outcome: Outcome) -> (Vec<Value>, PredictedRow) {
        let number = index + 1;
        let read = self.setup.questions.row(index as usize);
        let label = read.as_ref().ok().and_then(|row| label_of(row, &self.wanted.label));
        let row = read.unwrap_or_else(|_| nothing(&self.wanted.input, number));
        let said = outcome.error.as_ref().map(|error| error.en.clone()).unwrap_or_default();
        let (values, failure) = self.setup.outputs.values(&row, &outcome.answer, &said);
        if let Some(err) = failure {
            outcome.error = outcome.error.or(Some(err.what));
        }
        if let Some(label) = &label {
            self.classified.add(label, &outcome.answer);
        }
        self.report.tokens += outcome.tokens;
        let predicted = PredictedRow {
            row: number,
            values: values.iter().map(plain).collect(),
            answer: outcome.answer,
            label,
            choices: outcome.choices,
            finish: outcome.finish.to_owned(),
            error: outcome.error,
        };
        (values, predicted)
    }

    /// Ends the output, and tells the figures.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub fn finish(mut self) -> Result<()> {
        let total = self.setup.questions.len() as u64;
        self.report.complete = self.output.rows() >= total;
        self.output.finish()?;
        self.report.seconds = self.began.elapsed().as_secs_f64();
        if !self.classified.is_empty() {
            self.report.scores = self.classified.scores();
            self.report.confusion = self.classified.confusion();
        }
        if self.report.failed > 0 {
            let file = self.failures.path().display();
            self.report
                .notes
                .push(text!("Why rows have no answer is in {file}", "没有回答的行及其原因见 {file}"));
        }
        self.report.notes.extend(self.setup.warnings.iter().cloned());
        let request = self.request;
        self.sink.emit(Event::PredictionEnded { request, report: Box::new(self.report) });
        Ok(())
    }
}

/// A row that the output has already: it must be the input's row of that number.
fn take_up(
    wanted: &PredictRequest,
    setup: &Setup,
    number: u64,
    values: &[String],
    classified: &mut Classification,
) -> Result<()> {
    let other = |what: Text| {
        UserError::bad_input(what)
            .in_file(&wanted.output)
            .at_row(number)
            .mend(Text::fixed("name another output", "请另选输出文件"))
    };
    let rows = setup.questions.len() as u64;
    if number > rows {
        return Err(other(text!(
            "The output has more rows than the input's {rows}",
            "输出的行数多于输入的 {rows} 行"
        )));
    }
    let Ok(row) = setup.questions.row(number as usize - 1) else { return Ok(()) };
    let fields = row.fields().into_iter().flatten();
    for (name, value) in fields {
        let written = setup.outputs.of_input(name).and_then(|place| values.get(place));
        if written.is_some_and(|written| *written != plain(value)) {
            return Err(other(text!(
                "The output was made from another input: `{name}` of this row differs",
                "输出来自另一个输入文件：该行的 `{name}` 不同"
            )));
        }
    }
    let answer = setup.outputs.answer().and_then(|place| values.get(place));
    if let (Some(label), Some(answer)) = (label_of(&row, &wanted.label), answer) {
        classified.add(&label, answer);
    }
    Ok(())
}

fn label_of(row: &Row, label: &str) -> Option<String> {
    row.fields()?.get(label).filter(|value| !value.is_null()).map(plain)
}

/// Stands for a row that cannot be read.
fn nothing(file: &std::path::Path, row: u64) -> Row {
    Row { value: RowValue::Object(Map::new()), file: file.into(), row, offset: 0 }
}
