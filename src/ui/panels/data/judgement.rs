//! How long the rows are, and what speaks against them.

use egui::{Label, RichText, ScrollArea, Ui};
use protocol::{Finding, Verdict};

use super::View;
use super::browse::{self, Filter};
use super::rows::waiting;
use super::tokens::surface;
use crate::action::Action;
use crate::frame::summary::severity;
use crate::panels::PanelCtx;
use crate::state::data::DataAction;
use crate::theme::UiTokens;
use crate::widgets::{Icon, error_box, icon_button, number, progress_line, section};
use crate::words::data as words;

pub fn ui(ui: &mut Ui, ctx: &PanelCtx<'_>, view: &mut View) {
    let height = ui.available_height();
    ui.columns(2, |columns| {
        for column in &mut *columns {
            column.set_min_height(height);
            column.set_max_height(height);
        }
        if let [left, right] = columns {
            surface(left, |ui| view.lengths.ui(ui, ctx));
            surface(right, |ui| findings(ui, ctx, view));
        }
    });
}

fn findings(ui: &mut Ui, ctx: &PanelCtx<'_>, view: &mut View) {
    let data = &ctx.state.data;
    ui.horizontal(|ui| {
        section(ui, ctx.t(&words::VERDICT));
        if let Some(verdict) = data.newest_verdict() {
            let text = RichText::new(totals(ctx, verdict)).small().color(ui.tokens().text_weak);
            ui.add(Label::new(text).truncate());
        }
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            if data.verdict.is_pending() {
                waiting(ui);
            } else if icon_button(ui, Icon::Refresh, ctx.t(&words::CHECK_AGAIN)).clicked() {
                ctx.push(Action::Data(DataAction::Check));
            }
        });
    });
    ScrollArea::vertical().id_salt("findings").auto_shrink(false).show(ui, |ui| {
        ui.spacing_mut().item_spacing.y = 4.0;
        if let Some(progress) = &data.verdict.progress {
            progress_line(ui, ctx, progress);
        }
        if let Some(error) = &data.verdict.error {
            // What stopped the rows from being shown is told there.
            if data.page.error.as_ref() != Some(error) {
                error_box(ui, ctx, error);
            }
            return;
        }
        let Some(verdict) = data.newest_verdict() else {
            if !data.verdict.is_pending() {
                crate::widgets::hint(ui, ctx.t(&words::NO_LENGTHS));
            }
            return;
        };
        if verdict.findings.is_empty() && !data.verdict.is_pending() {
            ui.horizontal(|ui| {
                Icon::Check.ui(ui, 15.0, ui.tokens().success);
                ui.label(ctx.t(&words::NOTHING_WRONG));
            });
        }
        for finding in &verdict.findings {
            line(ui, ctx, view, verdict, finding);
        }
    });
}

/// `400 rows · 96.2 K tokens · 31.0 K learned · 12 % padding`
fn totals(ctx: &PanelCtx<'_>, verdict: &Verdict) -> String {
    let rows = number::count(verdict.usable_rows + verdict.validation_rows);
    let (tokens, learned) = (number::short(verdict.tokens), number::short(verdict.learned_tokens));
    let text = protocol::text!(
        "{rows} rows · {tokens} tokens · {learned} learned",
        "{rows} 行 · {tokens} 词元 · {learned} 计入损失"
    );
    let padding = verdict.padding.map(|padding| {
        let percent = protocol::Padding::percent(padding.share);
        protocol::text!(" · {percent} padding", " · 填充 {percent}")
    });
    ctx.t(&text).to_owned() + padding.as_ref().map_or("", |text| ctx.t(text))
}

fn line(ui: &mut Ui, ctx: &PanelCtx<'_>, view: &mut View, verdict: &Verdict, finding: &Finding) {
    let (icon, colour) = severity(ui.tokens(), finding.severity);
    ui.horizontal_top(|ui| {
        icon.ui(ui, 15.0, colour);
        ui.vertical(|ui| {
            ui.spacing_mut().item_spacing.y = 2.0;
            let response = ui.add(Label::new(ctx.t(&finding.text)).wrap());
            if let Some(mend) = &finding.mend {
                response.on_hover_text(ctx.t(mend));
            }
            ui.horizontal_wrapped(|ui| {
                ui.spacing_mut().item_spacing = egui::vec2(4.0, 4.0);
                if !finding.rows.is_empty() && small_button(ui, ctx.t(&words::SHOW_ROWS)) {
                    let first = browse::first_row(verdict, finding);
                    let rows: Vec<_> = finding.rows.iter().map(|row| first + row.saturating_sub(1)).collect();
                    view.show_rows(Filter::Finding(finding.kind), &rows);
                }
                for remedy in &finding.remedies {
                    if small_button(ui, ctx.t(&remedy.label)) {
                        ctx.push(Action::Mend(remedy.clone()));
                    }
                }
            });
        });
    });
}

fn small_button(ui: &mut Ui, text: &str) -> bool {
    let text = RichText::new(text).small().color(ui.tokens().text);
    ui.add(egui::Button::new(text).min_size(egui::vec2(0.0, 21.0))).clicked()
}
