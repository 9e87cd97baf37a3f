//! The chosen run: what one can do with it, how it was set, what it left.

use egui::{Grid, RichText, ScrollArea, Ui, UiBuilder};
use protocol::{CheckpointReport, RunMemory, RunReport, RunState};

use super::list::{started, state};
use super::order::model;
use crate::action::Action;
use crate::desktop::DesktopRequest;
use crate::panels::{PanelCtx, chat, export, train};
use crate::state::chat::ChatAction;
use crate::state::export::ExportAction;
use crate::state::project::changed_keys;
use crate::state::runs::RunsAction;
use crate::state::train::TrainAction;
use crate::theme::{UiTokens, semibold};
use crate::widgets::button::icon_button;
use crate::widgets::error::badge;
use crate::widgets::{Icon, button, card, number, section};
use crate::words::runs as words;

pub fn ui(ui: &mut Ui, ctx: &PanelCtx<'_>, run: &RunReport) {
    card(ui, |ui| {
        ui.set_min_height((ui.available_height() - 16.0).max(120.0));
        head(ui, ctx, run);
        actions(ui, ctx, run);
        ui.add_space(4.0);
        let area = ui.available_rect_before_wrap();
        let split = area.left() + area.width() * 0.6;
        let left = area.with_max_x(split - 10.0);
        ui.scope_builder(UiBuilder::new().max_rect(left).id_salt("settings"), |ui| {
            ScrollArea::both().auto_shrink(false).show(ui, |ui| settings(ui, ctx, run));
        });
        let right = area.with_min_x(split + 10.0);
        ui.scope_builder(UiBuilder::new().max_rect(right).id_salt("files"), |ui| {
            ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
                checkpoints(ui, ctx, run);
                files(ui, ctx, run);
            });
        });
    });
}

fn head(ui: &mut Ui, ctx: &PanelCtx<'_>, run: &RunReport) {
    let tokens = ui.tokens();
    ui.horizontal(|ui| {
        let name = RichText::new(&run.name).family(semibold()).size(15.0).color(tokens.text_strong);
        ui.add(egui::Label::new(name).truncate());
        let (word, _, colour) = state(tokens, run.state);
        badge(ui, ctx.t(word), colour);
        let took = number::duration(run.seconds);
        let line = [model(run), run.config.method.kind.clone(), started(run), ctx.t(&took).to_owned()];
        let line = line.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("  ·  ");
        ui.add(egui::Label::new(RichText::new(line).small().color(tokens.text_weak)).truncate());
    });
}

fn actions(ui: &mut Ui, ctx: &PanelCtx<'_>, run: &RunReport) {
    ui.horizontal_wrapped(|ui| {
        let able = run.state == RunState::Unfinished && !ctx.state.train.is_active();
        let resume = ui.add_enabled_ui(able, |ui| button(ui, Some(Icon::Play), ctx.t(&words::RESUME))).inner;
        let resume = resume.on_hover_text(ctx.t(&words::RESUME_HELP));
        if resume.on_disabled_hover_text(ctx.t(&words::RESUME_NOT)).clicked() {
            ctx.push(Action::Train(TrainAction::Resume(run.dir.clone())));
        }
        if run.state == RunState::Elsewhere {
            bring_back(ui, ctx, run);
        } else {
            use_it(ui, ctx, run);
        }
        compare(ui, ctx, run);
        let duplicate = button(ui, Some(Icon::Copy), ctx.t(&words::DUPLICATE));
        if duplicate.on_hover_text(ctx.t(&words::DUPLICATE_HELP)).clicked() {
            ctx.push(Action::Runs(RunsAction::Duplicate(Box::new(run.clone()))));
        }
        if button(ui, Some(Icon::FolderOpen), ctx.t(&words::REVEAL)).clicked() {
            ctx.push(Action::Desktop(DesktopRequest::Open(run.dir.display().to_string())));
        }
        let deleting = ctx.state.runs.is_deleting(&run.dir);
        let able = !matches!(run.state, RunState::Running | RunState::Elsewhere) && !deleting;
        let word = if deleting { &words::DELETING } else { &words::DELETE };
        let delete = ui.add_enabled_ui(able, |ui| button(ui, Some(Icon::Trash), ctx.t(word))).inner;
        if delete.on_disabled_hover_text(ctx.t(&words::DELETE_NOT)).clicked() {
            ctx.push(Action::Runs(RunsAction::Delete(Box::new(run.clone()))));
        }
    });
}

