//! A model against sets of questions, and what came of it before.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use protocol::{
    Descriptor, Event, Measured, ModelRef, RequestId, SuiteMetric, SuiteReport, SuiteRequest, SuiteRow, Text,
    UserError,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::tuned::Tuned;
use super::{AppState, Requested};

/// What the Evaluate panel wants.
#[derive(Clone, Debug, PartialEq)]
pub enum EvaluateAction {
    /// These are asked.
    Use(Box<Tuned>),
    Choose(Box<EvaluateChoices>),
    Start,
    Stop,
    /// Reads the list of earlier evaluations again.
    Refresh,
    /// Puts an earlier evaluation among those that are looked at, or takes it away.
    Select {
        dir: PathBuf,
        on: bool,
    },
    /// Looks at the newest one again.
    SelectNone,
    /// Asks where to, and writes those that are looked at as one table.
    Write,
}

/// What is chosen besides the model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct EvaluateChoices {
    /// Id of a suite of the catalog; empty: the first.
    pub suite: String,
    /// The data of each suite, by its id.
    pub data: BTreeMap<String, PathBuf>,
    /// What was set of each suite, by its id.
    pub settings: BTreeMap<String, Map<String, Value>>,
    pub compare: bool,
    /// Items of each subject at most; 0: all.
    pub limit: u64,
    /// 0: as many as serve.
    pub batch_tokens: u64,
}

impl Default for EvaluateChoices {
    fn default() -> Self {
        Self {
            suite: String::new(),
            data: BTreeMap::new(),
            settings: BTreeMap::new(),
            compare: true,
            limit: 0,
            batch_tokens: 0,
        }
    }
}

/// The table so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SoFar {
    pub rows: Vec<SuiteRow>,
    pub done: u64,
    pub total: u64,
}

#[derive(Debug, Default)]
pub struct EvaluateState {
    pub source: Option<Tuned>,
    pub choices: EvaluateChoices,
    pub work: Requested<Box<SuiteReport>>,
    pub wanted: Option<Box<SuiteRequest>>,
    pub so_far: SoFar,
    pub stopping: bool,
    /// It was stopped; the items that were answered are kept for the next time.
    pub stopped: bool,
    /// Earlier ones, newest first.
    pub earlier: Requested<Vec<SuiteReport>>,
    /// Folders of those that are looked at, in the order of choice.
    pub selected: Vec<PathBuf>,
    /// The table being written.
    pub writing: Option<RequestId>,
}

impl EvaluateState {
    pub fn is_busy(&self) -> bool {
        self.work.is_pending()
    }

    /// The earlier evaluations that are looked at.
    pub fn looked_at(&self) -> Vec<&SuiteReport> {
        let all = self.earlier.value.as_deref().unwrap_or_default();
        self.selected.iter().filter_map(|dir| all.iter().find(|report| report.dir == *dir)).collect()
    }

    pub fn reduce(&mut self, event: &Event) {
        Tuned::follow(&mut self.source, event);
        match event {
            Event::Evaluating { request, rows, done, total } if self.work.awaits(*request) => {
                self.so_far = SoFar { rows: rows.clone(), done: *done, total: *total };
            }
            Event::Evaluated { request, report } if self.work.awaits(*request) => {
                self.work.answer(*request, report.clone());
                self.so_far = SoFar::default();
                self.stopping = false;
                self.joins_the_list(report);
            }
            Event::Evaluations { request, reports, .. } if self.earlier.awaits(*request) => {
                self.earlier.answer(*request, reports.clone());
                self.selected.retain(|dir| reports.iter().any(|report| report.dir == *dir));
            }
            Event::EvaluationsWritten { request, .. } if self.writing == Some(*request) => {
                self.writing = None;
            }
            Event::Progress { .. } => {
                self.work.tell_progress(event);
                self.earlier.tell_progress(event);
            }
            Event::Superseded { request } => self.earlier.supersede(*request),
            Event::Ready { .. } | Event::Stopped => self.engine_gone(),
            _ => {}
        }
    }

    /// One that has just ended is the newest of the list, before the list is read again.
    fn joins_the_list(&mut self, report: &SuiteReport) {
        let all = self.earlier.value.get_or_insert_default();
        all.retain(|known| known.dir != report.dir);
        all.insert(0, report.clone());
    }

