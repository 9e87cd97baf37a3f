//! What is in a dataset, beyond what a verdict must know.

use std::path::PathBuf;

use protocol::{
    Analysis, AnalysisChecks, AnalysisRequest, Event, FilterRequest, RequestId, RunConfig, Text, UserError,
};

use super::{AppState, Requested};

/// Similarity from which rows are near-duplicates, until somebody says otherwise.
pub const SIMILAR: f64 = 0.8;
/// Rows of a diverse subset, until somebody says otherwise.
pub const DIVERSE: u64 = 1000;

/// What the Analysis sheet wants.
#[derive(Clone, Debug, PartialEq)]
pub enum AnalysisAction {
    Checks(Box<AnalysisChecks>),
    Filter(Box<FilterRequest>),
    Start,
    /// Asks where to, and writes the rows that are kept.
    Write,
    Stop,
}

#[derive(Debug)]
pub struct AnalysisState {
    pub checks: AnalysisChecks,
    /// What is left out of the filtered file; its place is asked for when it is written.
    pub filter: FilterRequest,
    pub work: Requested<Box<Analysis>>,
    /// What the work under way or the last one looked at.
    pub asked: Option<Box<AnalysisRequest>>,
    pub stopping: bool,
    pub stopped: bool,
}

impl Default for AnalysisState {
    fn default() -> Self {
        Self {
            checks: AnalysisChecks {
                near_duplicates: Some(SIMILAR),
                leaks: true,
                ..AnalysisChecks::default()
            },
            filter: FilterRequest {
                near_duplicates: true,
                leaks: true,
                contaminated: true,
                ..FilterRequest::default()
            },
            work: Requested::default(),
            asked: None,
            stopping: false,
            stopped: false,
        }
    }
}

impl AnalysisState {
    pub fn is_busy(&self) -> bool {
        self.work.is_pending()
    }

    /// Whether the rows or how they are read have changed since.
    pub fn is_stale(&self, config: &RunConfig) -> bool {
        let asked = self.asked.as_ref().filter(|_| self.work.value.is_some() || self.work.error.is_some());
        asked.is_some_and(|asked| {
            asked.config.data != config.data || asked.config.model.path != config.model.path
        })
    }

    pub fn reduce(&mut self, event: &Event) {
        match event {
            Event::Analyzed { request, analysis } if self.work.awaits(*request) => {
                self.work.answer(*request, analysis.clone());
                self.stopping = false;
            }
            Event::Progress { .. } => self.work.tell_progress(event),
            Event::Superseded { request } if self.work.awaits(*request) => {
                self.work.supersede(*request);
                (self.stopped, self.stopping) = (true, false);
            }
            Event::Ready { .. } | Event::Stopped => self.engine_gone(),
            _ => {}
        }
    }

    fn engine_gone(&mut self) {
        if let Some(request) = self.work.request {
            let error = UserError::failure(Text::fixed(
                "The engine ended before the analysis was done",
                "引擎在分析完成前退出",
            ));
            self.work.fail(request, &error);
        }
        self.stopping = false;
    }

    /// Whether the failed request was this one.
    pub fn fail(&mut self, request: RequestId, error: &UserError) -> bool {
        let ours = self.work.awaits(request);
        if ours && self.stopping {
            self.work.supersede(request);
            (self.stopping, self.stopped) = (false, true);
        }
        self.work.fail(request, error);
        ours
    }

    pub fn begin(&mut self, request: RequestId, wanted: AnalysisRequest) {
        self.work.error = None;
        self.work.ask(request);
        self.asked = Some(Box::new(wanted));
        (self.stopping, self.stopped) = (false, false);
    }
}

/// The analysis as it is set; with a place to write to, the rows that are kept are written there.
pub fn request(state: &AppState, out: Option<PathBuf>) -> Option<AnalysisRequest> {
    let project = &state.project;
    if project.config.data.train.is_empty() || project.config.model.path.as_os_str().is_empty() {
        return None;
    }
    let analysis = &state.data.analysis;
    Some(AnalysisRequest {
        config: Box::new(project.config.clone()),
        base: project.base.clone(),
        checks: analysis.checks.clone(),
        filter: out.map(|out| FilterRequest { out, ..able(&analysis.filter, &analysis.checks) }),
    })
}

/// A filter by what is not looked for leaves nothing out.
fn able(filter: &FilterRequest, checks: &AnalysisChecks) -> FilterRequest {
    FilterRequest {
        out: PathBuf::new(),
        near_duplicates: filter.near_duplicates && checks.near_duplicates.is_some(),
        leaks: filter.leaks && checks.leaks,
        contaminated: filter.contaminated && !checks.contamination.is_empty(),
        languages: filter.languages.clone(),
        ifd_share: filter.ifd_share.filter(|_| checks.ifd),
        diverse: filter.diverse && checks.diverse.is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> AppState {
        let mut state = AppState::default();
        state.project.config.model.path = "/models/tiny".into();
        state.project.config.data.train = vec!["a.jsonl".into()];
        state
    }

    fn found(request: u64, rows: u64) -> Event {
        let analysis = Box::new(Analysis { rows, ..Analysis::default() });
        Event::Analyzed { request: RequestId(request), analysis }
    }

    #[test]
    fn a_filter_leaves_out_only_what_is_looked_for() {
        let mut state = state();
        state.data.analysis.filter.ifd_share = Some(0.1);
        state.data.analysis.filter.diverse = true;
        assert_eq!(request(&state, None).unwrap().filter, None);
        let filter = request(&state, Some("/out.jsonl".into())).unwrap().filter.unwrap();
        assert!(filter.near_duplicates && filter.leaks && !filter.contaminated && !filter.diverse);
        assert_eq!((filter.ifd_share, filter.out), (None, "/out.jsonl".into()));
        state.data.analysis.checks.ifd = true;
        let filter = request(&state, Some("/out.jsonl".into())).unwrap().filter.unwrap();
        assert_eq!(filter.ifd_share, Some(0.1));
        state.project.config.data.train.clear();
        assert_eq!(request(&state, None), None);
    }

    #[test]
    fn results_stay_while_newer_ones_come_and_are_known_to_be_old() {
        let mut state = state();
        let wanted = request(&state, None).unwrap();
        state.data.analysis.begin(RequestId(1), wanted.clone());
        state.reduce(&found(1, 7));
        assert!(!state.data.analysis.is_stale(&state.project.config));
        state.project.config.data.train.push("b.jsonl".into());
        assert!(state.data.analysis.is_stale(&state.project.config));
        state.data.analysis.begin(RequestId(2), wanted);
        assert_eq!(state.data.analysis.work.value.as_ref().unwrap().rows, 7);
        state.reduce(&found(1, 9));
        assert!(state.data.analysis.is_busy(), "an answer to an older request");
        state.reduce(&found(2, 9));
        assert_eq!(state.data.analysis.work.value.as_ref().unwrap().rows, 9);
    }

    #[test]
    fn stopping_is_no_error() {
        let mut state = state();
        let wanted = request(&state, None).unwrap();
        state.data.analysis.begin(RequestId(1), wanted.clone());
        state.data.analysis.stopping = true;
        let error = UserError::failure(Text::fixed("stopped", "已停止"));
        assert!(state.data.fail(RequestId(1), &error));
        assert!(state.data.analysis.stopped && state.data.analysis.work.error.is_none());
        state.data.analysis.begin(RequestId(2), wanted);
        state.reduce(&Event::Superseded { request: RequestId(2) });
        assert!(state.data.analysis.stopped && !state.data.analysis.is_busy());
    }
}
