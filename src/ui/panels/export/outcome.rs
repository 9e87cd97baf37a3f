//! The button, the work, and what came of it.

use egui::{CollapsingHeader, Frame, Label, Margin, RichText, Ui};
use protocol::{ExportReport, MergeReport, Text, VerifyReport, text};

use super::load;
use crate::action::Action;
use crate::desktop::DesktopRequest;
use crate::panels::PanelCtx;
use crate::state::export::{ExportAction, GGUF, request};
use crate::state::hub::HubAction;
use crate::theme::{UiTokens, semibold};
use crate::widgets::number::{bytes, duration, scientific};
use crate::widgets::work::Work;
use crate::widgets::{Icon, button, card, error_box, hint, notice, primary_button, section, washed};
use crate::words::export as words;

/// Files of a report that are listed.
const LISTED: usize = 40;

pub(super) fn ui(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    let export = &ctx.state.export;
    if export.is_busy() {
        return work(ui, ctx);
    }
    if let Some(error) = &export.export.error {
        section(ui, ctx.t(&words::FAILED));
        error_box(ui, ctx, error);
        ui.add_space(6.0);
    }
    if export.stopped {
        notice(ui, ctx, &words::STOPPED);
        ui.add_space(6.0);
    }
    match &export.export.value {
        Some(report) => done(ui, ctx, report),
        None => start(ui, ctx),
    }
}

fn start(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    let state = ctx.state;
    let fits = state.export.forecast.value.is_none_or(|forecast| forecast.fits());
    let taken = state.is_at_work();
    let ready = state.engine.is_ready() && fits && !taken && request(state).is_some();
    if primary_button(ui, Some(Icon::Export), ctx.t(&words::EXPORT), ready).clicked() {
        ctx.push(Action::Export(ExportAction::Start));
    }
    if taken {
        hint(ui, ctx.t(&crate::words::work::ANOTHER));
    } else if state.train.is_active() {
        hint(ui, ctx.t(&words::WAITS_BEFORE));
    }
}

fn work(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    let export = &ctx.state.export;
    let about = export.wanted.as_ref().map(|wanted| wanted.out.display().to_string()).unwrap_or_default();
    let work = Work {
        progress: export.export.progress.as_ref(),
        about: &about,
        waits: ctx.state.train.is_active().then_some(&words::WAITS),
        stop: &words::STOP,
        stopping: export.stopping,
    };
    if work.ui(ui, ctx) {
        ctx.push(Action::Export(ExportAction::Stop));
    }
}

fn done(ui: &mut Ui, ctx: &PanelCtx<'_>, report: &ExportReport) {
    card(ui, |ui| {
        ui.horizontal(|ui| {
            let tokens = ui.tokens();
            let sound = report.verify.as_ref().is_none_or(|verify| verify.passed);
            let (icon, colour, title) = if sound {
                (Icon::Check, tokens.success, &words::DONE)
            } else {
                (Icon::Warning, tokens.error, &words::WRITTEN)
            };
            icon.ui(ui, 16.0, colour);
            ui.label(RichText::new(ctx.t(title)).family(semibold()).color(tokens.text_strong));
            let figures = format!("{} · {}", bytes(report.bytes), ctx.t(&duration(report.seconds)));
            ui.label(RichText::new(figures).color(tokens.text_weak));
        });
        match &report.verify {
            Some(verify) => verdict(ui, ctx, verify),
            None => {
                hint(ui, ctx.t(&words::UNCHECKED));
            }
        }
        if let Some(merge) = &report.merge {
            hint(ui, ctx.t(&merges(merge)));
        }
        for note in &report.notes {
            notice(ui, ctx, note);
        }
        written(ui, ctx, report);
    });
}

/// What the comparison of the written model with the live one found, in plain words and in figures.
fn verdict(ui: &mut Ui, ctx: &PanelCtx<'_>, verify: &VerifyReport) {
    let tokens = ui.tokens();
    let all_equal = verify.greedy_equal == verify.greedy_total;
    let (words, icon, colour, fill) = match (verify.passed, all_equal) {
        (true, true) => (&words::SAME, Icon::Check, tokens.success, tokens.success_wash),
        (true, false) => (&words::NEARLY_SAME, Icon::Check, tokens.success, tokens.success_wash),
        (false, _) => (&words::DIFFERENT, Icon::Error, tokens.error, tokens.error_wash),
    };
    let mend = (!verify.passed).then_some(&words::DIFFERENT_MEND);
    washed(ui, fill, icon, colour, |ui| {
        wrapped(ui, RichText::new(ctx.t(words)).color(tokens.text_strong));
        wrapped(ui, RichText::new(ctx.t(&figures(verify))).small().color(tokens.text));
        if let Some(mend) = mend {
            wrapped(ui, RichText::new(ctx.t(mend)).color(tokens.text));
        }
    });
}

