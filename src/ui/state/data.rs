//! Rows as the model will see them, and the verdict on all of them.

use protocol::{Event, PreviewRow, PreviewSource, RequestId, UserError, Verdict};

use super::{Progress, Requested};

/// What the Data panel wants.
#[derive(Clone, Debug, PartialEq)]
pub enum DataAction {
    /// Show rows from this one on (0-based).
    Browse { first: u64, count: u64 },
    /// The next row after this one (1-based) that holds the text.
    Find { text: String, after: u64 },
    /// Judge the whole dataset now.
    Check,
}

/// A page of rows.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// 0-based index of the first row.
    pub first: u64,
    pub rows: Vec<PreviewRow>,
    pub source: PreviewSource,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Finds {
    pub text: String,
    pub rows: Vec<u64>,
    pub scanned: u64,
    pub complete: bool,
}

#[derive(Debug, Default)]
pub struct DataState {
    /// 0-based: which page is wanted.
    pub first: u64,
    pub count: u64,
    pub page: Requested<Page>,
    pub found: Requested<Finds>,
    /// What is looked for.
    pub sought: String,
    pub verdict: Requested<Box<Verdict>>,
    /// The verdict so far, while a check goes on.
    pub partial: Option<(Box<Verdict>, u64)>,
}

impl DataState {
    /// The newest verdict: of the check under way if it has begun to judge, else of the last one.
    pub fn newest_verdict(&self) -> Option<&Verdict> {
        self.partial.as_ref().map(|(verdict, _)| verdict.as_ref()).or(self.verdict.value.as_deref())
    }

    pub fn reduce(&mut self, event: &Event) {
        match event {
            Event::Preview { request, rows, source } => {
                let page = Page {
                    first: self.first,
                    rows: rows.clone(),
                    source: source.as_deref().cloned().unwrap_or_default(),
                };
                self.page.answer(*request, page);
            }
            Event::Found { request, rows, scanned, complete } => {
                let finds = Finds {
                    text: self.sought.clone(),
                    rows: rows.clone(),
                    scanned: *scanned,
                    complete: *complete,
                };
                self.found.answer(*request, finds);
            }
            Event::Checking { request, verdict, rows_done } if self.verdict.awaits(*request) => {
                self.partial = Some((verdict.clone(), *rows_done));
            }
            Event::Checked { request, verdict } if self.verdict.awaits(*request) => {
                self.partial = None;
                self.verdict.answer(*request, verdict.clone());
            }
            Event::Superseded { request } => {
                self.page.supersede(*request);
                self.found.supersede(*request);
                self.verdict.supersede(*request);
            }
            Event::Progress { request, stage, done, total, seconds_left } => {
                let progress = Progress {
                    stage: stage.clone(),
                    done: *done,
                    total: *total,
                    seconds_left: *seconds_left,
                };
                self.page.tell_progress(*request, &progress);
                self.found.tell_progress(*request, &progress);
                self.verdict.tell_progress(*request, &progress);
            }
            _ => {}
        }
    }

    /// Whether the failed request was one of these.
    pub fn fail(&mut self, request: RequestId, error: &UserError) -> bool {
        let ours = self.page.awaits(request) || self.found.awaits(request) || self.verdict.awaits(request);
        if self.verdict.awaits(request) {
            self.partial = None;
        }
        self.page.fail(request, error);
        self.found.fail(request, error);
        self.verdict.fail(request, error);
        ours
    }
}
