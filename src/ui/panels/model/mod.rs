//! Choose the model to start from, and see what it is.

mod choose;
mod facts;
mod tree;
mod vocabulary;

use egui::{Key, ScrollArea, Ui};
use protocol::Text;

use super::{Panel, PanelCtx, PanelInfo, StepState};
use crate::state::AppState;
use crate::theme::UiTokens;
use crate::widgets::icon::Icon;
use crate::widgets::{error_whole, heading, notice, progress_line, tall_column};
use crate::words::model as words;

pub const PANEL: PanelInfo = PanelInfo {
    id: "model",
    name: Text::fixed("Model", "模型"),
    help: Text::fixed("Choose the model to start from", "选择要微调的基础模型"),
    icon: Icon::Model,
    shortcut: Key::Num1,
    step: true,
    progress,
    new: || Box::new(View::default()),
};

fn progress(state: &AppState) -> StepState {
    let model = &state.model;
    if state.project.config.model.path.as_os_str().is_empty() {
        return StepState::Open;
    }
    match (&model.error, model.is_pending(), &model.value) {
        (_, true, _) => StepState::Busy,
        (Some(_), ..) => StepState::Problem,
        _ if !state.problems_at(vocabulary::KEY).is_empty() => StepState::Problem,
        (.., Some(report)) if !report.notes.is_empty() => StepState::Warning,
        (.., Some(_)) => StepState::Done,
        (.., None) => StepState::Open,
    }
}

#[derive(Default)]
struct View {
    /// A folder or a hub's name, as far as it is written.
    typed: String,
    tree: tree::TreePart,
    overrides: facts::OverridesDraft,
    vocabulary: vocabulary::VocabularyPart,
}

impl Panel for View {
    fn ui(&mut self, ui: &mut Ui, ctx: &PanelCtx<'_>) {
        let state = ctx.state;
        if state.project.config.model.path.as_os_str().is_empty() {
            return choose::empty(ui, ctx, &mut self.typed);
        }
        if let Some(word) = protocol::RepoRef::word(&state.project.config.model.path) {
            return choose::elsewhere(ui, ctx, word);
        }
        choose::bar(ui, ctx);
        if let Some(error) = &state.model.error {
            ScrollArea::vertical().id_salt("errors").max_height(ui.available_height() * 0.6).show(ui, |ui| {
                error_whole(ui, ctx, error);
            });
        }
        if state.model.is_pending() {
            match &state.model.progress {
                Some(progress) => progress_line(ui, ctx, progress),
                None => {
                    let text = egui::RichText::new(ctx.t(&words::READING)).color(ui.tokens().text_weak);
                    ui.label(text);
                }
            }
        }
        let Some(report) = state.model.value.as_deref() else {
            // A model that cannot be read may be mended by other overrides.
            if state.model.error.is_some() {
                facts::loading(ui, ctx, &mut self.overrides);
            }
            return;
        };
        let wide = ui.available_width() > 700.0;
        if wide {
            let height = ui.available_height();
            ui.horizontal_top(|ui| {
                let facts = 374.0;
                let rest = ui.available_width() - facts - 12.0;
                tall_column(ui, facts, height, |ui| {
                    ScrollArea::vertical().id_salt("facts").auto_shrink(false).show(ui, |ui| {
                        self.left(ui, ctx, report);
                    });
                });
                ui.add_space(4.0);
                tall_column(ui, rest, height, |ui| self.tree.ui(ui, ctx, report));
            });
        } else {
            ScrollArea::vertical().id_salt("narrow").auto_shrink(false).show(ui, |ui| {
                self.left(ui, ctx, report);
                tall_column(ui, ui.available_width(), 420.0, |ui| self.tree.ui(ui, ctx, report));
            });
        }
    }
}

impl View {
    fn left(&mut self, ui: &mut Ui, ctx: &PanelCtx<'_>, report: &protocol::ModelReport) {
        for note in &report.notes {
            notice(ui, ctx, note);
        }
        facts::facts(ui, ctx, report);
        facts::loading(ui, ctx, &mut self.overrides);
        ui.add_space(4.0);
        self.vocabulary.ui(ui, ctx);
    }
}

/// The panel's title and its line.
fn title(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    heading(ui, ctx.t(&PANEL.name), ctx.t(&PANEL.help));
}