fn figures(verify: &VerifyReport) -> Text {
    let (equal, total, rows, tokens) = (verify.greedy_equal, verify.greedy_total, verify.rows, verify.tokens);
    let largest = scientific(verify.max_abs_logit_difference);
    let allowed = scientific(verify.allowed_difference);
    text!(
        "{equal} of {total} greedy answers equal · largest logit difference {largest} (allowed {allowed}) · {rows} rows, {tokens} tokens",
        "{total} 个贪心回答中 {equal} 个一致 · 最大 logit 差 {largest}（允许 {allowed}）· {rows} 行，{tokens} 个词元"
    )
}

/// Both ways to merge, by their mean distance from what was trained.
fn merges(merge: &MergeReport) -> Text {
    let kind = &merge.quantization;
    let (original, dequantised) = (scientific(merge.original.mean), scientific(merge.dequantised.mean));
    let (most, most_dequantised) = (scientific(merge.original.max), scientific(merge.dequantised.max));
    text!(
        "Logits against the {kind} model as trained, mean (largest) difference: original weights {original} ({most}), dequantised weights {dequantised} ({most_dequantised})",
        "与训练时 {kind} 模型的 logits 平均（最大）差：原始权重 {original}（{most}），反量化权重 {dequantised}（{most_dequantised}）"
    )
}

fn wrapped(ui: &mut Ui, text: RichText) {
    ui.add(Label::new(text).wrap().selectable(true));
}

fn written(ui: &mut Ui, ctx: &PanelCtx<'_>, report: &ExportReport) {
    let path = report.dir.display().to_string();
    ui.add_space(2.0);
    wrapped(ui, RichText::new(&path).monospace().color(ui.tokens().text));
    ui.horizontal_wrapped(|ui| {
        if button(ui, Some(Icon::FolderOpen), ctx.t(&words::OPEN_FOLDER)).clicked() {
            ctx.push(Action::Desktop(DesktopRequest::Open(path.clone())));
        }
        if button(ui, Some(Icon::Copy), ctx.t(&words::COPY_PATH)).clicked() {
            ui.ctx().copy_text(path.clone());
        }
        if !ctx.state.engine.catalog.hubs.is_empty()
            && button(ui, Some(Icon::Upload), ctx.t(&crate::words::hub::PUBLISH_MORE)).clicked()
        {
            ctx.push(Action::Hub(HubAction::Publish(report.dir.clone())));
        }
        if button(ui, Some(Icon::Refresh), ctx.t(&words::AGAIN)).clicked() {
            ctx.push(Action::Export(ExportAction::Dismiss));
        }
    });
    let count = report.files.len();
    CollapsingHeader::new(format!("{} ({count})", ctx.t(&words::FILES))).id_salt("files").show(ui, |ui| {
        for file in report.files.iter().take(LISTED) {
            ui.label(RichText::new(file).small().monospace());
        }
        if count > LISTED {
            let more = count - LISTED;
            ui.label(RichText::new(ctx.t(&text!("{more} more", "另有 {more} 个"))).small());
        }
    });
    let wanted = ctx.state.export.wanted.as_ref();
    let gguf = wanted.is_some_and(|wanted| wanted.target.0 == GGUF);
    let title = if gguf { &words::RUN_IT } else { &words::LOAD_IT };
    CollapsingHeader::new(ctx.t(title)).id_salt("load").show(ui, |ui| {
        let code =
            if gguf { load::commands(&report.dir, &report.files) } else { load::python(wanted, &report.dir) };
        Frame::new().fill(ui.tokens().field).corner_radius(6).inner_margin(Margin::same(10)).show(ui, |ui| {
            ui.set_width(ui.available_width());
            wrapped(ui, RichText::new(&code).monospace());
        });
        if button(ui, Some(Icon::Copy), ctx.t(&words::COPY_CODE)).clicked() {
            ui.ctx().copy_text(code.clone());
        }
    });
}
