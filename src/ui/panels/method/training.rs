//! Optimizer, schedule, evaluation: the `[train]` part of the run file.

use egui::{RichText, ScrollArea, Ui};
use protocol::config::{LossScale, TrainConfig};
use protocol::{Descriptor, ParamSpec, RunConfig, Text};
use serde_json::{Map, Value};

use super::{budget, curve, devices, samples};
use crate::panels::PanelCtx;
use crate::theme::UiTokens;
use crate::widgets::{card, column, field, form, input, number, section, toggle};
use crate::words::method as words;

/// What a fixed loss scale begins with.
const FIRST_SCALE: f64 = 1024.0;
/// The largest count that a field takes.
const MANY: u64 = 1_000_000_000;

pub fn ui(ui: &mut Ui, ctx: &PanelCtx<'_>, config: &mut RunConfig) {
    let half = config.model.dtype == "f16";
    let train = &mut config.train;
    ScrollArea::vertical().id_salt("training").auto_shrink(false).show(ui, |ui| {
        if ui.available_width() > 680.0 {
            let width = (ui.available_width() - 12.0) / 2.0;
            ui.horizontal_top(|ui| {
                column(ui, width, |ui| {
                    length(ui, ctx, train);
                    checks(ui, ctx, train);
                    sample_prompts(ui, ctx, train);
                });
                ui.add_space(4.0);
                column(ui, width, |ui| {
                    rate(ui, ctx, train);
                    optimizer(ui, ctx, train, half);
                    devices::ui(ui, ctx, train);
                    budget::ui(ui, ctx, train);
                });
            });
        } else {
            length(ui, ctx, train);
            rate(ui, ctx, train);
            optimizer(ui, ctx, train, half);
            devices::ui(ui, ctx, train);
            budget::ui(ui, ctx, train);
            checks(ui, ctx, train);
            sample_prompts(ui, ctx, train);
        }
        hidden(ui, ctx, train);
    });
}

fn part(ui: &mut Ui, title: &str, contents: impl FnOnce(&mut Ui)) {
    section(ui, title);
    card(ui, contents);
    ui.add_space(4.0);
}

fn length(ui: &mut Ui, ctx: &PanelCtx<'_>, train: &mut TrainConfig) {
    part(ui, ctx.t(&words::LENGTH), |ui| {
        field(ui, ctx.t(&words::EPOCHS), ctx.t(&words::EPOCHS_HELP), |ui| {
            ui.add_enabled_ui(train.max_steps == 0, |ui| input::real(ui, &mut train.epochs, 0.01..=1000.0))
                .inner
        });
        field(ui, ctx.t(&words::MAX_STEPS), ctx.t(&words::MAX_STEPS_HELP), |ui| {
            input::integer(ui, &mut train.max_steps, 0..=MANY, "")
        });
        field(ui, ctx.t(&words::BATCH_SIZE), ctx.t(&words::BATCH_SIZE_HELP), |ui| {
            input::integer(ui, &mut train.batch_size, 1..=4096, "")
        });
        field(ui, ctx.t(&words::ACCUMULATION), ctx.t(&words::ACCUMULATION_HELP), |ui| {
            let inner = ui.horizontal(|ui| {
                let response = input::integer(ui, &mut train.gradient_accumulation, 1..=4096, "");
                let rows = number::count(train.batch_size.saturating_mul(train.gradient_accumulation.max(1)));
                let text = format!("= {rows} {}", ctx.t(&words::ROWS_A_STEP));
                ui.label(RichText::new(text).small().color(ui.tokens().text_weak));
                response
            });
            inner.inner
        });
        if ctx.state.preferences.expert {
            toggle(ui, &mut train.shuffle, ctx.t(&words::SHUFFLE));
            toggle(ui, &mut train.group_by_length, ctx.t(&words::GROUP_BY_LENGTH))
                .on_hover_text(ctx.t(&words::GROUP_BY_LENGTH_HELP));
            field(ui, ctx.t(&words::SEED), ctx.t(&words::SEED_HELP), |ui| {
                input::integer(ui, &mut train.seed, 0..=u64::from(u32::MAX), "")
            });
        }
    });
}

