//! The summary at the right: the run as configured, the data's verdict, the memory forecast, and the one big button.
//! What the button says is what will happen; if it cannot, it says why, with the mend.

use egui::{Align, Layout, RichText, ScrollArea, Ui};
use protocol::{RepoKind, Severity, Text, UserError, text};

use super::forecast;
use crate::action::Action;
use crate::command::UiCommand;
use crate::panels::{PanelCtx, PanelId, PanelInfo};
use crate::state::problems::concerns;
use crate::state::train::{RunPhase, TrainAction};
use crate::theme::{Tokens, UiTokens};
use crate::widgets::error::{error_box, notice, remedies};
use crate::widgets::{Icon, card, icon_button, number, primary_button, progress_line, section};
use crate::words::frame as words;

pub const WIDTH: f32 = 268.0;

pub fn ui(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    let frame = egui::Frame::new().inner_margin(egui::Margin { top: 8, bottom: 10, ..egui::Margin::ZERO });
    egui::Panel::bottom("big-button").show_separator_line(false).resizable(false).frame(frame).show(
        ui,
        |ui| {
            big_button(ui, ctx);
        },
    );
    ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
        ui.add_space(10.0);
        this_run(ui, ctx);
        forecast::ui(ui, ctx);
        verdict(ui, ctx);
    });
}

fn this_run(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    ui.horizontal(|ui| {
        section(ui, ctx.t(&words::THIS_RUN));
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if icon_button(ui, Icon::ChevronRight, ctx.t(&words::SKIP)).clicked() {
                ctx.push(Action::Command(UiCommand::ToggleSummary));
            }
        });
    });
    card(ui, |ui| {
        ui.spacing_mut().item_spacing.y = 4.0;
        for line in lines(ctx) {
            ui.add(egui::Label::new(RichText::new(line).color(ui.tokens().text)).wrap());
        }
    });
    ui.add_space(4.0);
}

/// Model, method, length: a line each.
fn lines(ctx: &PanelCtx<'_>) -> Vec<String> {
    let config = &ctx.state.project.config;
    let mut lines = Vec::new();
    let model = config.model.path.file_name().map(|name| name.to_string_lossy().into_owned());
    if let Some(model) = model.filter(|name| !name.is_empty()) {
        let size = ctx.state.model.value.as_ref().map(|model| number::short(model.parameters));
        lines.push(
            [Some(model), size, Some(config.model.dtype.clone())]
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
                .join(" · "),
        );
    }
    let method = ctx.state.engine.catalog.methods.iter().find(|method| method.id == config.method.kind);
    let mut line = method.map_or_else(|| config.method.kind.clone(), |method| ctx.t(&method.name).to_owned());
    if let Some(estimate) = &ctx.state.estimate.value {
        if let Some(target) = estimate.targets.first().filter(|target| target.rank > 0) {
            line += &format!(" r{} α{}", target.rank, target.alpha);
        }
        line += &format!(" · {}", number::short(estimate.trainable));
    }
    lines.push(line);
    let steps = ctx.state.data.verdict.value.as_ref().map(|verdict| verdict.steps).filter(|steps| *steps > 0);
    let epochs = config.train.epochs;
    let length = match config.train.max_steps {
        0 => protocol::text!("{epochs} epochs", "{epochs} 轮"),
        steps => protocol::text!("at most {steps} steps", "最多 {steps} 步"),
    };
    let mut line = ctx.t(&length).to_owned();
    if let Some(steps) = steps {
        let steps = number::count(steps);
        line += &format!(" · {}", ctx.t(&protocol::text!("{steps} steps", "{steps} 步")));
    }
    lines.push(line);
    let rows = config.train.batch_size * config.train.gradient_accumulation.max(1);
    let rate = number::scientific(config.train.learning_rate);
    lines.push(
        ctx.t(&protocol::text!("{rows} rows a step · rate {rate}", "每步 {rows} 行 · 学习率 {rate}"))
            .to_owned(),
    );
    lines
}

fn verdict(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    let data = &ctx.state.data;
    if data.verdict.value.is_none() && data.verdict.error.is_none() && !data.verdict.is_pending() {
        return;
    }
    section(ui, ctx.t(&words::VERDICT));
    if let Some(error) = &data.verdict.error {
        error_box(ui, ctx, error);
        return;
    }
    card(ui, |ui| {
        if let Some(progress) = &data.verdict.progress {
            progress_line(ui, ctx, progress);
        } else if data.verdict.is_pending() {
            ui.label(RichText::new(ctx.t(&words::CHECKING)).small().color(ui.tokens().text_weak));
        }
        let Some(verdict) = data.newest_verdict() else { return };
        let (rows, learned) = (number::count(verdict.usable_rows), number::short(verdict.learned_tokens));
        let text = protocol::text!(
            "{rows} rows · {learned} learned tokens",
            "{rows} 行 · {learned} 个计入损失的词元"
        );
        ui.add(egui::Label::new(ctx.t(&text)).wrap());
        for finding in &verdict.findings {
            let (icon, colour) = severity(ui.tokens(), finding.severity);
            ui.horizontal_top(|ui| {
                icon.ui(ui, 14.0, colour);
                ui.vertical(|ui| {
                    ui.add(egui::Label::new(RichText::new(ctx.t(&finding.text)).small()).wrap());
                    remedies(ui, ctx, &finding.remedies);
                });
            });
        }
    });
}

