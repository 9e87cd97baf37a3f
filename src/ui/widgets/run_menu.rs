//! The results of runs, in a menu.

use std::path::PathBuf;

use egui::{ScrollArea, Ui};
use protocol::RunReport;

use crate::action::Action;
use crate::panels::PanelCtx;
use crate::state::tuned::trains_whole_model;
use crate::words::runs as words;

/// Every result and checkpoint of `runs`, the newest checkpoint first. `action` is made only when something is
/// clicked: a run's report is not copied in every frame.
pub fn run_menu<'a>(
    ui: &mut Ui,
    ctx: &PanelCtx<'_>,
    runs: impl Iterator<Item = &'a RunReport>,
    action: impl Fn(Box<RunReport>, Option<PathBuf>) -> Action,
) {
    ScrollArea::vertical().max_height(320.0).show(ui, |ui| {
        for run in runs {
            of_run(ui, ctx, run, |checkpoint| action(Box::new(run.clone()), checkpoint));
        }
    });
}

fn of_run(ui: &mut Ui, ctx: &PanelCtx<'_>, run: &RunReport, action: impl Fn(Option<PathBuf>) -> Action) {
    if run.result.is_some() {
        let text = format!("{} · {}", run.name, ctx.t(&words::FINAL));
        menu_choice(ui, ctx, &text, || action(None));
    }
    if trains_whole_model(run) {
        return;
    }
    for checkpoint in run.checkpoints.iter().rev() {
        let (name, step) = (&run.name, checkpoint.step);
        let text = protocol::text!("{name} · step {step}", "{name} · 第 {step} 步");
        let best = if checkpoint.best { format!("  ({})", ctx.t(&words::BEST)) } else { String::new() };
        let text = format!("{}{best}", ctx.t(&text));
        menu_choice(ui, ctx, &text, || action(Some(checkpoint.dir.clone())));
    }
}

/// A line of a menu, which closes when it is chosen.
pub fn menu_choice(ui: &mut Ui, ctx: &PanelCtx<'_>, text: &str, action: impl FnOnce() -> Action) {
    if ui.button(text).clicked() {
        ctx.push(action());
        ui.close();
    }
}
