//! What panels push and the end of the frame applies.

use std::cell::RefCell;
use std::path::PathBuf;

use protocol::{Remedy, RunConfig, Wish};

use crate::command::UiCommand;
use crate::desktop::DesktopRequest;
use crate::hosting::Hosting;
use crate::panels::PanelId;
use crate::persisted::Preferences;
use crate::state::{
    browse::BrowseAction, chat::ChatAction, data::DataAction, evaluate::EvaluateAction, export::ExportAction,
    handoff::HandoffAction, hub::HubAction, predict::PredictAction, runs::RunsAction, train::TrainAction,
};

/// A change that a panel wants. Nothing else changes the window's state or reaches the engine.
#[must_use = "an action does nothing until it is pushed"]
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// New settings; can be undone.
    Edit(Box<RunConfig>),
    /// The change a finding or an error offers; can be undone.
    Mend(Remedy),
    Open(PanelId),
    Command(UiCommand),
    Preferences(Box<Preferences>),
    Wish(Wish),
    Data(DataAction),
    Train(TrainAction),
    Chat(ChatAction),
    Export(ExportAction),
    Handoff(HandoffAction),
    Predict(PredictAction),
    Evaluate(EvaluateAction),
    Runs(RunsAction),
    Hub(HubAction),
    Desktop(DesktopRequest),
    Browse(BrowseAction),
    /// Goes over to an engine elsewhere; a run under way goes on without the window, or stops in good order.
    Host {
        hosting: Hosting,
        keep_running: bool,
    },
    /// Opens a run file as the project.
    OpenProject(PathBuf),
    Toast(crate::state::toasts::Toast),
    DismissToast(u64),
    /// Closes the window; a run under way goes on without it, or stops in good order.
    Close {
        keep_running: bool,
    },
    /// Asks before something that cannot be taken back.
    Ask(Box<crate::state::question::Question>),
    /// Answers an open question (see [`crate::state::question`]).
    Answer(Option<usize>),
}

/// Where panels put their actions; read at the end of the frame.
#[derive(Debug, Default)]
pub struct Actions(RefCell<Vec<Action>>);

impl Actions {
    pub fn push(&self, action: Action) {
        self.0.borrow_mut().push(action);
    }

    pub fn take(&self) -> Vec<Action> {
        self.0.take()
    }
}
