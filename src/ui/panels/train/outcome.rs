//! How the run ended, in plain words, and what one does next.

use egui::{Color32, Frame, Margin, RichText, Ui};
use protocol::{Outcome, RunReport, RunState, StopReason, Text, text};

use crate::action::Action;
use crate::desktop::DesktopRequest;
use crate::panels::PanelCtx;
use crate::state::chat::ChatAction;
use crate::state::export::ExportAction;
use crate::state::train::{RunPhase, TrainAction};
use crate::theme::{UiTokens, semibold};
use crate::widgets::{Icon, button, error_box, notice, number};
use crate::words::train as words;

pub fn ui(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    match &ctx.state.train.outcome {
        None if ctx.state.train.phase == RunPhase::Ended => {
            notice(ui, ctx, &words::LOST);
            resume(ui, ctx);
        }
        None => {}
        Some(Outcome::Finished { reason, step, result, eval_loss, seconds, peak_bytes }) => {
            let tokens = ui.tokens();
            let (title, icon) = match reason {
                StopReason::Completed => (&words::FINISHED, Icon::Check),
                StopReason::Stopped => (&words::STOPPED, Icon::Stop),
                StopReason::EarlyStopped => (&words::EARLY_STOPPED, Icon::Flag),
            };
            surface(ui, tokens.success_wash, icon, tokens.success, |ui| {
                head(ui, ctx.t(title));
                let line = summary(*step, *eval_loss, *seconds);
                ui.label(RichText::new(ctx.t(&line)).color(tokens.text));
                memory(ui, ctx, *peak_bytes);
                next(ui, ctx, result.to_string_lossy().into_owned(), *reason == StopReason::Stopped);
            });
        }
        Some(Outcome::Failed { error }) => {
            error_box(ui, ctx, error);
            resume(ui, ctx);
        }
        Some(Outcome::Crashed { message, log }) => {
            let tokens = ui.tokens();
            surface(ui, tokens.error_wash, Icon::Error, tokens.error, |ui| {
                head(ui, ctx.t(&words::CRASHED));
                ui.label(RichText::new(ctx.t(&words::CRASHED_HELP)).color(tokens.text));
                let text = RichText::new(message).small().monospace().color(tokens.text_weak);
                ui.add(egui::Label::new(text).wrap().selectable(true));
                if let Some(log) = log {
                    let path = log.display().to_string();
                    let text = RichText::new(&path).small().color(tokens.text_weak);
                    ui.add(egui::Label::new(text).wrap().selectable(true));
                    if button(ui, Some(Icon::File), ctx.t(&words::OPEN_LOG)).clicked() {
                        ctx.push(Action::Desktop(DesktopRequest::Open(path)));
                    }
                }
                resume(ui, ctx);
            });
        }
    }
}

/// `step 1 140 · validation loss 1.2345 · 6 min 20 s`
fn summary(step: u64, eval_loss: Option<f64>, seconds: f64) -> Text {
    let step = number::count(step);
    let took = number::duration(seconds);
    let (mut en, mut zh) = (format!("step {step}"), format!("第 {step} 步"));
    if let Some(loss) = eval_loss.filter(|loss| loss.is_finite()) {
        // The exponential of a great loss says nothing.
        let perplexity = if loss < 20.0 { format!("{:.2}", loss.exp()) } else { "–".to_owned() };
        en += &format!("  ·  validation loss {loss:.4} (perplexity {perplexity})");
        zh += &format!("  ·  验证损失 {loss:.4}（困惑度 {perplexity}）");
    }
    Text::new(format!("{en}  ·  {}", took.en), format!("{zh}  ·  {}", took.zh))
}

/// The peak beside its forecast; nothing where it is unknown.
fn memory(ui: &mut Ui, ctx: &PanelCtx<'_>, peak: u64) {
    let line = match ctx.state.train.peak() {
        Some((peak, told)) => peak_told(peak, told),
        None if peak > 0 => {
            let peak = number::bytes(peak);
            text!("memory: {peak} at most", "内存：最多 {peak}")
        }
        None => return,
    };
    ui.label(RichText::new(ctx.t(&line)).small().color(ui.tokens().text_weak));
}

/// What a run took, beside what was told before it.
pub fn peak_told(peak: u64, told: u64) -> Text {
    let off = number::deviation(peak, told);
    let (peak, told) = (number::bytes(peak), number::bytes(told));
    text!("memory: {peak} at most, {told} forecast ({off})", "内存：最多 {peak}，预测 {told}（{off}）")
}

fn next(ui: &mut Ui, ctx: &PanelCtx<'_>, folder: String, resumable: bool) {
    ui.add_space(2.0);
    ui.horizontal_wrapped(|ui| {
        let run = report(ctx);
        let talk = crate::widgets::primary_button(ui, Some(Icon::Chat), ctx.t(&words::TALK), true);
        if talk.clicked() {
            if let Some(run) = run {
                let run = Box::new(run.clone());
                ctx.push(Action::Chat(ChatAction::UseRun { run, checkpoint: None }));
            }
            ctx.push(Action::Open(crate::panels::chat::PANEL.panel_id()));
        }
        if button(ui, Some(Icon::Export), ctx.t(&words::EXPORT)).clicked() {
            if let Some(run) = run {
                let run = Box::new(run.clone());
                ctx.push(Action::Export(ExportAction::UseRun { run, checkpoint: None }));
            }
            ctx.push(Action::Open(crate::panels::export::PANEL.panel_id()));
        }
        if button(ui, Some(Icon::FolderOpen), ctx.t(&words::OPEN_FOLDER)).clicked() {
            ctx.push(Action::Desktop(DesktopRequest::Open(folder)));
        }
        if resumable {
            resume(ui, ctx);
        }
    });
}

/// The run as the list of runs has it; the list is read again when a run ends.
fn report<'a>(ctx: &PanelCtx<'a>) -> Option<&'a RunReport> {
    ctx.state.runs.find(ctx.state.train.dir.as_ref()?)
}

/// Where there is something to go on from.
fn resume(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    let train = &ctx.state.train;
    let listed = report(ctx).is_some_and(|run| run.state == RunState::Unfinished);
    if (listed || !train.history.saved.is_empty())
        && let Some(dir) = &train.dir
        && button(ui, Some(Icon::Play), ctx.t(&words::RESUME_RUN)).clicked()
    {
        ctx.push(Action::Train(TrainAction::Resume(dir.clone())));
    }
}

fn head(ui: &mut Ui, text: &str) {
    ui.label(RichText::new(text).family(semibold()).color(ui.tokens().text_strong));
}

fn surface(ui: &mut Ui, fill: Color32, icon: Icon, colour: Color32, contents: impl FnOnce(&mut Ui)) {
    Frame::new().fill(fill).corner_radius(8).inner_margin(Margin::symmetric(14, 10)).show(ui, |ui| {
        ui.horizontal_top(|ui| {
            icon.ui(ui, 18.0, colour);
            ui.vertical(|ui| {
                ui.set_width(ui.available_width());
                ui.spacing_mut().item_spacing.y = 4.0;
                contents(ui);
            });
        });
    });
}
