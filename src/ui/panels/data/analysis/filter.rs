//! Which rows are left out of the filtered file, and what became of it.

use egui::{Label, RichText, Ui};
use protocol::{Analysis, AnalysisChecks, FilterReport, FilterRequest};

use super::push;
use crate::action::Action;
use crate::desktop::DesktopRequest;
use crate::panels::PanelCtx;
use crate::state::analysis::AnalysisAction;
use crate::theme::UiTokens;
use crate::widgets::chip::{Tri, chip};
use crate::widgets::{Icon, button, card, field, hint, number, section, toggle, washed};
use crate::words::analysis as words;

/// The share that is kept when somebody first asks for one (Li et al. 2024 take 5 to 15 %).
const SHARE: f64 = 0.1;
/// Languages that are offered.
const LANGUAGES: usize = 12;

pub(super) fn ui(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    let analysis = &ctx.state.data.analysis;
    let (checks, mut filter) = (&analysis.checks, analysis.filter.clone());
    card(ui, |ui| {
        section(ui, ctx.t(&words::FILTER));
        able(ui, ctx, checks.near_duplicates.is_some(), &mut filter.near_duplicates, &words::DROP_NEAR);
        able(ui, ctx, checks.leaks, &mut filter.leaks, &words::DROP_LEAKS);
        able(ui, ctx, !checks.contamination.is_empty(), &mut filter.contaminated, &words::DROP_CONTAMINATED);
        able(ui, ctx, checks.diverse.is_some(), &mut filter.diverse, &words::KEEP_DIVERSE);
        hardest(ui, ctx, checks, &mut filter);
        languages(ui, ctx, analysis.work.value.as_deref(), &mut filter.languages);
        ui.add_space(2.0);
        let write = button(ui, Some(Icon::Filter), ctx.t(&words::WRITE));
        if write.on_hover_text(ctx.t(&words::WRITE_HELP)).clicked() {
            push(ctx, AnalysisAction::Write);
        }
    });
    if filter != analysis.filter {
        push(ctx, AnalysisAction::Filter(Box::new(filter)));
    }
}

/// A switch that does something only where the check is made; else it is not shown.
fn able(ui: &mut Ui, ctx: &PanelCtx<'_>, made: bool, on: &mut bool, name: &protocol::Text) {
    if made {
        toggle(ui, on, ctx.t(name));
    }
}

fn hardest(ui: &mut Ui, ctx: &PanelCtx<'_>, checks: &AnalysisChecks, filter: &mut FilterRequest) {
    if !checks.ifd {
        return;
    }
    let mut on = filter.ifd_share.is_some();
    let response = toggle(ui, &mut on, ctx.t(&words::KEEP_IFD)).on_hover_text(ctx.t(&words::KEEP_IFD_HELP));
    if response.changed() {
        filter.ifd_share = on.then_some(SHARE);
    }
    if let Some(share) = &mut filter.ifd_share {
        let mut percent = *share * 100.0;
        let name = ctx.t(&words::KEEP_IFD);
        let changed = field(ui, "", "", |ui| {
            let slider = egui::Slider::new(&mut percent, 1.0..=100.0).suffix(" %").max_decimals(0);
            ui.spacing_mut().slider_width = (ui.available_width() - 72.0).clamp(40.0, 140.0);
            let response = ui.add(slider);
            response.widget_info(|| egui::WidgetInfo::slider(true, percent, name));
            response
        })
        .changed();
        if changed {
            *share = percent.round() / 100.0;
        }
    }
}

/// Chips of those that were found; none chosen keeps all.
fn languages(ui: &mut Ui, ctx: &PanelCtx<'_>, found: Option<&Analysis>, kept: &mut Vec<String>) {
    let Some(found) = found.filter(|found| found.languages.len() > 1) else { return };
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing = egui::vec2(4.0, 4.0);
        ui.label(RichText::new(ctx.t(&words::KEEP_LANGUAGES)).color(ui.tokens().text_weak));
        let all = chip(ui, if kept.is_empty() { Tri::On } else { Tri::Off }, ctx.t(&words::KEEP_ALL));
        if all.clicked() {
            kept.clear();
        }
        for language in found.languages.iter().filter(|it| !it.code.is_empty()).take(LANGUAGES) {
            let on = kept.contains(&language.code);
            if chip(ui, if on { Tri::On } else { Tri::Off }, ctx.t(&language.name)).clicked() {
                if on {
                    kept.retain(|code| *code != language.code);
                } else {
                    kept.push(language.code.clone());
                }
            }
        }
    });
}

/// What was written and what was left out, with the way to train on it.
pub(super) fn report(ui: &mut Ui, ctx: &PanelCtx<'_>, report: &FilterReport) {
    let tokens = ui.tokens();
    washed(ui, tokens.success_wash, Icon::Check, tokens.success, |ui| {
        let kept = number::count(report.kept);
        let name = report.out.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let title = protocol::text!("{kept} rows written to {name}", "已将 {kept} 行写入 {name}");
        let title = RichText::new(ctx.t(&title)).color(tokens.text_strong);
        ui.add(Label::new(title).wrap()).on_hover_text(report.out.display().to_string());
        for (reason, count) in &report.dropped {
            hint(ui, &format!("− {}  {}", number::count(*count), ctx.t(reason)));
        }
        ui.horizontal_wrapped(|ui| {
            if button(ui, Some(Icon::Data), ctx.t(&words::TRAIN_ON_IT)).clicked() {
                train_on(ctx, &report.out);
            }
            if button(ui, Some(Icon::FolderOpen), ctx.t(&words::OPEN_FOLDER)).clicked() {
                let folder = report.out.parent().map(|folder| folder.display().to_string());
                ctx.push(Action::Desktop(DesktopRequest::Open(folder.unwrap_or_default())));
            }
        });
    });
}

/// The file takes the place of the training files; it is read as its rows were.
fn train_on(ctx: &PanelCtx<'_>, file: &std::path::Path) {
    let mut config = ctx.state.project.config.clone();
    config.data.train = vec![file.to_path_buf()];
    ctx.edit(config);
}