    fn engine_gone(&mut self) {
        if let Some(request) = self.work.request {
            let error = UserError::failure(Text::fixed(
                "The engine ended before the evaluation was done; asked again, it goes on where it was",
                "引擎在评估完成前退出；再次开始将从中断处继续",
            ));
            self.work.fail(request, &error);
        }
        self.stopping = false;
        self.writing = None;
    }

    /// Whether the failed request was one of these.
    pub fn fail(&mut self, request: RequestId, error: &UserError) -> bool {
        let ours = self.work.awaits(request) || self.earlier.awaits(request);
        if self.work.awaits(request) && self.stopping {
            self.work.clear();
            (self.stopping, self.stopped) = (false, true);
        }
        if self.writing == Some(request) {
            self.writing = None;
        }
        self.work.fail(request, error);
        self.earlier.fail(request, error);
        ours
    }

    pub fn begin(&mut self, request: RequestId, wanted: SuiteRequest) {
        self.work.clear();
        self.work.ask(request);
        self.wanted = Some(Box::new(wanted));
        self.so_far = SoFar::default();
        (self.stopping, self.stopped) = (false, false);
        self.selected.clear();
    }

    pub fn select(&mut self, dir: PathBuf, on: bool) {
        self.selected.retain(|known| *known != dir);
        if on {
            self.selected.push(dir);
        }
    }
}

/// The suite that is chosen: the named one, else the first.
pub fn suite(state: &AppState) -> Option<&Descriptor> {
    let suites = &state.engine.catalog.suites;
    let chosen = &state.evaluate.choices.suite;
    suites.iter().find(|suite| suite.id == *chosen).or(suites.first())
}

/// The evaluation as it is set; None while there is no suite, no data or no model.
pub fn request(state: &AppState) -> Option<SuiteRequest> {
    let choices = &state.evaluate.choices;
    let id = &suite(state)?.id;
    let source = Tuned::or_newest(state.evaluate.source.as_ref(), state)?;
    let model = source.on(source.origin(state).into_owned().model);
    Some(SuiteRequest {
        suite: id.clone(),
        data: choices.data.get(id).cloned()?,
        compare: choices.compare && can_compare(&model),
        model,
        settings: choices.settings.get(id).cloned().unwrap_or_default(),
        limit: choices.limit,
        batch_tokens: choices.batch_tokens,
        out: None,
    })
}

/// Whether there is something to take away from the model.
pub fn can_compare(model: &ModelRef) -> bool {
    !model.adapters.is_empty()
}

/// The names of all figures, in the order of the first row that has each.
pub fn metrics<'a>(rows: impl Iterator<Item = &'a SuiteRow>) -> Vec<&'a str> {
    let mut names: Vec<&str> = Vec::new();
    for metric in rows.flat_map(|row| &row.metrics) {
        if !names.contains(&metric.name.as_str()) {
            names.push(&metric.name);
        }
    }
    names
}

pub fn metric<'a>(row: &'a SuiteRow, name: &str) -> Option<&'a SuiteMetric> {
    row.metrics.iter().find(|metric| metric.name == name)
}

/// The figure of a line that stands for it: with adapters where there are some.
pub fn figure(metric: &SuiteMetric) -> Option<Measured> {
    metric.tuned.or(metric.base)
}

/// `story-2 + poems` or the model's own name: who was asked.
pub fn who(report: &SuiteReport) -> String {
    let name = |path: &Path| path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    if report.adapters.is_empty() {
        return name(&report.model);
    }
    let names: Vec<_> =
        report.adapters.iter().map(|dir| adapter_name(dir).unwrap_or_else(|| name(dir))).collect();
    names.join(" + ")
}

/// An adapter in a run folder is called by the run.
fn adapter_name(dir: &Path) -> Option<String> {
    let run = dir.parent().filter(|_| dir.file_name().is_some_and(|name| name == "adapter"))?;
    Some(run.file_name()?.to_string_lossy().into_owned())
}

#[cfg(test)]
pub(crate) mod tests {
    use protocol::SuiteLevel;

    use super::*;
    use crate::state::tuned::tests::run;

