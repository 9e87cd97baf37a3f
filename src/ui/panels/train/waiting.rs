//! Before the first run: what will happen, and the button that begins it.

use egui::{RichText, Ui};
use protocol::Text;
use protocol::config::Validation;

use crate::action::Action;
use crate::frame::summary::obstacle;
use crate::panels::PanelCtx;
use crate::state::train::TrainAction;
use crate::theme::UiTokens;
use crate::widgets::{Icon, button, empty_state, number, primary_button};
use crate::words::train as words;

pub fn ui(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    empty_state(ui, Icon::Train, ctx.t(&words::WAITING_TITLE), ctx.t(&super::PANEL.help), |ui| {
        let obstacle = obstacle(ctx);
        let tokens = ui.tokens();
        match &obstacle {
            None => {
                for line in plan(ctx) {
                    ui.label(RichText::new(ctx.t(&line)).color(tokens.text_weak));
                }
            }
            Some(obstacle) => {
                let text = RichText::new(ctx.t(&obstacle.text)).color(tokens.warning);
                ui.add(egui::Label::new(text).wrap());
            }
        }
        ui.add_space(10.0);
        match obstacle {
            None => {
                if primary_button(ui, Some(Icon::Play), ctx.t(&words::START), true).clicked() {
                    ctx.push(Action::Train(TrainAction::Start));
                }
                ui.add_space(4.0);
                super::handoff::opener(ui, ctx);
            }
            Some(obstacle) => {
                if button(ui, Some(Icon::ArrowRight), ctx.t(&words::LOOK)).clicked() {
                    ctx.push(Action::Open(obstacle.panel));
                }
                ui.add_space(4.0);
                super::handoff::opener(ui, ctx);
            }
        }
    });
}

/// What a start does, a line each.
fn plan(ctx: &PanelCtx<'_>) -> Vec<Text> {
    let state = ctx.state;
    let config = &state.project.config;
    let mut lines = Vec::new();
    let model = config.model.path.file_name().map(|name| name.to_string_lossy().into_owned());
    let model = model.unwrap_or_default();
    if let Some(verdict) = &state.data.verdict.value {
        let (rows, steps) = (number::count(verdict.usable_rows), number::count(verdict.steps));
        lines.push(protocol::text!(
            "{model} learns from {rows} rows in {steps} steps",
            "{model} 将从 {rows} 行数据中学习，共 {steps} 步"
        ));
    } else if !model.is_empty() {
        lines.push(protocol::text!("{model} learns from your data", "{model} 将从你的数据中学习"));
    }
    let validated = match &config.data.validation {
        Validation::Fraction(part) => *part > 0.0,
        Validation::Files(files) => !files.is_empty(),
    };
    let (eval, save) = (config.train.eval_every, config.train.save_every);
    if validated && eval > 0 {
        lines.push(protocol::text!(
            "Every {eval} steps it is measured on rows it does not learn from",
            "每 {eval} 步用不参与学习的数据评估一次"
        ));
    }
    lines.push(match save {
        0 => Text::fixed("A checkpoint is kept at the end", "结束时保存检查点"),
        _ => protocol::text!(
            "Every {save} steps a checkpoint is kept, so that nothing is lost",
            "每 {save} 步保存一个检查点，进度不会丢失"
        ),
    });
    let dir = state.runs.new_run_dir(&state.project.name);
    let dir = dir.display();
    lines.push(protocol::text!("Everything goes to {dir}", "全部写入 {dir}"));
    lines
}