/// Icon and colour of a finding.
pub fn severity(tokens: &Tokens, severity: Severity) -> (Icon, egui::Color32) {
    match severity {
        Severity::Info => (Icon::Info, tokens.info),
        Severity::Warning => (Icon::Warning, tokens.warning),
        Severity::Error => (Icon::Error, tokens.error),
    }
}

/// Why the run cannot start, and where that is mended.
#[derive(Debug)]
pub struct Obstacle {
    pub text: Text,
    pub panel: PanelId,
}

/// What keeps the run from starting; None when the button works.
pub fn obstacle(ctx: &PanelCtx<'_>) -> Option<Obstacle> {
    if let Some(obstacle) = unusable(ctx) {
        return Some(obstacle);
    }
    let forecast = ctx.state.data.verdict.value.as_ref().and_then(|verdict| verdict.forecast.as_ref());
    let too_large = forecast.is_some_and(|forecast| !forecast.fits);
    let panel = crate::panels::method::PANEL.panel_id();
    too_large.then(|| Obstacle { text: words::DOES_NOT_FIT_LONG.clone(), panel })
}

/// What keeps the settings from being trained with on any machine.
pub fn unusable(ctx: &PanelCtx<'_>) -> Option<Obstacle> {
    let state = ctx.state;
    let config = &state.project.config;
    let at = |text: &Text, panel: &PanelInfo| Some(Obstacle { text: text.clone(), panel: panel.panel_id() });
    // What is said against new tokens is said on the panel where they are given.
    let refused = |error: &UserError, panel: &PanelInfo| {
        let model = &crate::panels::model::PANEL;
        at(&error.what, if concerns(error, "vocabulary") { model } else { panel })
    };
    if state.engine.ended {
        return at(&words::ENGINE_ENDED, &crate::panels::settings::PANEL);
    }
    if !state.engine.is_ready() {
        return at(&words::ENGINE_STARTS, &crate::panels::settings::PANEL);
    }
    if config.model.path.as_os_str().is_empty() {
        return at(&words::NO_MODEL, &crate::panels::model::PANEL);
    }
    if let Some((kind, word)) = crate::state::hub::named(config) {
        let panel = match kind {
            RepoKind::Model => &crate::panels::model::PANEL,
            RepoKind::Dataset => &crate::panels::data::PANEL,
        };
        return at(&text!("{word} is to be fetched first", "请先下载 {word}"), panel);
    }
    if let Some(error) = &state.model.error {
        return at(&error.what, &crate::panels::model::PANEL);
    }
    if config.data.train.is_empty() {
        return at(&words::NO_DATA, &crate::panels::data::PANEL);
    }
    if let Some(error) = state.data.verdict.error.as_ref().or(state.data.page.error.as_ref()) {
        return refused(error, &crate::panels::data::PANEL);
    }
    if let Some(problem) = state.estimate_problems().first() {
        return refused(problem, &crate::panels::method::PANEL);
    }
    let verdict = state.data.verdict.value.as_ref()?;
    if let Some(finding) = verdict.findings.iter().find(|finding| finding.severity == Severity::Error) {
        return at(&finding.text, &crate::panels::data::PANEL);
    }
    None
}

fn big_button(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    ui.with_layout(Layout::top_down_justified(Align::Center), |ui| match ctx.state.train.phase {
        RunPhase::None | RunPhase::Ended => start(ui, ctx),
        RunPhase::Training => {
            command_button(ui, ctx, Icon::Pause, &words::PAUSE, UiCommand::PauseOrResume, true);
            command_button(ui, ctx, Icon::Stop, &words::STOP, UiCommand::StopRun, false);
        }
        RunPhase::Paused => {
            command_button(ui, ctx, Icon::Play, &words::RESUME, UiCommand::PauseOrResume, true);
            command_button(ui, ctx, Icon::Stop, &words::STOP, UiCommand::StopRun, false);
        }
        RunPhase::Starting => {
            primary_button(ui, Some(Icon::Clock), ctx.t(&words::STARTING), false);
            command_button(ui, ctx, Icon::Stop, &words::CANCEL, UiCommand::StopRun, false);
        }
        RunPhase::Pausing => {
            primary_button(ui, Some(Icon::Clock), ctx.t(&words::PAUSING), false);
        }
        RunPhase::Stopping => {
            primary_button(ui, Some(Icon::Clock), ctx.t(&words::STOPPING), false);
        }
    });
}

fn start(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    let obstacle = obstacle(ctx);
    if primary_button(ui, Some(Icon::Play), ctx.t(&words::START), obstacle.is_none()).clicked() {
        ctx.push(Action::Train(TrainAction::Start));
    }
    if let Some(obstacle) = obstacle {
        notice(ui, ctx, &obstacle.text);
        let (text, action) = match ctx.state.engine.ended {
            true => {
                let restart = UiCommand::RestartEngine;
                (&restart.info().text, Action::Command(restart))
            }
            false => (&words::LOOK, Action::Open(obstacle.panel)),
        };
        if ui.button(ctx.t(text)).clicked() {
            ctx.push(action);
        }
    }
}

fn command_button(
    ui: &mut Ui,
    ctx: &PanelCtx<'_>,
    icon: Icon,
    text: &Text,
    command: UiCommand,
    primary: bool,
) {
    let response = if primary {
        primary_button(ui, Some(icon), ctx.t(text), true)
    } else {
        crate::widgets::button(ui, Some(icon), ctx.t(text))
    };
    if response.clicked() {
        ctx.push(Action::Command(command));
    }
}
