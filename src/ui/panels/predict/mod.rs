//! An answer for each row of a file: what is asked, what the model will see, and the table filling in.

mod detail;
mod form;
mod output;
mod plan;
mod results;
mod scores;
mod table;

use egui::{Align, Key, Layout, ScrollArea, Ui};
use protocol::Text;

use super::left::Left;
use super::{Panel, PanelCtx, PanelInfo, StepState};
use crate::action::Action;
use crate::desktop::{DesktopRequest, Purpose};
use crate::state::AppState;
use crate::state::predict::{PredictAction, PredictChoices};
use crate::state::tuned::Tuned;
use crate::widgets::icon::Icon;
use crate::widgets::{WIDE, button, empty_state, form_beside, primary_button, start_below, title};
use crate::words::predict as words;

pub const PANEL: PanelInfo = PanelInfo {
    id: "predict",
    name: Text::fixed("Predict", "预测"),
    help: Text::fixed("Answer every row of a file", "为文件的每一行生成回答"),
    icon: Icon::Table,
    shortcut: Key::Num7,
    step: false,
    progress,
    new: || Box::new(View::default()),
};

fn progress(state: &AppState) -> StepState {
    let work = &state.predict.work;
    match (&work.request, &work.error, &work.value) {
        (Some(_), ..) => StepState::Busy,
        (None, Some(_), _) => StepState::Problem,
        (None, None, Some(report)) if report.complete && report.failed == 0 => StepState::Done,
        (None, None, Some(_)) => StepState::Warning,
        (None, None, None) => StepState::Open,
    }
}

/// Width of the form beside the first prompts.
const FORM: f32 = 392.0;

#[derive(Default)]
struct View {
    left: Left<PredictChoices>,
    table: table::Table,
}

impl Panel for View {
    fn ui(&mut self, ui: &mut Ui, ctx: &PanelCtx<'_>) {
        if let Some(choices) = self.left.take_up(&ctx.state.predict.choices) {
            ctx.push(Action::Predict(PredictAction::Choose(Box::new(choices))));
        }
        ui.horizontal(|ui| {
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                again(ui, ctx);
                ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                    title(ui, ctx.t(&PANEL.name), ctx.t(&PANEL.help));
                });
            });
        });
        ui.add_space(4.0);
        let predict = &ctx.state.predict;
        if predict.has_begun() || predict.work.error.is_some() {
            return results::ui(ui, ctx, &mut self.table);
        }
        self.table = table::Table::default();
        if Tuned::or_newest(predict.source.as_ref(), ctx.state).is_none() {
            return nobody(ui, ctx);
        }
        if predict.choices.input.as_os_str().is_empty() {
            return no_file(ui, ctx);
        }
        setup(ui, ctx);
    }

    fn save(&self) -> serde_json::Value {
        serde_json::to_value(&self.left).unwrap_or_default()
    }

    fn load(&mut self, saved: &serde_json::Value) {
        self.left = serde_json::from_value(saved.clone()).unwrap_or_default();
    }
}

/// The way to another prediction, where one has ended.
fn again(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    let predict = &ctx.state.predict;
    let ended = predict.has_begun() || predict.work.error.is_some();
    if ended && !predict.is_busy() && button(ui, Some(Icon::Plus), ctx.t(&words::ANOTHER)).clicked() {
        ctx.push(Action::Predict(PredictAction::Dismiss));
    }
}

fn setup(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    if ui.available_width() < WIDE {
        start_below(ui, "predict-form", |ui| form::start(ui, ctx));
        ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
            form::ui(ui, ctx);
            ui.add_space(8.0);
            plan::ui(ui, ctx);
        });
        return;
    }
    let width = FORM.max(ui.available_width() * 0.3).min(520.0);
    form_beside(ui, "predict-form", width, |ui| form::start(ui, ctx), |ui| form::ui(ui, ctx));
    ScrollArea::vertical().id_salt("plan").auto_shrink(false).show(ui, |ui| plan::ui(ui, ctx));
}

fn nobody(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    empty_state(ui, Icon::Table, ctx.t(&words::NO_MODEL_TITLE), ctx.t(&words::NO_MODEL_HELP), |ui| {
        if primary_button(ui, Some(Icon::FolderOpen), ctx.t(&words::TO_MODEL), true).clicked() {
            ctx.push(Action::Open(super::model::PANEL.panel_id()));
        }
    });
}

fn no_file(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    empty_state(ui, Icon::Table, ctx.t(&words::NO_FILE_TITLE), ctx.t(&words::NO_FILE_HELP), |ui| {
        if primary_button(ui, Some(Icon::FilePlus), ctx.t(&words::CHOOSE_FILE), true).clicked() {
            pick_input(ctx);
        }
    });
}

fn pick_input(ctx: &PanelCtx<'_>) {
    let extensions = crate::apply::DATA_EXTENSIONS.iter().map(|it| (*it).to_owned()).collect();
    let purpose = Purpose::PredictInput;
    ctx.push(Action::Desktop(DesktopRequest::PickFiles { purpose, extensions, many: false }));
}

#[cfg(test)]
mod tests {
    use protocol::{Event, PredictReport, RequestId, UserError};

    use super::*;

    #[test]
    fn the_mark_says_how_the_prediction_stands() {
        let mut state = AppState::default();
        assert_eq!(progress(&state), StepState::Open);
        for (failed, complete, step) in
            [(0, true, StepState::Done), (2, true, StepState::Warning), (0, false, StepState::Warning)]
        {
            state.predict.work.ask(RequestId(1));
            assert_eq!(progress(&state), StepState::Busy);
            let report = PredictReport {
                output: "/o.csv".into(),
                rows: 5,
                resumed: 0,
                failed,
                seconds: 1.0,
                tokens: 1,
                scores: Vec::new(),
                confusion: None,
                notes: Vec::new(),
                complete,
            };
            state.reduce(&Event::PredictionEnded { request: RequestId(1), report: Box::new(report) });
            assert_eq!(progress(&state), step);
        }
        state.predict.work.ask(RequestId(2));
        let error = Box::new(UserError::failure(Text::fixed("no", "不行")));
        state.reduce(&Event::Failed { request: Some(RequestId(2)), error });
        assert_eq!(progress(&state), StepState::Problem);
    }
}
