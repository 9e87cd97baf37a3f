//! Earlier evaluations, of which some can be looked at.

use egui::{Align, Label, Layout, RichText, Sense, Ui};
use egui_extras::{Column, TableBuilder, TableRow};
use protocol::{SuiteLevel, SuiteReport};

use super::figure::Scale;
use super::suite_name;
use super::table::head;
use crate::action::Action;
use crate::panels::PanelCtx;
use crate::state::evaluate::{EvaluateAction, figure, who};
use crate::theme::UiTokens;
use crate::widgets::chip::{Tri, tri_check};
use crate::widgets::{Icon, error_box, hint, icon_button, number, section};
use crate::words::evaluate as words;

const ROW: f32 = 26.0;

pub(super) fn ui(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    let earlier = &ctx.state.evaluate.earlier;
    ui.horizontal(|ui| {
        section(ui, ctx.t(&words::EARLIER));
        hint(ui, ctx.t(&words::EARLIER_HELP));
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if icon_button(ui, Icon::Refresh, ctx.t(&words::REFRESH)).clicked() {
                ctx.push(Action::Evaluate(EvaluateAction::Refresh));
            }
        });
    });
    if let Some(error) = &earlier.error {
        return error_box(ui, ctx, error);
    }
    let reports = earlier.value.as_deref().unwrap_or_default();
    if reports.is_empty() {
        hint(ui, ctx.t(&words::NONE_EARLIER));
        return;
    }
    list(ui, ctx, reports);
}

fn list(ui: &mut Ui, ctx: &PanelCtx<'_>, reports: &[SuiteReport]) {
    let selected = &ctx.state.evaluate.selected;
    let mut clicked = None;
    TableBuilder::new(ui)
        .id_salt("earlier")
        .striped(false)
        .sense(Sense::click())
        .auto_shrink([false, false])
        .cell_layout(Layout::left_to_right(Align::Center))
        .column(Column::exact(22.0))
        .column(Column::remainder().at_least(70.0).clip(true))
        .column(Column::remainder().at_least(90.0).clip(true))
        .column(Column::exact(150.0).clip(true))
        .column(Column::exact(84.0).clip(true))
        .header(22.0, |mut header| {
            header.col(|_| {});
            for word in [&words::SUITE, &words::WHO, &words::RESULT, &words::WHEN] {
                header.col(|ui| head(ui, ctx.t(word), Align::Min));
            }
        })
        .body(|body| {
            body.rows(ROW, reports.len(), |mut row| {
                let report = &reports[row.index()];
                let on = selected.contains(&report.dir);
                row.set_selected(on);
                if line(&mut row, ctx, report, on) || row.response().clicked() {
                    clicked = Some((report.dir.clone(), !on));
                }
            });
        });
    if let Some((dir, on)) = clicked {
        ctx.push(Action::Evaluate(EvaluateAction::Select { dir, on }));
    }
}

fn line(row: &mut TableRow<'_, '_>, ctx: &PanelCtx<'_>, report: &SuiteReport, on: bool) -> bool {
    let mut hit = false;
    let (suite, who, when) = (suite_name(ctx, &report.suite), who(report), number::when(&report.when));
    row.col(|ui| {
        let name = format!("{} {suite} {who} {when}", ctx.t(&words::SELECT));
        hit = tri_check(ui, if on { Tri::On } else { Tri::Off }, &name).clicked();
    });
    let result = result(report);
    for (text, strong) in [(suite, true), (&who, false), (&result, true), (&when, false)] {
        row.col(|ui| {
            let tokens = ui.tokens();
            let colour = if strong { tokens.text_strong } else { tokens.text_weak };
            let label = Label::new(RichText::new(text).color(colour)).truncate().selectable(false);
            ui.add(label).on_hover_text(report.dir.display().to_string());
        });
    }
    hit
}

/// `42.0 % → 61.3 %`: the first figure of the whole.
fn result(report: &SuiteReport) -> String {
    let total = report.rows.iter().find(|row| row.level == SuiteLevel::Total).or(report.rows.first());
    let Some(metric) = total.and_then(|row| row.metrics.first()) else { return "–".to_owned() };
    let scale = Scale::of(report.rows.iter(), &metric.name);
    match (metric.base, metric.tuned) {
        (Some(base), Some(tuned)) => format!("{} → {}", scale.value(base.value), scale.value(tuned.value)),
        _ => figure(metric).map_or_else(|| "–".to_owned(), |value| scale.value(value.value)),
    }
}