/// A run of other machines is used once it is here.
fn bring_back(ui: &mut Ui, ctx: &PanelCtx<'_>, run: &RunReport) {
    let bringing = ctx.state.runs.is_bringing(&run.dir);
    let able = (run.result.is_some() || !run.checkpoints.is_empty()) && !bringing;
    let word = if bringing { &words::BRINGING } else { &words::BRING_BACK };
    let response = ui.add_enabled_ui(able, |ui| button(ui, Some(Icon::Download), ctx.t(word))).inner;
    let response = response.on_hover_text(ctx.t(&words::BRING_BACK_HELP));
    if response.on_disabled_hover_text(ctx.t(&words::BRING_BACK_NOT)).clicked() {
        ctx.push(Action::Runs(RunsAction::BringBack(Box::new(run.clone()))));
    }
}

/// Talk to the result, or export it; without one, its newest checkpoint serves.
fn use_it(ui: &mut Ui, ctx: &PanelCtx<'_>, run: &RunReport) {
    let newest = run.checkpoints.iter().max_by_key(|checkpoint| checkpoint.step);
    let checkpoint = match &run.result {
        Some(_) => None,
        None => newest.map(|checkpoint| checkpoint.dir.clone()),
    };
    let able = run.result.is_some() || checkpoint.is_some();
    ui.add_enabled_ui(able, |ui| {
        let talk = button(ui, Some(Icon::Chat), ctx.t(&words::TALK));
        if talk.on_disabled_hover_text(ctx.t(&words::NO_RESULT)).clicked() {
            talk_to(ctx, run, checkpoint.clone());
        }
        let out = button(ui, Some(Icon::Export), ctx.t(&words::EXPORT));
        if out.on_disabled_hover_text(ctx.t(&words::NO_RESULT)).clicked() {
            export_it(ctx, run, checkpoint);
        }
    });
}

fn talk_to(ctx: &PanelCtx<'_>, run: &RunReport, checkpoint: Option<std::path::PathBuf>) {
    ctx.push(Action::Chat(ChatAction::UseRun { run: Box::new(run.clone()), checkpoint }));
    ctx.push(Action::Open(chat::PANEL.panel_id()));
}

fn export_it(ctx: &PanelCtx<'_>, run: &RunReport, checkpoint: Option<std::path::PathBuf>) {
    ctx.push(Action::Export(ExportAction::UseRun { run: Box::new(run.clone()), checkpoint }));
    ctx.push(Action::Open(export::PANEL.panel_id()));
}

fn compare(ui: &mut Ui, ctx: &PanelCtx<'_>, run: &RunReport) {
    let compared = ctx.state.runs.compared.contains(&run.dir);
    let word = if compared { &words::UNCOMPARE } else { &words::COMPARE };
    let response = button(ui, Some(Icon::Compare), ctx.t(word)).on_hover_text(ctx.t(&words::COMPARE_HELP));
    if !response.clicked() {
        return;
    }
    if compared {
        ctx.push(Action::Runs(RunsAction::Uncompare(run.dir.clone())));
    } else {
        ctx.push(Action::Runs(RunsAction::Compare(run.dir.clone())));
        ctx.push(Action::Open(train::PANEL.panel_id()));
    }
}

