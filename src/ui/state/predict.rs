//! An answer for each row of a file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use protocol::{
    Event, OutputColumn, PredictPlan, PredictReport, PredictRequest, PredictedRow, RequestId, Sampling, Text,
    UserError,
};
use serde::{Deserialize, Serialize};

use super::tuned::Tuned;
use super::{AppState, Requested};

/// The column of an output that holds the answer.
pub const ANSWER: &str = "answer";
/// Rows that the table holds; all of them are in the file.
const MOST_ROWS: usize = 200_000;
/// File endings that say a file is packed, and those that an output can have.
const PACKED: [&str; 3] = ["gz", "zst", "zstd"];
const WRITTEN: [&str; 3] = ["csv", "json", "jsonl"];

/// What the Predict panel wants.
#[derive(Clone, Debug, PartialEq)]
pub enum PredictAction {
    /// These answer.
    Use(Box<Tuned>),
    Choose(Box<PredictChoices>),
    Start,
    Stop,
    /// Puts the last prediction away, for another one.
    Dismiss,
}

/// What is chosen besides the model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PredictChoices {
    pub input: PathBuf,
    /// Rows become prompts as they did in training; otherwise by the three below.
    pub as_trained: bool,
    pub format: String,
    pub columns: BTreeMap<String, String>,
    pub template: String,
    /// None: beside the input.
    pub output: Option<PathBuf>,
    /// Empty: the input's columns and the answer.
    pub output_columns: Vec<OutputColumn>,
    /// Empty: the answer is written.
    pub choices: Vec<String>,
    /// Column of the right answer; empty: none.
    pub label: String,
    pub sampling: Sampling,
    /// 0: as many as serve.
    pub batch_tokens: u64,
}

impl Default for PredictChoices {
    fn default() -> Self {
        Self {
            input: PathBuf::new(),
            as_trained: true,
            format: "columns".into(),
            columns: BTreeMap::new(),
            template: "auto".into(),
            output: None,
            output_columns: Vec::new(),
            choices: Vec::new(),
            label: String::new(),
            // The same file and model, the same answers.
            sampling: Sampling { temperature: 0.0, ..Sampling::default() },
            batch_tokens: 0,
        }
    }
}

impl PredictChoices {
    /// Another file: what was chosen of the old one's columns no longer holds.
    pub fn use_input(&mut self, input: PathBuf) {
        if self.input != input {
            self.input = input;
            self.output = None;
            self.output_columns.clear();
            self.label.clear();
        }
    }

    /// Where the answers go.
    pub fn output(&self) -> PathBuf {
        self.output.clone().unwrap_or_else(|| suggested(&self.input))
    }
}

/// `papers.csv.gz` → `papers-predicted.csv`, beside it.
fn suggested(input: &Path) -> PathBuf {
    let mut plain = input.to_path_buf();
    if extension(&plain).is_some_and(|ending| PACKED.contains(&ending.as_str())) {
        plain.set_extension("");
    }
    let ending = extension(&plain).filter(|ending| WRITTEN.contains(&ending.as_str()));
    let stem = plain.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    plain.with_file_name(format!("{stem}-predicted.{}", ending.as_deref().unwrap_or("csv")))
}

fn extension(path: &Path) -> Option<String> {
    path.extension().map(|ending| ending.to_string_lossy().to_lowercase())
}

/// Answers as they come.
#[derive(Debug, Default)]
pub struct Answers {
    /// In the input's order; the first [`MOST_ROWS`].
    pub rows: Vec<PredictedRow>,
    /// The newest row, 1-based.
    pub last: u64,
    /// How many have come, those that are not kept among them.
    pub count: u64,
    /// Rows with a right answer, and those of them that were answered so.
    pub labelled: u64,
    pub right: u64,
    /// Places in `rows` of wrong answers, and of rows without one.
    pub wrong: Vec<usize>,
    pub failed: Vec<usize>,
    pub failures: u64,
}

