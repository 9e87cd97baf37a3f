//! Where the engine computes, what would make it faster, and a new start of it.

use egui::{Align, Frame, Layout, Margin, RichText, Ui};
use protocol::{DeviceKind, Text};

use super::part;
use crate::action::Action;
use crate::command::UiCommand;
use crate::panels::PanelCtx;
use crate::state::question::{Choice, Question};
use crate::theme::UiTokens;
use crate::widgets::{Icon, button, error_box, fact, hint, icon_button, notice, number};
use crate::words::settings as words;

pub fn device(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    part(ui, ctx.t(&words::DEVICE), |ui| {
        ui.spacing_mut().item_spacing.y = 5.0;
        let engine = &ctx.state.engine;
        if let Some(error) = &engine.error {
            error_box(ui, ctx, error);
        }
        if engine.ended {
            notice(ui, ctx, &words::ENGINE_ENDED);
        }
        match &engine.device {
            Some(device) => {
                fact(ui, ctx.t(&words::DEVICE_NAME), &device.name);
                let kind = match device.kind {
                    DeviceKind::Cpu => &words::KIND_CPU,
                    DeviceKind::Cuda => &words::KIND_CUDA,
                    DeviceKind::Wgpu => &words::KIND_WGPU,
                };
                fact(ui, ctx.t(&words::DEVICE_KIND), ctx.t(kind));
                fact(ui, ctx.t(&words::DEVICE_MEMORY), &number::bytes(device.memory_bytes));
                if let Some(stats) = &engine.stats {
                    fact(ui, ctx.t(&words::DEVICE_USED), &number::bytes(stats.memory_used));
                }
                if let Some(note) = &device.note {
                    device_note(ui, ctx, note);
                }
            }
            None if !engine.ended && engine.error.is_none() => {
                hint(ui, ctx.t(&words::ENGINE_STARTS));
            }
            None => {}
        }
        if button(ui, Some(Icon::Refresh), ctx.t(&words::RESTART)).clicked() {
            restart(ctx);
        }
        hint(ui, ctx.t(&words::RESTART_HELP));
    });
}

/// Why this device, and what to install for a better one; each command (between backticks) with a button to copy it.
fn device_note(ui: &mut Ui, ctx: &PanelCtx<'_>, note: &Text) {
    let text = ctx.t(note);
    notice(ui, ctx, &Text::new(text.replace('`', ""), text.replace('`', "")));
    for command in commands(text) {
        Frame::new().fill(ui.tokens().field).corner_radius(6).inner_margin(Margin::symmetric(10, 4)).show(
            ui,
            |ui| {
                ui.horizontal(|ui| {
                    ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                        if icon_button(ui, Icon::Copy, ctx.t(&words::COPY_COMMAND)).clicked() {
                            ui.copy_text(command.to_owned());
                        }
                        ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                            ui.add(
                                egui::Label::new(RichText::new(command).monospace()).wrap().selectable(true),
                            );
                        });
                    });
                });
            },
        );
    }
}

/// What stands between backticks and has an argument: a lone word is a name.
fn commands(note: &str) -> Vec<&str> {
    let parts: Vec<&str> = note.split('`').collect();
    let closed = parts.len() - usize::from(parts.len().is_multiple_of(2));
    parts.into_iter().take(closed).skip(1).step_by(2).filter(|part| part.trim().contains(' ')).collect()
}

/// During a run the user is asked first.
fn restart(ctx: &PanelCtx<'_>) {
    let then = Action::Command(UiCommand::RestartEngine);
    if !ctx.state.train.is_active() {
        return ctx.push(then);
    }
    ctx.push(Action::Ask(Box::new(Question {
        title: words::RESTART_ASK.clone(),
        body: words::RESTART_ASK_BODY.clone(),
        choices: vec![Choice { label: words::RESTART.clone(), danger: true, then: vec![then] }],
    })));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_of_a_note_can_be_copied() {
        let note = "To use the GPU: `pip install nvidia-cuda-nvrtc-cu12 nvidia-cuda-runtime-cu12`, then restart (`auto`)";
        assert_eq!(commands(note), ["pip install nvidia-cuda-nvrtc-cu12 nvidia-cuda-runtime-cu12"]);
        assert!(commands("none").is_empty() && commands("`open it").is_empty());
    }
}
