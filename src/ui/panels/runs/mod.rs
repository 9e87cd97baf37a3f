//! Runs: what was trained before, and what one can still do with it.

mod detail;
mod list;
mod order;

use std::path::PathBuf;

use egui::{Key, RichText, TextEdit, Ui};
use protocol::Text;
use serde::{Deserialize, Serialize};

use super::{Panel, PanelCtx, PanelInfo, StepState};
use crate::action::Action;
use crate::desktop::{DesktopRequest, Purpose};
use crate::state::AppState;
use crate::state::runs::RunsAction;
use crate::theme::UiTokens;
use crate::widgets::icon::Icon;
use crate::widgets::{button, empty_state, error_box, icon_button};
use crate::words::runs as words;
use order::Column;

pub const PANEL: PanelInfo = PanelInfo {
    id: "runs",
    name: Text::fixed("Runs", "历史"),
    help: Text::fixed("Earlier runs: resume, compare, delete", "历史训练：恢复、比较、删除"),
    icon: Icon::Runs,
    shortcut: Key::Num9,
    step: false,
    progress,
    new: || Box::new(View::default()),
};

fn progress(_state: &AppState) -> StepState {
    StepState::Open
}

/// What of its looks the panel keeps.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default)]
struct Kept {
    column: Column,
    /// The least first.
    ascending: bool,
    /// Run folders from elsewhere.
    imported: Vec<PathBuf>,
}

impl Default for Kept {
    fn default() -> Self {
        Self { column: Column::Started, ascending: false, imported: Vec::new() }
    }
}

#[derive(Default)]
struct View {
    kept: Kept,
    query: String,
    selected: Option<PathBuf>,
    /// What was kept of an earlier window was asked for.
    restored: bool,
}

/// Height of what is known of the chosen run.
const DETAIL: f32 = 250.0;

impl Panel for View {
    fn ui(&mut self, ui: &mut Ui, ctx: &PanelCtx<'_>) {
        self.restore(ctx);
        self.bar(ui, ctx);
        let runs = &ctx.state.runs;
        if let Some(error) = &runs.list.error {
            error_box(ui, ctx, error);
        }
        if runs.runs.is_empty() {
            return nothing(ui, ctx);
        }
        let rows = order::rows(&runs.runs, &self.query, self.kept.column, self.kept.ascending);
        let selected = self.selected.as_ref().and_then(|dir| runs.find(dir));
        let needed = 44.0 + list::ROW_PITCH * rows.len() as f32;
        let height = (ui.available_height() - DETAIL - 12.0).min(needed).max(150.0);
        ui.allocate_ui(egui::vec2(ui.available_width(), height), |ui| {
            ui.set_min_height(height);
            if rows.is_empty() {
                ui.label(RichText::new(ctx.t(&words::NO_MATCH)).color(ui.tokens().text_weak));
            } else if let Some(dir) = list::ui(ui, ctx, &rows, &mut self.kept, self.selected.as_ref()) {
                self.selected = Some(dir);
            }
        });
        match selected {
            Some(run) => detail::ui(ui, ctx, run),
            None => {
                ui.label(RichText::new(ctx.t(&words::PICK)).color(ui.tokens().text_weak));
            }
        }
    }

    fn save(&self) -> serde_json::Value {
        serde_json::to_value(&self.kept).unwrap_or_default()
    }

    fn load(&mut self, saved: &serde_json::Value) {
        self.kept = serde_json::from_value(saved.clone()).unwrap_or_default();
    }
}

impl View {
    /// Runs from elsewhere are shown again, and remembered.
    fn restore(&mut self, ctx: &PanelCtx<'_>) {
        if !self.restored && ctx.state.engine.is_ready() {
            self.restored = true;
            for dir in &self.kept.imported {
                ctx.push(Action::Runs(RunsAction::Import(dir.clone())));
            }
        } else if self.restored && ctx.state.runs.reading.is_empty() {
            self.kept.imported.clone_from(&ctx.state.runs.imported);
        }
    }

    fn bar(&mut self, ui: &mut Ui, ctx: &PanelCtx<'_>) {
        ui.horizontal_wrapped(|ui| {
            let search = TextEdit::singleline(&mut self.query)
                .hint_text(ctx.t(&words::SEARCH_HINT))
                .desired_width(240.0)
                .margin(egui::vec2(8.0, 5.0));
            let label = ui.label(RichText::new(ctx.t(&words::SEARCH)).color(ui.tokens().text_weak));
            ui.add(search).labelled_by(label.id);
            if icon_button(ui, Icon::Refresh, ctx.t(&words::REFRESH)).clicked() {
                ctx.push(Action::Runs(RunsAction::Refresh));
            }
            let import = button(ui, Some(Icon::FolderOpen), ctx.t(&words::IMPORT));
            if import.on_hover_text(ctx.t(&words::IMPORT_HELP)).clicked() {
                let start = ctx.state.runs.dir.clone();
                let purpose = Purpose::ImportRun;
                ctx.push(Action::Desktop(DesktopRequest::PickFolder { purpose, start }));
            }
            if ctx.state.runs.list.is_pending() {
                ui.spinner();
            }
        });
        ui.add_space(4.0);
    }
}

fn nothing(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    let reading = ctx.state.runs.dir.is_none() && ctx.state.runs.list.is_pending();
    if reading {
        ui.label(RichText::new(ctx.t(&words::READING)).color(ui.tokens().text_weak));
        return;
    }
    empty_state(ui, Icon::Runs, ctx.t(&words::NONE_TITLE), ctx.t(&words::NONE_HELP), |ui| {
        if button(ui, Some(Icon::Train), ctx.t(&words::GO_TRAIN)).clicked() {
            ctx.push(Action::Open(super::train::PANEL.panel_id()));
        }
    });
}