impl Answers {
    fn extend(&mut self, rows: &[PredictedRow]) {
        // Rows that were shown before the work was stopped may come again.
        let from = self.last;
        for row in rows.iter().filter(|row| row.row > from) {
            self.push(row);
        }
    }

    fn push(&mut self, row: &PredictedRow) {
        let kept = self.rows.len() < MOST_ROWS;
        let place = self.rows.len();
        self.last = row.row;
        self.count += 1;
        if row.error.is_some() {
            self.failures += 1;
            self.failed.extend(kept.then_some(place));
        }
        if row.label.is_some() {
            self.labelled += 1;
            if is_right(row) == Some(true) {
                self.right += 1;
            } else {
                self.wrong.extend(kept.then_some(place));
            }
        }
        if kept {
            self.rows.push(row.clone());
        }
    }
}

/// Whether a row was answered as its label says; None where it has none.
pub fn is_right(row: &PredictedRow) -> Option<bool> {
    let label = row.label.as_deref()?;
    Some(row.error.is_none() && label.trim() == row.answer.trim())
}

#[derive(Debug, Default)]
pub struct PredictState {
    pub source: Option<Tuned>,
    pub choices: PredictChoices,
    pub plan: Requested<Box<PredictPlan>>,
    /// What the plan was asked for.
    asked: Option<PredictRequest>,
    pub work: Requested<Box<PredictReport>>,
    /// What the work under way or the last one was to do.
    pub wanted: Option<Box<PredictRequest>>,
    pub answers: Answers,
    /// The answers' columns.
    pub columns: Vec<OutputColumn>,
    pub stopping: bool,
}

impl PredictState {
    pub fn is_busy(&self) -> bool {
        self.work.is_pending()
    }

    /// Whether there is something to see besides the form.
    pub fn has_begun(&self) -> bool {
        self.is_busy() || self.work.value.is_some() || self.answers.count > 0
    }

    pub fn reduce(&mut self, event: &Event) {
        Tuned::follow(&mut self.source, event);
        match event {
            Event::PredictPlanned { request, plan } => self.plan.answer(*request, plan.clone()),
            Event::Predicted { request, rows } if self.work.awaits(*request) => self.answers.extend(rows),
            Event::PredictionEnded { request, report } if self.work.awaits(*request) => {
                self.work.answer(*request, report.clone());
                self.stopping = false;
                // The output has rows now: what could be done next is another plan.
                self.asked = None;
            }
            Event::Progress { .. } => self.work.tell_progress(event),
            Event::Superseded { request } if self.plan.awaits(*request) => {
                self.plan.supersede(*request);
                self.asked = None;
            }
            Event::Ready { .. } | Event::Stopped => self.engine_gone(),
            _ => {}
        }
    }

    fn engine_gone(&mut self) {
        if let Some(request) = self.work.request {
            let error = UserError::failure(Text::fixed(
                "The engine ended before all rows were answered; those in the file stay",
                "引擎在全部预测完成前退出；已写入文件的行会保留",
            ));
            self.work.fail(request, &error);
        }
        self.stopping = false;
        self.asked = None;
        self.plan.clear();
    }

    /// Whether the failed request was one of these.
    pub fn fail(&mut self, request: RequestId, error: &UserError) -> bool {
        let ours = self.plan.awaits(request) || self.work.awaits(request);
        if self.work.awaits(request) {
            self.stopping = false;
            self.asked = None;
        }
        self.plan.fail(request, error);
        self.work.fail(request, error);
        ours
    }

    /// A prediction begins, or goes on.
    pub fn begin(&mut self, request: RequestId, wanted: PredictRequest) {
        let goes_on =
            wanted.resume && self.wanted.as_ref().is_some_and(|before| before.output == wanted.output);
        if !goes_on {
            self.answers = Answers::default();
        }
        self.work.clear();
        self.work.ask(request);
        self.columns = output_columns(self);
        self.wanted = Some(Box::new(wanted));
        self.stopping = false;
    }