fn rate(ui: &mut Ui, ctx: &PanelCtx<'_>, train: &mut TrainConfig) {
    part(ui, ctx.t(&words::RATE), |ui| {
        field(ui, ctx.t(&words::RATE), ctx.t(&words::RATE_HELP), |ui| {
            input::log_slider(ui, &mut train.learning_rate, 1e-6..=1e-1, ctx.t(&words::RATE_SLIDER))
        });
        let schedules = &ctx.state.engine.catalog.schedules;
        let before = train.scheduler.clone();
        field(ui, ctx.t(&words::SCHEDULER), "", |ui| {
            described(ui, ctx, "scheduler", &mut train.scheduler, schedules)
        });
        if train.scheduler != before {
            train.scheduler_settings.clear();
        }
        own_settings(ui, ctx, &mut train.scheduler_settings, &train.scheduler, schedules);
        if ctx.state.preferences.expert || train.warmup_steps > 0 {
            field(ui, ctx.t(&words::WARMUP_STEPS), ctx.t(&words::WARMUP_STEPS_HELP), |ui| {
                input::integer(ui, &mut train.warmup_steps, 0..=MANY, ctx.t(&words::STEPS_UNIT))
            });
        }
        field(ui, ctx.t(&words::WARMUP_RATIO), ctx.t(&words::WARMUP_RATIO_HELP), |ui| {
            ui.add_enabled_ui(train.warmup_steps == 0, |ui| {
                input::real(ui, &mut train.warmup_ratio, 0.0..=1.0)
            })
            .inner
        });
        ui.add_space(4.0);
        curve::curve(ui, ctx);
    });
}

/// A choice among what the engine offers; one it does not know stays.
fn described(
    ui: &mut Ui,
    ctx: &PanelCtx<'_>,
    salt: &str,
    value: &mut String,
    all: &[Descriptor],
) -> egui::Response {
    let named = all.iter().map(|entry| (entry.id.as_str(), ctx.t(&entry.name), ctx.t(&entry.help)));
    input::choice(ui, salt, value, named)
}

/// What the chosen one has of its own.
fn own_settings(
    ui: &mut Ui,
    ctx: &PanelCtx<'_>,
    values: &mut Map<String, Value>,
    chosen: &str,
    all: &[Descriptor],
) {
    let Some(chosen) = all.iter().find(|entry| entry.id == chosen) else { return };
    let shown =
        |spec: &&ParamSpec| ctx.state.preferences.expert || !spec.advanced || values.contains_key(&spec.key);
    let specs: Vec<_> = chosen.params.iter().filter(shown).collect();
    form::settings(ui, ctx, specs.into_iter(), values);
}

/// `half`: whether the run computes in f16, the dtype that a loss scale is for.
fn optimizer(ui: &mut Ui, ctx: &PanelCtx<'_>, train: &mut TrainConfig, half: bool) {
    let expert = ctx.state.preferences.expert;
    part(ui, ctx.t(&words::OPTIMIZER_SECTION), |ui| {
        let optimizers = &ctx.state.engine.catalog.optimizers;
        let before = train.optimizer.clone();
        field(ui, ctx.t(&words::OPTIMIZER), "", |ui| {
            described(ui, ctx, "optimizer", &mut train.optimizer, optimizers)
        });
        if train.optimizer != before {
            train.optimizer_settings.clear();
        }
        own_settings(ui, ctx, &mut train.optimizer_settings, &train.optimizer, optimizers);
        let real = |ui: &mut Ui, name: &Text, help: &Text, value: &mut f64, most: f64| {
            field(ui, ctx.t(name), ctx.t(help), |ui| input::real(ui, value, 0.0..=most));
        };
        real(ui, &words::WEIGHT_DECAY, &words::WEIGHT_DECAY_HELP, &mut train.weight_decay, 10.0);
        if half || train.loss_scale != LossScale::Dynamic {
            loss_scale(ui, ctx, &mut train.loss_scale);
        }
        if expert {
            real(ui, &words::CLIP, &words::CLIP_HELP, &mut train.max_grad_norm, 1e6);
            real(ui, &words::BETA1, &words::BETA_HELP, &mut train.betas[0], 0.999_999_999);
            real(ui, &words::BETA2, &words::BETA_HELP, &mut train.betas[1], 0.999_999_999);
            field(ui, ctx.t(&words::EPS), ctx.t(&words::EPS_HELP), |ui| {
                input::real(ui, &mut train.eps, f64::MIN_POSITIVE..=1.0)
            });
            field(ui, ctx.t(&words::SKIPPED), ctx.t(&words::SKIPPED_HELP), |ui| {
                input::integer(ui, &mut train.max_skipped_steps, 0..=10_000, "")
            });
        }
    });
}

