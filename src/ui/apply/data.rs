//! Requests of the Data panel.

use std::path::PathBuf;

use protocol::{Command, Wish};

use super::Apply;
use crate::desktop::{DesktopRequest, Purpose};
use crate::state::analysis::{self, AnalysisAction};
use crate::state::convert::{self, ConvertAction};
use crate::state::data::DataAction;
use crate::state::heat::{self, HeatAction};
use crate::state::tuned::Tuned;

/// How many rows a search looks for at once.
const FOUND_AT_ONCE: u64 = 200;

impl Apply<'_> {
    pub(super) fn data(&mut self, action: DataAction) {
        match action {
            DataAction::Browse { first, count } => {
                self.state.data.first = first;
                self.state.data.count = count;
                self.preview();
            }
            DataAction::Find { text, after } => self.find(text, after),
            DataAction::Check => self.check(),
            DataAction::Analysis(action) => self.analysis(action),
            DataAction::Heat(action) => self.heat(action),
            DataAction::Convert(action) => self.convert(action),
        }
    }

    /// Asks for the page that is wanted.
    pub(crate) fn preview(&mut self) {
        let request = self.state.next_request();
        let project = &self.state.project;
        let command = Command::Preview {
            request,
            config: Box::new(project.config.clone()),
            base: project.base.clone(),
            first: self.state.data.first,
            count: self.state.data.count.max(1),
        };
        self.state.data.page.ask(request);
        self.engine.send(command);
    }

    fn find(&mut self, text: String, after: u64) {
        let request = self.state.next_request();
        let project = &self.state.project;
        let command = Command::Find {
            request,
            config: Box::new(project.config.clone()),
            base: project.base.clone(),
            text: text.clone(),
            after,
            limit: FOUND_AT_ONCE,
        };
        self.state.data.sought = text;
        self.state.data.sought_after = after;
        self.state.data.found.ask(request);
        self.engine.send(command);
    }

    /// Judges the whole dataset; a check under way is void, the rows that were asked for are not.
    pub(crate) fn check(&mut self) {
        let request = self.state.next_request();
        let project = &self.state.project;
        let command =
            Command::Check { request, config: Box::new(project.config.clone()), base: project.base.clone() };
        if let Some(older) = self.state.data.verdict.request {
            self.engine.wish(Wish::Supersede(protocol::RequestId(older.0 + 1)));
        }
        self.state.data.partial = None;
        self.state.data.verdict.ask(request);
        self.engine.send(command);
    }

    fn analysis(&mut self, action: AnalysisAction) {
        match action {
            AnalysisAction::Checks(checks) => self.state.data.analysis.checks = *checks,
            AnalysisAction::Filter(filter) => self.state.data.analysis.filter = *filter,
            AnalysisAction::Start => self.analyze(None),
            AnalysisAction::Write => {
                let suggested = format!("{}-filtered.jsonl", self.state.project.file_name());
                let purpose = Purpose::FilteredFile;
                self.ask_desktop(DesktopRequest::PickSave { purpose, suggested });
            }
            AnalysisAction::Stop => self.stop_analysis(),
        }
    }

    fn analyze(&mut self, out: Option<PathBuf>) {
        let Some(wanted) = analysis::request(self.state, out) else { return };
        if self.state.data.analysis.is_busy() || (wanted.checks.ask_the_model() && self.state.is_at_work()) {
            return;
        }
        let request = self.state.next_request();
        self.state.data.analysis.begin(request, wanted.clone());
        self.engine.send(Command::Analyze { request, analysis: Box::new(wanted) });
    }

    /// Ends the analysis and nothing else that is under way.
    fn stop_analysis(&mut self) {
        if let Some(request) = self.state.data.analysis.work.request {
            self.state.data.analysis.stopping = true;
            self.engine.wish(Wish::Cancel(request));
        }
    }

    fn heat(&mut self, action: HeatAction) {
        match action {
            HeatAction::Show(on) => self.state.data.heat.on = on,
            HeatAction::Use(source) => self.state.data.heat.source = source.map(|source| *source),
            HeatAction::Ask(row) => {
                if let Some(command) = heat::ask(self.state, row) {
                    self.engine.send(command);
                }
            }
        }
    }

    fn convert(&mut self, action: ConvertAction) {
        match action {
            ConvertAction::Open => self.state.data.convert.open = true,
            ConvertAction::Close => {
                self.state.data.convert.open = false;
                self.state.data.convert.work.error = None;
            }
            ConvertAction::To(to) => self.state.data.convert.to = to,
            ConvertAction::Write => {
                if let Some(wanted) = convert::request(self.state) {
                    let suggested = convert::suggested(self.state, &wanted.to);
                    let purpose = Purpose::ConvertedFile;
                    self.ask_desktop(DesktopRequest::PickSave { purpose, suggested });
                }
            }
        }
    }

    /// Rows before and after, whenever the dialog is open and what it shows would change.
    pub(crate) fn convert_follow(&mut self) {
        let Some(wanted) = convert::request(self.state).filter(|_| self.state.data.convert.open) else {
            return;
        };
        if self.state.data.convert.asked.as_ref() == Some(&wanted) {
            return;
        }
        let request = self.state.next_request();
        let convert = &mut self.state.data.convert;
        convert.asked = Some(wanted.clone());
        convert.preview.ask(request);
        let (convert, count) = (Box::new(wanted), convert::SHOWN);
        self.engine.send(Command::PreviewConversion { request, convert, first: 0, count });
    }

    fn write_converted(&mut self, out: PathBuf) {
        let Some(wanted) = convert::request(self.state) else { return };
        let request = self.state.next_request();
        self.state.data.convert.work.ask(request);
        self.engine.send(Command::Convert { request, convert: Box::new(wanted), out });
    }

    /// Paths were chosen for one of the panel's sheets.
    pub(super) fn data_picked(&mut self, purpose: Purpose, paths: Vec<PathBuf>) {
        let Some(first) = paths.first().cloned() else { return };
        match purpose {
            Purpose::FilteredFile => self.analyze(Some(first)),
            Purpose::ConvertedFile => self.write_converted(first),
            Purpose::HeatAdapter => self.state.data.heat.source = Some(Tuned::folder(first)),
            _ => {
                let sets = &mut self.state.data.analysis.checks.contamination;
                let new = paths.into_iter().filter(|path| !sets.contains(path));
                let new: Vec<_> = new.collect();
                sets.extend(new);
            }
        }
    }
}
