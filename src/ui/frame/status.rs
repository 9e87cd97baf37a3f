//! The bar at the bottom: the run in one line.

use egui::{Align, Layout, RichText, Ui};

use crate::action::Action;
use crate::panels::PanelCtx;
use crate::state::train::RunPhase;
use crate::theme::UiTokens;
use crate::widgets::{Icon, icon_button, number};
use crate::words::frame as words;

pub const HEIGHT: f32 = 28.0;

pub fn ui(ui: &mut Ui, ctx: &PanelCtx<'_>, notices: &mut bool) {
    ui.horizontal_centered(|ui| {
        let tokens = ui.tokens();
        let train = &ctx.state.train;
        let (icon, colour) = match train.phase {
            RunPhase::Training => (Icon::Play, tokens.accent),
            RunPhase::Paused | RunPhase::Pausing => (Icon::Pause, tokens.warning),
            RunPhase::Starting | RunPhase::Stopping => (Icon::Clock, tokens.text_weak),
            RunPhase::None | RunPhase::Ended => (Icon::Check, tokens.text_weak),
        };
        icon.ui(ui, 13.0, colour);
        ui.add(egui::Label::new(RichText::new(line(ctx)).small().color(tokens.text_weak)).truncate());
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let unseen = ctx.state.toasts.all.iter().filter(|shown| !shown.dismissed).count();
            if icon_button(ui, Icon::Info, ctx.t(&words::NOTICES)).clicked() {
                *notices = !*notices;
            }
            if unseen > 0 {
                ui.label(RichText::new(unseen.to_string()).small().color(tokens.accent));
            }
            if let Some(run) = &train.run
                && ui.add(egui::Button::new(RichText::new(&run.0).small()).frame(false)).clicked()
            {
                ctx.push(Action::Open(crate::panels::train::PANEL.panel_id()));
            }
        });
    });
}

/// `Training · step 214 / 1140 · loss 1.382 · 11 830 tokens/s · 6 min left · 9.6 GB`
fn line(ctx: &PanelCtx<'_>) -> String {
    let train = &ctx.state.train;
    let state = match train.phase {
        RunPhase::None | RunPhase::Ended => &words::IDLE,
        RunPhase::Starting => &words::STARTING,
        RunPhase::Training => &crate::panels::train::PANEL.name,
        RunPhase::Pausing => &words::PAUSING,
        RunPhase::Paused => &words::PAUSED,
        RunPhase::Stopping => &words::STOPPING,
    };
    let mut parts = vec![ctx.t(state).to_owned()];
    if let Some(progress) = &train.progress {
        parts.push(match progress.total {
            0 => ctx.t(&progress.stage).to_owned(),
            total => format!("{} {} / {total}", ctx.t(&progress.stage), progress.done),
        });
    }
    if let Some(step) = train.last_step() {
        let total = train.summary.as_ref().map_or(0, |summary| summary.total_steps);
        parts.push(format!("{} {} / {total}", ctx.t(&words::STEP), step.step));
        parts.push(format!("{} {:.3}", ctx.t(&words::LOSS), step.loss));
        if train.is_active() {
            parts.push(format!(
                "{} {}",
                number::count(step.tokens_per_s as u64),
                ctx.t(&words::TOKENS_PER_S)
            ));
            if let Some(seconds) = train.seconds_left {
                let left = number::duration(seconds);
                parts.push(
                    ctx.t(&protocol::Text::new(
                        format!("{} {}", left.en, words::LEFT.en),
                        format!("{} {}", words::LEFT.zh, left.zh),
                    ))
                    .to_owned(),
                );
            }
            parts.push(number::bytes(step.mem_bytes));
        }
    }
    parts.join("  ·  ")
}
