//! The panels. One file (or folder) a panel, and a word in `panels!`.

mod left;

use std::borrow::Cow;

use egui::{Key, Ui};
use protocol::{Language, Text};
use serde::{Deserialize, Serialize};

use crate::action::{Action, Actions};
use crate::state::AppState;
use crate::widgets::icon::Icon;

/// The id of a panel: its file's name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PanelId(pub Cow<'static, str>);

impl PanelId {
    pub const fn new(id: &'static str) -> Self {
        Self(Cow::Borrowed(id))
    }

    /// None for the id of a panel that this version does not have.
    pub fn info(&self) -> Option<&'static PanelInfo> {
        PANELS.iter().copied().find(|panel| panel.id == self.0)
    }
}

/// What a panel says of itself.
pub struct PanelInfo {
    pub id: &'static str,
    pub name: Text,
    /// One line: what one does here.
    pub help: Text,
    pub icon: Icon,
    /// With Ctrl or ⌘.
    pub shortcut: Key,
    /// Whether it is a step of the way through; the others lie below.
    pub step: bool,
    /// How far this step is.
    pub progress: fn(&AppState) -> StepState,
    pub new: fn() -> Box<dyn Panel>,
}

impl PanelInfo {
    pub const fn panel_id(&self) -> PanelId {
        PanelId::new(self.id)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepState {
    /// Nothing here yet.
    Open,
    /// At work.
    Busy,
    Done,
    /// It can go on, but somebody should look.
    Warning,
    /// The run cannot start because of this.
    Problem,
}

/// A panel: draws the state, pushes actions, and keeps only what concerns its own looks.
pub trait Panel {
    fn ui(&mut self, ui: &mut Ui, ctx: &PanelCtx<'_>);

    /// What of its looks outlives the window (smoothing, columns, …).
    fn save(&self) -> serde_json::Value {
        serde_json::Value::Null
    }

    /// Takes back what `save` gave, perhaps of an older version.
    fn load(&mut self, _saved: &serde_json::Value) {}
}

/// What a panel sees. All shared: a panel has nothing to mutate.
pub struct PanelCtx<'a> {
    pub state: &'a AppState,
    pub language: Language,
    pub actions: &'a Actions,
}

impl<'a> PanelCtx<'a> {
    /// A text in the user's language.
    pub fn t<'t>(&self, text: &'t Text) -> &'t str {
        text.get(self.language)
    }

    pub fn push(&self, action: Action) {
        self.actions.push(action);
    }

    /// Pushes new settings if `edited` differs from the current ones.
    pub fn edit(&self, edited: protocol::RunConfig) {
        if edited != self.state.project.config {
            self.push(Action::Edit(Box::new(edited)));
        }
    }
}

macro_rules! panels {
    ($($name:ident),* $(,)?) => {
        $(pub mod $name;)*
        /// Every panel, in the order of the navigation.
        pub const PANELS: &[&PanelInfo] = &[$(&$name::PANEL),*];
    };
}

panels! { model, data, method, train, chat, export, predict, evaluate, runs, settings }
