//! Talk to the result beside the original

mod answer;
mod bar;
mod composer;
mod empty;
mod raw;
mod settings;
mod turns;

use egui::{Key, Ui};
use protocol::{Sampling, Text};
use serde::{Deserialize, Serialize};

use super::{Panel, PanelCtx, PanelInfo, StepState};
use crate::action::Action;
use crate::state::AppState;
use crate::state::chat::ask::right;
use crate::state::chat::{ChatAction, Columns};
use crate::widgets::icon::Icon;
use crate::widgets::prose::Prose;
use composer::ImeGuard;

pub const PANEL: PanelInfo = PanelInfo {
    id: "chat",
    name: Text::fixed("Chat", "对话"),
    help: Text::fixed("Talk to the result beside the original", "与微调前后的模型对话"),
    icon: Icon::Chat,
    shortcut: Key::Num5,
    step: true,
    progress,
    new: || Box::new(View::default()),
};

fn progress(state: &AppState) -> StepState {
    match (state.chat.conversation.is_busy(), state.chat.tuned_was_asked) {
        (true, _) => StepState::Busy,
        (false, true) => StepState::Done,
        (false, false) => StepState::Open,
    }
}

/// What outlives the window.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Kept {
    formatted: bool,
    tinted: bool,
    settings: bool,
    columns: Columns,
    system: String,
    sampling: Option<Sampling>,
    tuned_first: bool,
}

impl Default for Kept {
    fn default() -> Self {
        Self {
            formatted: true,
            tinted: true,
            settings: false,
            columns: Columns::Both,
            system: String::new(),
            sampling: None,
            tuned_first: false,
        }
    }
}

#[derive(Default)]
struct View {
    kept: Kept,
    /// What was read from the window's file and is not yet in the state.
    restore: bool,
    draft: String,
    /// The turn whose words are being changed, and the new words.
    editing: Option<(usize, String)>,
    ime: ImeGuard,
    prose: Prose,
    heights: turns::Heights,
    raw: raw::Look,
}

impl Panel for View {
    fn ui(&mut self, ui: &mut Ui, ctx: &PanelCtx<'_>) {
        self.keep(ctx);
        self.ime.observe(ui);
        bar::ui(ui, ctx, &mut self.kept);
        if self.kept.settings {
            settings::ui(ui, ctx);
        }
        bar::heads(ui, ctx);
        egui::Panel::bottom("composer")
            .frame(egui::Frame::NONE)
            .show_separator_line(false)
            .show(ui, |ui| self.composer(ui, ctx));
        if ctx.state.chat.conversation.turns.is_empty() {
            empty::ui(ui, ctx);
        } else {
            self.turns(ui, ctx);
        }
        raw::ui(ui.ctx(), ctx, &mut self.raw);
    }

    fn save(&self) -> serde_json::Value {
        serde_json::to_value(&self.kept).unwrap_or_default()
    }

    fn load(&mut self, saved: &serde_json::Value) {
        if let Ok(kept) = serde_json::from_value(saved.clone()) {
            self.kept = kept;
            self.restore = true;
        }
    }
}

impl View {
    /// The state's settings and what the window's file keeps of them: the file's first, then the state's.
    fn keep(&mut self, ctx: &PanelCtx<'_>) {
        let chat = &ctx.state.chat;
        if std::mem::take(&mut self.restore) {
            let push = |action| ctx.push(Action::Chat(action));
            push(ChatAction::Show(self.kept.columns));
            push(ChatAction::System(self.kept.system.clone()));
            push(ChatAction::TunedFirst(self.kept.tuned_first));
            if let Some(sampling) = &self.kept.sampling {
                push(ChatAction::Sampling(Box::new(sampling.clone())));
            }
            return;
        }
        self.kept.columns = chat.columns;
        self.kept.tuned_first = chat.tuned_first;
        if self.kept.system != chat.system {
            self.kept.system.clone_from(&chat.system);
        }
        if self.kept.sampling.as_ref() != Some(&chat.sampling) {
            self.kept.sampling = Some(chat.sampling.clone());
        }
    }
}

/// Columns that are drawn: the right one also while nobody speaks there, to say what is missing.
fn columns(ctx: &PanelCtx<'_>) -> Vec<crate::state::chat::Side> {
    use crate::state::chat::Side;
    match ctx.state.chat.columns {
        Columns::Both => Side::BOTH.to_vec(),
        Columns::Base => vec![Side::Base],
        Columns::Tuned => vec![Side::Tuned],
    }
}

/// Whether somebody can answer at the right.
fn has_tuned(ctx: &PanelCtx<'_>) -> bool {
    right(ctx.state).is_some()
}

/// Whether there is a model at all.
fn has_model(ctx: &PanelCtx<'_>) -> bool {
    !ctx.state.project.config.model.path.as_os_str().is_empty() || has_tuned(ctx)
}