    pub fn dismiss(&mut self) {
        if !self.is_busy() {
            self.work.clear();
            self.wanted = None;
            self.answers = Answers::default();
        }
    }

    /// Whether the plan is one of these settings; asking for them makes it so.
    pub fn is_plan_of(&mut self, wanted: &PredictRequest) -> bool {
        let same = self.asked.as_ref() == Some(wanted);
        if !same {
            self.asked = Some(wanted.clone());
        }
        same
    }

    /// Rows that the output has already, by the newest plan.
    pub fn done_before(&self) -> u64 {
        self.plan.value.as_ref().filter(|_| self.plan.error.is_none()).map_or(0, |plan| plan.done)
    }
}

/// The prediction as it is set; None while there is no model or no file. It goes on behind rows that are there.
pub fn request(state: &AppState) -> Option<PredictRequest> {
    let predict = &state.predict;
    let choices = &predict.choices;
    let source = Tuned::or_newest(predict.source.as_ref(), state)?;
    if choices.input.as_os_str().is_empty() {
        return None;
    }
    let own = !choices.as_trained;
    Some(PredictRequest {
        model: source.on(source.origin(state).into_owned().model),
        input: choices.input.clone(),
        format: if own { choices.format.clone() } else { String::new() },
        columns: if own { choices.columns.clone() } else { BTreeMap::new() },
        template: if own { choices.template.clone() } else { String::new() },
        output: choices.output(),
        output_columns: choices.output_columns.clone(),
        choices: choices.choices.clone(),
        label: choices.label.clone(),
        sampling: choices.sampling.clone(),
        batch_tokens: choices.batch_tokens,
        resume: true,
    })
}