/// Dynamic, or a number.
fn loss_scale(ui: &mut Ui, ctx: &PanelCtx<'_>, scale: &mut LossScale) {
    field(ui, ctx.t(&words::LOSS_SCALE), ctx.t(&words::LOSS_SCALE_HELP), |ui| {
        let inner = ui.horizontal(|ui| {
            let mut dynamic = *scale == LossScale::Dynamic;
            let response = toggle(ui, &mut dynamic, ctx.t(&words::LOSS_SCALE_DYNAMIC));
            match (dynamic, &mut *scale) {
                (true, _) => *scale = LossScale::Dynamic,
                (false, LossScale::Static(number)) => {
                    input::real(ui, number, 1e-3..=1e9);
                }
                (false, LossScale::Dynamic) => *scale = LossScale::Static(FIRST_SCALE),
            }
            response
        });
        inner.inner
    });
}

fn checks(ui: &mut Ui, ctx: &PanelCtx<'_>, train: &mut TrainConfig) {
    part(ui, ctx.t(&words::CHECKS), |ui| {
        field(ui, ctx.t(&words::EVAL_EVERY), ctx.t(&words::EVAL_EVERY_HELP), |ui| {
            input::integer(ui, &mut train.eval_every, 0..=MANY, ctx.t(&words::STEPS_UNIT))
        });
        field(ui, ctx.t(&words::SAVE_EVERY), ctx.t(&words::SAVE_EVERY_HELP), |ui| {
            input::integer(ui, &mut train.save_every, 0..=MANY, ctx.t(&words::STEPS_UNIT))
        });
        if ctx.state.preferences.expert {
            field(ui, ctx.t(&words::KEEP), ctx.t(&words::KEEP_HELP), |ui| {
                input::integer(ui, &mut train.keep_checkpoints, 1..=10_000, "")
            });
            field(ui, ctx.t(&words::PATIENCE), ctx.t(&words::PATIENCE_HELP), |ui| {
                input::integer(ui, &mut train.early_stop_patience, 0..=10_000, "")
            });
        }
        toggle(ui, &mut train.keep_best, ctx.t(&words::KEEP_BEST))
            .on_hover_text(ctx.t(&words::KEEP_BEST_HELP));
    });
}

fn sample_prompts(ui: &mut Ui, ctx: &PanelCtx<'_>, train: &mut TrainConfig) {
    part(ui, ctx.t(&words::SAMPLES), |ui| samples::list(ui, ctx, train));
}

/// What the simple view does not show and is not as usual: nothing that counts is out of sight.
fn hidden(ui: &mut Ui, ctx: &PanelCtx<'_>, train: &TrainConfig) {
    if ctx.state.preferences.expert {
        return;
    }
    let usual = TrainConfig::default();
    let other: Vec<&str> = [
        (&words::SHUFFLE, train.shuffle != usual.shuffle),
        (&words::GROUP_BY_LENGTH, train.group_by_length != usual.group_by_length),
        (&words::SEED, train.seed != usual.seed),
        (&words::CLIP, train.max_grad_norm != usual.max_grad_norm),
        (&words::BETA1, train.betas[0] != usual.betas[0]),
        (&words::BETA2, train.betas[1] != usual.betas[1]),
        (&words::EPS, train.eps != usual.eps),
        (&words::SKIPPED, train.max_skipped_steps != usual.max_skipped_steps),
        (&words::KEEP, train.keep_checkpoints != usual.keep_checkpoints),
        (&words::PATIENCE, train.early_stop_patience != usual.early_stop_patience),
    ]
    .into_iter()
    .filter(|(_, differs)| *differs)
    .map(|(name, _)| ctx.t(name))
    .collect();
    if !other.is_empty() {
        let text = format!("{} {}", ctx.t(&words::HIDDEN), other.join(ctx.t(&words::LIST_COMMA)));
        ui.label(RichText::new(text).small().color(ui.tokens().text_weak));
    }
}