/// A line for each setting that is another one in the project.
fn settings(ui: &mut Ui, ctx: &PanelCtx<'_>, run: &RunReport) {
    let tokens = ui.tokens();
    section(ui, ctx.t(&words::SETTINGS));
    let project = &ctx.state.project.config;
    let keys = changed_keys(&run.config, project);
    if keys.is_empty() {
        ui.label(RichText::new(ctx.t(&words::SAME)).small().color(tokens.text_weak));
        return;
    }
    let theirs = serde_json::to_value(&run.config).unwrap_or_default();
    let ours = serde_json::to_value(project).unwrap_or_default();
    ui.spacing_mut().interact_size.y = 16.0;
    Grid::new("run-differences").num_columns(3).spacing([14.0, 3.0]).show(ui, |ui| {
        ui.label("");
        ui.label(RichText::new(ctx.t(&words::HERE)).small().color(tokens.text_weak));
        ui.label(RichText::new(ctx.t(&words::PROJECT)).small().color(tokens.text_weak));
        ui.end_row();
        for key in keys {
            ui.label(RichText::new(&key).small().monospace().color(tokens.text_weak));
            for (config, colour) in [(&theirs, tokens.text_strong), (&ours, tokens.text_weak)] {
                let text = train::shown_value(config, &key);
                ui.label(RichText::new(&text).small().monospace().color(colour)).on_hover_text(text);
            }
            ui.end_row();
        }
    });
}

fn checkpoints(ui: &mut Ui, ctx: &PanelCtx<'_>, run: &RunReport) {
    let tokens = ui.tokens();
    section(ui, ctx.t(&words::CHECKPOINTS));
    if run.checkpoints.is_empty() {
        ui.label(RichText::new(ctx.t(&words::NO_CHECKPOINTS)).small().color(tokens.text_weak));
    }
    for checkpoint in &run.checkpoints {
        ui.horizontal(|ui| {
            ui.spacing_mut().button_padding.x = 4.0;
            checkpoint_line(ui, ctx, run, checkpoint);
        });
    }
}

fn checkpoint_line(ui: &mut Ui, ctx: &PanelCtx<'_>, run: &RunReport, checkpoint: &CheckpointReport) {
    let tokens = ui.tokens();
    let step = number::count(checkpoint.step);
    let name = protocol::text!("step {step}", "第 {step} 步");
    let name = ctx.t(&name);
    ui.label(RichText::new(name).small().color(tokens.text_strong));
    if let Some(loss) = checkpoint.eval_loss {
        ui.label(RichText::new(format!("{loss:.4}")).small().color(tokens.text));
    }
    if checkpoint.best {
        badge(ui, ctx.t(&words::BEST), tokens.success);
    }
    ui.label(RichText::new(number::bytes(checkpoint.bytes)).small().color(tokens.text_weak));
    if icon_button(ui, Icon::Chat, &format!("{}: {name}", ctx.t(&words::TALK))).clicked() {
        talk_to(ctx, run, Some(checkpoint.dir.clone()));
    }
    if icon_button(ui, Icon::Export, &format!("{}: {name}", ctx.t(&words::EXPORT))).clicked() {
        export_it(ctx, run, Some(checkpoint.dir.clone()));
    }
}

fn files(ui: &mut Ui, ctx: &PanelCtx<'_>, run: &RunReport) {
    let tokens = ui.tokens();
    let mut path = |name: &str, path: &std::path::Path| {
        section(ui, name);
        let text = RichText::new(path.display().to_string()).small().color(tokens.text_weak);
        ui.add(egui::Label::new(text).wrap().selectable(true));
    };
    if let Some(result) = &run.result {
        path(ctx.t(&words::RESULT), result);
    }
    path(ctx.t(&words::FOLDER), &run.dir);
    if let Some(RunMemory { forecast: told, peak }) = run.memory {
        let line = RichText::new(ctx.t(&train::peak_told(peak, told))).small().color(tokens.text_weak);
        ui.add(egui::Label::new(line).wrap());
    }
}
