//! Rows as the model will see them, and the verdict on all of them.

use protocol::{Event, PreviewRow, PreviewSource, RequestId, UserError, Verdict};

use super::analysis::{AnalysisAction, AnalysisState};
use super::convert::{ConvertAction, ConvertState};
use super::heat::{HeatAction, HeatState};
use super::{Progress, Requested};

/// What the Data panel wants.
#[derive(Clone, Debug, PartialEq)]
pub enum DataAction {
    /// Show rows from this one on (0-based).
    Browse {
        first: u64,
        count: u64,
    },
    /// The next row after this one (1-based) that holds the text.
    Find {
        text: String,
        after: u64,
    },
    /// Judge the whole dataset now.
    Check,
    Analysis(AnalysisAction),
    Heat(HeatAction),
    Convert(ConvertAction),
}

/// A page of rows.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Another one for every answer, so that what is drawn of a page can be kept.
    pub serial: u64,
    /// 0-based index of the first row.
    pub first: u64,
    pub rows: Vec<PreviewRow>,
    pub source: PreviewSource,
}

impl Page {
    /// A row by its 0-based index over all files.
    pub fn row(&self, index: u64) -> Option<&PreviewRow> {
        let within = usize::try_from(index.checked_sub(self.first)?).ok()?;
        self.whole_rows().nth(within)
    }

    /// How many rows are here.
    pub fn row_count(&self) -> u64 {
        self.whole_rows().count() as u64
    }

    /// The rows without the further pieces of those that were split, which follow their first one.
    fn whole_rows(&self) -> impl Iterator<Item = &PreviewRow> {
        self.rows.iter().filter(|row| row.piece.is_none_or(|piece| piece == 1))
    }
}

/// Rows that hold what was looked for (1-based, over all files).
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
    /// How far the files are counted, while the first rows of large ones are shown already.
    pub counting: Option<Progress>,
    pub found: Requested<Finds>,
    /// What is looked for, and after which row (1-based).
    pub sought: String,
    pub sought_after: u64,
    pub verdict: Requested<Box<Verdict>>,
    /// The verdict so far, while a check goes on.
    pub partial: Option<(Box<Verdict>, u64)>,
    pub analysis: AnalysisState,
    pub heat: HeatState,
    pub convert: ConvertState,
    /// The request that the page answers: it is answered again when the files are counted.
    answered: Option<RequestId>,
    pages: u64,
}

impl DataState {
    /// The newest verdict: of the check under way if it has begun to judge, else of the last one.
    pub fn newest_verdict(&self) -> Option<&Verdict> {
        self.partial.as_ref().map(|(verdict, _)| verdict.as_ref()).or(self.verdict.value.as_deref())
    }

