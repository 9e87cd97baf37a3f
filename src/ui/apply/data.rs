//! Requests of the Data panel.

use protocol::{Command, Wish};

use super::Apply;
use crate::state::data::DataAction;

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
}