    pub fn report(dir: &str) -> SuiteReport {
        let measured = |value| Some(Measured { value, low: value - 0.05, high: value + 0.05 });
        let accuracy = SuiteMetric {
            name: "acc".into(),
            higher_is_better: true,
            base: measured(0.4),
            tuned: measured(0.6),
            difference: measured(0.2),
        };
        let row = SuiteRow {
            level: SuiteLevel::Total,
            name: "mmlu".into(),
            groups: vec![],
            items: 100,
            metrics: vec![accuracy],
        };
        SuiteReport {
            suite: "mmlu".into(),
            data: "/data/mmlu".into(),
            data_hash: String::new(),
            model: "/models/tiny".into(),
            adapters: vec!["/runs/story-2/adapter".into()],
            settings: Map::new(),
            limit: 0,
            when: "2026-11-21T12:00:00+00:00".into(),
            dir: dir.into(),
            rows: vec![row],
            seconds: 9.0,
            notes: Vec::new(),
        }
    }

    fn state() -> AppState {
        let mut state = AppState::default();
        let suite = |id: &'static str| Descriptor {
            id: id.into(),
            name: Text::fixed(id, id),
            help: Text::fixed("", ""),
            params: Vec::new(),
        };
        state.engine.catalog.suites = vec![suite("perplexity"), suite("mmlu")];
        state.evaluate.source = Tuned::of_run(&run(), None);
        state
    }

    #[test]
    fn each_suite_keeps_its_own_data_and_settings() {
        let mut state = state();
        assert_eq!(request(&state), None, "no data yet");
        let choices = &mut state.evaluate.choices;
        choices.data.insert("mmlu".into(), "/data/mmlu".into());
        choices.settings.entry("mmlu".into()).or_default().insert("shots".into(), 5.into());
        assert_eq!(request(&state), None, "of another suite");
        state.evaluate.choices.suite = "mmlu".into();
        let wanted = request(&state).unwrap();
        assert_eq!((wanted.suite.as_str(), wanted.settings["shots"].as_u64()), ("mmlu", Some(5)));
        assert!(wanted.compare);
        state.evaluate.choices.suite = "gone".into();
        assert_eq!(suite(&state).unwrap().id, "perplexity");
    }

    #[test]
    fn a_model_without_adapters_is_compared_with_nothing() {
        let mut state = state();
        state.project.config.model.path = "/models/tiny".into();
        state.evaluate.source = Tuned::base(&state);
        state.evaluate.choices.data.insert("perplexity".into(), "/data".into());
        assert!(!request(&state).unwrap().compare);
    }

    #[test]
    fn what_ended_is_the_newest_of_the_list_and_is_there_once() {
        let mut evaluate = EvaluateState::default();
        evaluate.earlier.ask(RequestId(1));
        let dir = PathBuf::from("/runs/evals");
        let reports = vec![report("/a"), report("/b")];
        evaluate.reduce(&Event::Evaluations { request: RequestId(1), dir, reports });
        evaluate.select("/b".into(), true);
        evaluate.select("/a".into(), true);
        evaluate.select("/b".into(), true);
        assert_eq!(
            evaluate.looked_at().iter().map(|it| it.dir.as_path()).collect::<Vec<_>>(),
            [Path::new("/a"), Path::new("/b")]
        );
        evaluate.work.ask(RequestId(2));
        evaluate.reduce(&Event::Evaluated { request: RequestId(2), report: Box::new(report("/b")) });
        let dirs: Vec<_> = evaluate.earlier.value.iter().flatten().map(|it| it.dir.clone()).collect();
        assert_eq!(dirs, [PathBuf::from("/b"), "/a".into()]);
    }

    #[test]
    fn stopping_is_no_error_and_the_table_so_far_goes() {
        let mut state = state();
        state.evaluate.choices.data.insert("perplexity".into(), "/data".into());
        let wanted = request(&state).unwrap();
        state.evaluate.begin(RequestId(1), wanted);
        let rows = report("/a").rows;
        state.reduce(&Event::Evaluating { request: RequestId(1), rows, done: 5, total: 10 });
        assert_eq!((state.evaluate.so_far.done, state.evaluate.so_far.rows.len()), (5, 1));
        state.evaluate.stopping = true;
        assert!(state.evaluate.fail(RequestId(1), &UserError::failure(Text::fixed("stopped", "已停止"))));
        assert!(state.evaluate.stopped && state.evaluate.work.error.is_none());
    }

    #[test]
    fn who_was_asked_is_told_by_the_run() {
        let mut one = report("/a");
        assert_eq!(who(&one), "story-2");
        one.adapters.push("/elsewhere/poems".into());
        assert_eq!(who(&one), "story-2 + poems");
        one.adapters.clear();
        assert_eq!(who(&one), "tiny");
    }
}
