//! A dataset in another format: before and after, and the file.

use std::path::PathBuf;

use protocol::{ConvertReport, ConvertRequest, ConvertedRow, Event, RequestId, UserError};

use super::{AppState, Requested};

/// Rows that are shown.
pub const SHOWN: u64 = 20;

/// What the dialog wants.
#[derive(Clone, Debug, PartialEq)]
pub enum ConvertAction {
    Open,
    Close,
    /// Id of the format to write.
    To(String),
    /// Asks where to, and writes.
    Write,
}

#[derive(Debug, Default)]
pub struct ConvertState {
    pub open: bool,
    /// Empty: the first that can be written.
    pub to: String,
    pub preview: Requested<Vec<ConvertedRow>>,
    /// What the preview was asked for.
    pub asked: Option<ConvertRequest>,
    pub work: Requested<Box<ConvertReport>>,
}

impl ConvertState {
    pub fn reduce(&mut self, event: &Event) {
        match event {
            Event::Conversion { request, rows } => self.preview.answer(*request, rows.clone()),
            Event::Converted { request, report } => self.work.answer(*request, report.clone()),
            Event::Progress { .. } => self.work.tell_progress(event),
            Event::Superseded { request } => {
                if self.preview.awaits(*request) {
                    self.asked = None;
                }
                self.preview.supersede(*request);
                self.work.supersede(*request);
            }
            Event::Ready { .. } | Event::Stopped => {
                self.preview.clear();
                self.work.clear();
                self.asked = None;
            }
            _ => {}
        }
    }

    /// Whether the failed request was one of these.
    pub fn fail(&mut self, request: RequestId, error: &UserError) -> bool {
        let ours = self.preview.awaits(request) || self.work.awaits(request);
        self.preview.fail(request, error);
        self.work.fail(request, error);
        ours
    }
}

/// The format that is written: the chosen one, else the first that is not the file's own.
pub fn target<'a>(state: &'a AppState, from: &str) -> Option<&'a str> {
    let able = &state.engine.catalog.written_formats;
    let chosen = able.iter().find(|id| **id == state.data.convert.to);
    chosen.or_else(|| able.iter().find(|id| *id != from)).or(able.first()).map(String::as_str)
}

/// The format of the rows as they are read now: what was set, else what was found.
pub fn format_now(state: &AppState) -> String {
    let set = &state.project.config.data.format;
    let page = state.data.page.value.as_ref();
    let found = page.and_then(|page| page.source.formats.first()).map(|(_, id, _)| id);
    found.filter(|_| set == "auto").unwrap_or(set).clone()
}

/// The conversion as it is set.
pub fn request(state: &AppState) -> Option<ConvertRequest> {
    let to = target(state, &format_now(state))?.to_owned();
    let project = &state.project;
    let config = Box::new(project.config.clone());
    Some(ConvertRequest { config, base: project.base.clone(), to })
        .filter(|it| !it.config.data.train.is_empty())
}

/// `chats-alpaca.jsonl`, by the first file.
pub fn suggested(state: &AppState, to: &str) -> String {
    let first = state.project.config.data.train.first().cloned().unwrap_or_else(|| PathBuf::from("data"));
    let name = first.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let stem = name.split('.').next().filter(|stem| !stem.is_empty()).unwrap_or("data");
    format!("{stem}-{to}.jsonl")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_format_than_the_files_own_is_offered_first() {
        let mut state = AppState::default();
        state.engine.catalog.written_formats = ["messages", "alpaca"].map(String::from).to_vec();
        state.project.config.data.train = vec!["/d/chats.jsonl.gz".into()];
        state.project.config.data.format = "messages".into();
        assert_eq!(request(&state).unwrap().to, "alpaca");
        state.data.convert.to = "messages".into();
        assert_eq!(request(&state).unwrap().to, "messages");
        state.data.convert.to = "gone".into();
        assert_eq!(request(&state).unwrap().to, "alpaca");
        assert_eq!(suggested(&state, "alpaca"), "chats-alpaca.jsonl");
        state.engine.catalog.written_formats.clear();
        assert_eq!(request(&state), None);
    }
}