    pub fn reduce(&mut self, event: &Event) {
        self.analysis.reduce(event);
        self.heat.reduce(event);
        self.convert.reduce(event);
        match event {
            Event::Preview { request, rows, source } => self.preview(*request, rows, source.as_deref()),
            Event::Found { request, rows, scanned, complete } if self.found.awaits(*request) => {
                let before = self.found.value.take().filter(|finds| {
                    self.sought_after > 0 && finds.text == self.sought && finds.scanned == self.sought_after
                });
                let mut all = before.map(|finds| finds.rows).unwrap_or_default();
                all.extend(rows);
                let (text, scanned, complete) = (self.sought.clone(), *scanned, *complete);
                self.found.answer(*request, Finds { text, rows: all, scanned, complete });
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
            Event::Progress { request, .. } => {
                self.page.tell_progress(event);
                self.found.tell_progress(event);
                self.verdict.tell_progress(event);
                if self.again(*request) {
                    self.counting = Progress::of(event, *request);
                }
            }
            _ => {}
        }
    }

    /// The rows of a large file come before it is counted, and once more with the total.
    fn preview(&mut self, request: RequestId, rows: &[PreviewRow], source: Option<&PreviewSource>) {
        if self.again(request) {
            self.page.ask(request);
        }
        if !self.page.awaits(request) {
            return;
        }
        self.pages += 1;
        self.answered = Some(request);
        self.counting = None;
        let source = source.cloned().unwrap_or_default();
        let page = Page { serial: self.pages, first: self.first, rows: rows.to_vec(), source };
        self.page.answer(request, page);
    }

    /// Whether this request was answered, and nothing was asked since.
    fn again(&self, request: RequestId) -> bool {
        !self.page.is_pending() && self.answered == Some(request)
    }

    /// Whether the failed request was one of these.
    pub fn fail(&mut self, request: RequestId, error: &UserError) -> bool {
        if self.again(request) {
            self.page.ask(request);
            self.counting = None;
        }
        let ours = self.page.awaits(request) || self.found.awaits(request) || self.verdict.awaits(request);
        if self.verdict.awaits(request) {
            self.partial = None;
        }
        self.page.fail(request, error);
        self.found.fail(request, error);
        self.verdict.fail(request, error);
        ours || self.analysis.fail(request, error)
            || self.heat.fail(request, error)
            || self.convert.fail(request, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn preview(request: u64, row: u64) -> Event {
        let row = PreviewRow {
            piece: None,
            pieces: None,
            notes: Vec::new(),
            row,
            file: "a.jsonl".into(),
            rendered: String::new(),
            ids: Vec::new(),
            tokens: Vec::new(),
            offsets: Vec::new(),
            loss_mask: Vec::new(),
            roles: Vec::new(),
            truncated_from: None,
            error: None,
            fields: Vec::new(),
        };
        let source = PreviewSource { total: (row.row > 1).then_some(9), ..PreviewSource::default() };
        Event::Preview { request: RequestId(request), rows: vec![row], source: Some(Box::new(source)) }
    }

    #[test]
    fn a_page_comes_again_when_the_file_is_counted_and_never_out_of_turn() {
        let mut data = DataState::default();
        data.page.ask(RequestId(1));
        data.reduce(&preview(1, 1));
        assert_eq!(data.page.value.as_ref().unwrap().source.total, None);
        data.reduce(&preview(1, 2));
        let page = data.page.value.as_ref().unwrap();
        assert_eq!((page.source.total, page.serial), (Some(9), 2));
        data.page.ask(RequestId(2));
        data.reduce(&preview(1, 3));
        assert_eq!(data.page.value.as_ref().unwrap().serial, 2);
        assert!(data.page.is_pending());
    }

    #[test]
    fn the_pieces_of_a_row_are_one_row() {
        let Event::Preview { rows, .. } = preview(1, 1) else { unreachable!() };
        let piece = |row: u64, piece: Option<u64>| PreviewRow {
            row,
            piece,
            pieces: piece.map(|_| 2),
            ..rows[0].clone()
        };
        let rows = vec![piece(4, None), piece(5, Some(1)), piece(5, Some(2)), piece(6, None)];
        let page = Page { first: 3, rows, ..Page::default() };
        let found: Vec<_> = (2..7).map(|index| page.row(index).map(|row| (row.row, row.piece))).collect();
        assert_eq!(found, [None, Some((4, None)), Some((5, Some(1))), Some((6, None)), None]);
        assert_eq!(page.row_count(), 3);
    }

    #[test]
    fn going_on_with_a_search_keeps_what_was_found() {
        let mut data = DataState::default();
        let found = |request, rows: &[u64], scanned| Event::Found {
            request: RequestId(request),
            rows: rows.to_vec(),
            scanned,
            complete: false,
        };
        data.sought = "a".into();
        data.found.ask(RequestId(1));
        data.reduce(&found(1, &[3, 5], 10));
        data.sought_after = 10;
        data.found.ask(RequestId(2));
        data.reduce(&found(2, &[12], 20));
        assert_eq!(data.found.value.as_ref().unwrap().rows, [3, 5, 12]);
        data.sought_after = 0;
        data.found.ask(RequestId(3));
        data.reduce(&found(3, &[7], 20));
        assert_eq!(data.found.value.as_ref().unwrap().rows, [7]);
    }
}
