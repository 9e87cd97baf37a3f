//! What one can do with the run: each button works only when it can act.

use egui::{DragValue, Response, RichText, Ui};
use protocol::Text;

use crate::action::Action;
use crate::command::UiCommand;
use crate::frame::summary::obstacle;
use crate::panels::PanelCtx;
use crate::state::train::{RunPhase, TrainAction};
use crate::theme::UiTokens;
use crate::widgets::{Icon, number, primary_button};
use crate::words::{frame, train as words};

/// Below this width buttons have no words.
const COMPACT: f32 = 740.0;

/// Buttons, one after the other.
pub fn ui(ui: &mut Ui, ctx: &PanelCtx<'_>, factor: &mut f64) {
    ui.scope(|ui| {
        use RunPhase as P;
        let phase = ctx.state.train.phase;
        match phase {
            P::None | P::Ended => start(ui, ctx),
            P::Starting => {
                primary_button(ui, Some(Icon::Clock), ctx.t(&frame::STARTING), false);
            }
            P::Stopping => {
                primary_button(ui, Some(Icon::Clock), ctx.t(&frame::STOPPING), false);
            }
            P::Training => {
                let pause = primary_button(ui, Some(Icon::Pause), ctx.t(&words::PAUSE), true);
                command(ctx, &pause.on_hover_text(ctx.t(&words::PAUSE_HELP)), UiCommand::PauseOrResume);
            }
            P::Pausing | P::Paused => {
                let resume = primary_button(ui, Some(Icon::Play), ctx.t(&words::RESUME), true);
                command(ctx, &resume.on_hover_text(ctx.t(&words::RESUME_HELP)), UiCommand::PauseOrResume);
            }
        }
        let active = ctx.state.train.is_active() && phase != P::Stopping;
        let at_work = phase == P::Training;
        let stop = tool(ui, ctx, Icon::Stop, &words::STOP, &words::STOP_HELP, active);
        command(ctx, &stop, UiCommand::StopRun);
        let save = tool(ui, ctx, Icon::Save, &words::SAVE, &words::SAVE_HELP, at_work);
        command(ctx, &save, UiCommand::SaveNow);
        let evaluate = tool(ui, ctx, Icon::Check, &words::EVALUATE, &words::EVALUATE_HELP, at_work);
        command(ctx, &evaluate, UiCommand::EvaluateNow);
        rate(ui, ctx, factor, at_work);
    });
}

fn start(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    let obstacle = obstacle(ctx);
    let button = primary_button(ui, Some(Icon::Play), ctx.t(&words::START), obstacle.is_none());
    let button = match &obstacle {
        Some(obstacle) => button.on_disabled_hover_text(ctx.t(&obstacle.text)),
        None => button,
    };
    if button.clicked() {
        ctx.push(Action::Train(TrainAction::Start));
    }
    super::handoff::opener(ui, ctx);
}

/// A button with an icon, a word and a tooltip; only the icon where there is little room.
fn tool(ui: &mut Ui, ctx: &PanelCtx<'_>, icon: Icon, name: &Text, help: &Text, enabled: bool) -> Response {
    let tokens = ui.tokens();
    let colour = if enabled { tokens.text } else { tokens.text_faint };
    let name = ctx.t(name);
    let (button, help) = if is_compact(ui) {
        (egui::Button::image(icon.image(15.0, colour)), format!("{name}: {}", ctx.t(help)))
    } else {
        (egui::Button::image_and_text(icon.image(15.0, colour), name), ctx.t(help).to_owned())
    };
    let response = ui.add_enabled(enabled, button.min_size(egui::vec2(30.0, 30.0)));
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, enabled, name));
    response.on_hover_text(help).on_disabled_hover_text(ctx.t(&words::NEEDS_RUN))
}

/// Whether the row is too narrow for words.
fn is_compact(ui: &Ui) -> bool {
    ui.max_rect().width() < COMPACT
}

fn command(ctx: &PanelCtx<'_>, response: &Response, command: UiCommand) {
    if response.clicked() {
        ctx.push(Action::Command(command));
    }
}

/// The factor that holds, and others to choose.
fn rate(ui: &mut Ui, ctx: &PanelCtx<'_>, wanted: &mut f64, enabled: bool) {
    let now = ctx.state.train.rate_factor.unwrap_or(1.0);
    let now_shown = number::scientific(now);
    let name = format!("{} ×{now_shown}", ctx.t(&words::RATE));
    let shown = if is_compact(ui) { format!("×{now_shown}") } else { name.clone() };
    ui.add_enabled_ui(enabled, |ui| {
        let icon = Icon::Sliders.image(15.0, ui.tokens().text);
        ui.spacing_mut().interact_size.y = 30.0;
        let menu = egui::containers::menu::MenuButton::from_button(egui::Button::image_and_text(icon, shown))
            .config(
                egui::containers::menu::MenuConfig::new()
                    .close_behavior(egui::PopupCloseBehavior::CloseOnClickOutside),
            );
        let (response, _) = menu.ui(ui, |ui| rate_menu(ui, ctx, now, wanted));
        response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, enabled, &name));
        response.on_hover_text(ctx.t(&words::RATE_HELP)).on_disabled_hover_text(ctx.t(&words::NEEDS_RUN));
    });
}

fn rate_menu(ui: &mut Ui, ctx: &PanelCtx<'_>, now: f64, wanted: &mut f64) {
    // Menus draw buttons as lines of text; here they are buttons.
    ui.set_style(ui.ctx().global_style());
    ui.set_min_width(230.0);
    let tokens = ui.tokens();
    ui.label(RichText::new(ctx.t(&words::RATE_NOW)).small().color(tokens.text_weak));
    let mut chosen = None;
    ui.horizontal(|ui| {
        for times in [0.1, 0.5, 2.0] {
            let button = ui.button(format!("×{times}"));
            let then = number::scientific(now * times);
            let hint = protocol::text!("then ×{then} on the schedule", "此后为计划值的 ×{then}");
            if button.on_hover_text(ctx.t(&hint)).clicked() {
                chosen = Some(now * times);
            }
        }
    });
    ui.add_space(4.0);
    let label = ui.label(RichText::new(ctx.t(&words::RATE_FACTOR)).small().color(tokens.text_weak));
    ui.horizontal(|ui| {
        let field = DragValue::new(wanted).range(1e-6..=1000.0).speed(0.01).max_decimals(6);
        ui.add(field).labelled_by(label.id);
        if ui.button(ctx.t(&words::RATE_APPLY)).clicked() {
            chosen = Some(*wanted);
        }
        if ui.add_enabled(now != 1.0, egui::Button::new(ctx.t(&words::RATE_RESET))).clicked() {
            chosen = Some(1.0);
        }
    });
    if let Some(factor) = chosen {
        ctx.push(Action::Train(TrainAction::ScaleRate(factor)));
        ui.close();
    }
}