/// The columns that are written: the chosen ones, else those that the plan tells.
pub fn output_columns(state: &PredictState) -> Vec<OutputColumn> {
    if !state.choices.output_columns.is_empty() {
        return state.choices.output_columns.clone();
    }
    state.plan.value.as_ref().map(|plan| plan.output_columns.clone()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::tuned::tests::run;

    fn answer(row: u64, answer: &str, label: Option<&str>) -> PredictedRow {
        PredictedRow {
            row,
            values: vec![answer.into()],
            answer: answer.into(),
            label: label.map(str::to_owned),
            choices: Vec::new(),
            finish: "end-token".into(),
            error: None,
        }
    }

    fn state() -> AppState {
        let mut state = AppState::default();
        state.predict.source = Tuned::of_run(&run(), None);
        state.predict.choices.use_input("/data/papers.csv".into());
        state
    }

    #[test]
    fn answers_go_beside_the_input_in_a_format_that_can_be_written() {
        for (input, output) in [
            ("/data/papers.csv", "/data/papers-predicted.csv"),
            ("/data/papers.JSONL.gz", "/data/papers-predicted.jsonl"),
            ("/data/rows.parquet", "/data/rows-predicted.csv"),
            ("/data/v1.2.txt", "/data/v1.2-predicted.csv"),
        ] {
            assert_eq!(suggested(Path::new(input)), Path::new(output));
        }
    }

    #[test]
    fn as_in_training_says_nothing_of_the_prompt() {
        let mut state = state();
        let choices = &mut state.predict.choices;
        choices.columns.insert("prompt".into(), "{{ title }}".into());
        let trained = request(&state).unwrap();
        assert!(trained.format.is_empty() && trained.columns.is_empty() && trained.template.is_empty());
        assert_eq!(trained.model.adapters, [PathBuf::from("/runs/story-2/adapter")]);
        state.predict.choices.as_trained = false;
        let own = request(&state).unwrap();
        assert_eq!((own.format.as_str(), own.template.as_str(), own.columns.len()), ("columns", "auto", 1));
        state.predict.choices.input = PathBuf::new();
        assert_eq!(request(&state), None);
    }

    #[test]
    fn the_untuned_model_answers_without_adapters() {
        let mut state = state();
        state.project.config.model.path = "/models/tiny".into();
        state.predict.source = Tuned::base(&state);
        let wanted = request(&state).unwrap();
        assert_eq!((wanted.model.path, wanted.model.adapters), ("/models/tiny".into(), Vec::new()));
    }

    #[test]
    fn another_file_forgets_the_columns_of_the_first() {
        let mut choices = state().predict.choices;
        choices.label = "label".into();
        choices.output = Some("/out.csv".into());
        choices.output_columns = vec![OutputColumn { name: "id".into(), value: "uuid".into() }];
        let same = choices.clone();
        choices.use_input("/data/papers.csv".into());
        assert_eq!(choices, same);
        choices.use_input("/data/others.csv".into());
        assert!(choices.label.is_empty() && choices.output.is_none() && choices.output_columns.is_empty());
    }

    #[test]
    fn right_and_wrong_answers_are_counted_as_they_come() {
        let mut state = state();
        let wanted = request(&state).unwrap();
        state.predict.begin(RequestId(3), wanted.clone());
        let mut broken = answer(3, "", Some("1"));
        broken.error = Some(Text::fixed("too long", "过长"));
        let rows = vec![answer(1, "1", Some("1")), answer(2, " 0\n", Some("1")), broken];
        state.reduce(&Event::Predicted { request: RequestId(3), rows: rows.clone() });
        let answers = &state.predict.answers;
        assert_eq!((answers.labelled, answers.right, answers.failures), (3, 1, 1));
        assert_eq!((answers.wrong.as_slice(), answers.failed.as_slice()), (&[1, 2][..], &[2][..]));
        // Of another request.
        state.reduce(&Event::Predicted { request: RequestId(9), rows });
        assert_eq!(state.predict.answers.count, 3);
    }

    #[test]
    fn going_on_keeps_what_is_there_and_repeats_nothing() {
        let mut state = state();
        let wanted = request(&state).unwrap();
        state.predict.begin(RequestId(3), wanted.clone());
        state.reduce(&Event::Predicted { request: RequestId(3), rows: vec![answer(1, "a", None)] });
        let report = PredictReport {
            output: wanted.output.clone(),
            rows: 1,
            resumed: 0,
            failed: 0,
            seconds: 1.0,
            tokens: 1,
            scores: Vec::new(),
            confusion: None,
            notes: Vec::new(),
            complete: false,
        };
        state.reduce(&Event::PredictionEnded { request: RequestId(3), report: Box::new(report) });
        assert!(!state.predict.is_plan_of(&wanted), "the output has changed");
        state.predict.begin(RequestId(4), wanted.clone());
        let rows = vec![answer(1, "a", None), answer(2, "b", None)];
        state.reduce(&Event::Predicted { request: RequestId(4), rows });
        assert_eq!(state.predict.answers.count, 2);
        let elsewhere = PredictRequest { output: "/elsewhere.csv".into(), ..wanted };
        state.predict.fail(RequestId(4), &UserError::failure(Text::fixed("no", "不行")));
        state.predict.begin(RequestId(5), elsewhere);
        assert_eq!(state.predict.answers.count, 0);
    }

    #[test]
    fn an_engine_that_ends_leaves_an_error_and_the_rows() {
        let mut state = state();
        let wanted = request(&state).unwrap();
        state.predict.begin(RequestId(3), wanted);
        state.reduce(&Event::Predicted { request: RequestId(3), rows: vec![answer(1, "a", None)] });
        state.reduce(&Event::Stopped);
        assert!(!state.predict.is_busy() && state.predict.work.error.is_some());
        assert_eq!(state.predict.answers.count, 1);
        state.predict.dismiss();
        assert!(!state.predict.has_begun() && state.predict.work.error.is_none());
    }
}
