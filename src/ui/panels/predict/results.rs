//! How far the prediction is, what came of it, and the rows.

use egui::{Frame, Label, Margin, Panel as SidePanel, RichText, Ui};
use protocol::{PredictReport, Text, text};

use super::table::Table;
use super::{detail, scores};
use crate::action::Action;
use crate::desktop::DesktopRequest;
use crate::panels::PanelCtx;
use crate::state::predict::PredictAction;
use crate::theme::{UiTokens, semibold};
use crate::widgets::number::{count, duration};
use crate::widgets::work::Work;
use crate::widgets::{Icon, button, error_box, notice, primary_button, washed};
use crate::words::predict as words;

/// From this width on, scores stand beside the rows.
const WIDE: f32 = 700.0;
const SCORES: f32 = 272.0;

pub(super) fn ui(ui: &mut Ui, ctx: &PanelCtx<'_>, table: &mut Table) {
    let predict = &ctx.state.predict;
    head(ui, ctx);
    ui.add_space(6.0);
    let scored =
        predict.answers.labelled > 0 || predict.work.value.as_ref().is_some_and(|it| !it.scores.is_empty());
    if scored && ui.available_width() >= WIDE {
        SidePanel::right("predict-scores")
            .frame(Frame::new().inner_margin(Margin { left: 14, ..Margin::ZERO }))
            .show_separator_line(false)
            .resizable(false)
            .exact_size(SCORES)
            .show(ui, |ui| scores::ui(ui, ctx));
    } else if scored {
        scores::line(ui, ctx);
    }
    detail::ui(ui, ctx, table);
    table.ui(ui, ctx);
}

fn head(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    let predict = &ctx.state.predict;
    let about = predict.wanted.as_ref().map(|wanted| wanted.output.display().to_string()).unwrap_or_default();
    if predict.is_busy() {
        let work = Work {
            progress: predict.work.progress.as_ref(),
            about: &about,
            waits: ctx.state.train.is_active().then_some(&words::WAITS),
            stop: &words::STOP,
            stopping: predict.stopping,
        };
        if work.ui(ui, ctx) {
            ctx.push(Action::Predict(PredictAction::Stop));
        }
        return;
    }
    if let Some(error) = &predict.work.error {
        ui.label(RichText::new(ctx.t(&words::FAILED)).family(semibold()).color(ui.tokens().text_strong));
        error_box(ui, ctx, error);
        ui.horizontal(|ui| go_on(ui, ctx));
    } else if let Some(report) = &predict.work.value {
        ended(ui, ctx, report);
    }
}

/// Goes on behind the rows that are there.
fn go_on(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    if primary_button(ui, Some(Icon::Play), ctx.t(&words::GO_ON), ctx.state.engine.is_ready()).clicked() {
        ctx.push(Action::Predict(PredictAction::Start));
    }
}

fn ended(ui: &mut Ui, ctx: &PanelCtx<'_>, report: &PredictReport) {
    let tokens = ui.tokens();
    let sound = report.complete && report.failed == 0;
    let (fill, icon, colour) = if sound {
        (tokens.success_wash, Icon::Check, tokens.success)
    } else {
        (tokens.warning_wash, Icon::Warning, tokens.warning)
    };
    let title = match (report.complete, report.failed) {
        (true, 0) => &words::FINISHED,
        (true, _) => &words::FINISHED_BUT,
        (false, _) => &words::STOPPED,
    };
    washed(ui, fill, icon, colour, |ui| {
        ui.label(RichText::new(ctx.t(title)).family(semibold()).color(tokens.text_strong));
        let figures = RichText::new(ctx.t(&figures(report))).color(tokens.text);
        ui.add(Label::new(figures).wrap());
        let path = report.output.display().to_string();
        ui.add(Label::new(RichText::new(&path).small().color(tokens.text_weak)).truncate())
            .on_hover_text(&path);
        ui.add_space(2.0);
        ui.horizontal_wrapped(|ui| {
            if !report.complete {
                go_on(ui, ctx);
            }
            let folder = report.output.parent().map(|folder| folder.display().to_string());
            if button(ui, Some(Icon::FolderOpen), ctx.t(&words::OPEN_FOLDER)).clicked() {
                ctx.push(Action::Desktop(DesktopRequest::Open(folder.unwrap_or_default())));
            }
            if button(ui, Some(Icon::Copy), ctx.t(&words::COPY_PATH)).clicked() {
                ui.ctx().copy_text(path.clone());
            }
        });
    });
    for note in &report.notes {
        notice(ui, ctx, note);
    }
}

/// `1 200 rows · 312 from before · 3 without an answer · 2 min 10 s · 1 840 tokens/s`
fn figures(report: &PredictReport) -> Text {
    let rows = count(report.rows);
    let mut parts = vec![text!("{rows} rows", "{rows} 行")];
    if report.resumed > 0 {
        let resumed = count(report.resumed);
        parts.push(text!("{resumed} from before", "其中 {resumed} 行为先前已有"));
    }
    if report.failed > 0 {
        let failed = count(report.failed);
        parts.push(text!("{failed} without an answer", "{failed} 行无回答"));
    }
    parts.push(duration(report.seconds));
    if report.seconds > 0.0 {
        let speed = count((report.tokens as f64 / report.seconds).round() as u64);
        parts.push(text!("{speed} tokens/s", "{speed} 词元/秒"));
    }
    let joined = |pick: fn(&Text) -> &str| parts.iter().map(pick).collect::<Vec<_>>().join(" · ");
    Text::new(joined(|text| &text.en), joined(|text| &text.zh))
}
