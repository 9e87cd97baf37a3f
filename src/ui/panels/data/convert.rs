//! The data in another format: the first rows before and after, and the file.

use egui::{Align, Frame, Label, Layout, Margin, RichText, ScrollArea, Ui};
use protocol::{ConvertReport, ConvertedRow};

use super::tokens::columns;
use crate::action::Action;
use crate::desktop::DesktopRequest;
use crate::panels::PanelCtx;
use crate::state::convert::{ConvertAction, format_now, target};
use crate::state::data::DataAction;
use crate::theme::UiTokens;
use crate::widgets::{
    Dialog, Icon, button, error_box, hint, input, notice, number, outcome, primary_button, washed,
};
use crate::words::convert as words;

fn push(ctx: &PanelCtx<'_>, action: ConvertAction) {
    ctx.push(Action::Data(DataAction::Convert(action)));
}

pub(super) fn ui(egui: &egui::Context, ctx: &PanelCtx<'_>) {
    if !ctx.state.data.convert.open {
        return;
    }
    let window = egui.content_rect().size();
    let dialog = Dialog::new("convert", ctx.t(&words::TITLE), (window.x * 0.7).clamp(360.0, 900.0));
    let dialog = dialog.help(ctx.t(&words::HELP)).height(window.y * 0.62);
    if dialog.show(egui, |ui| body(ui, ctx), |ui| buttons(ui, ctx)) {
        push(ctx, ConvertAction::Close);
    }
}

/// What came of it takes its room from the rows.
fn body(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    formats(ui, ctx);
    let work = &ctx.state.data.convert.work;
    outcome(ui, ctx, work, &words::WRITING, |ui, report| written(ui, ctx, report));
    ui.add_space(4.0);
    let area = ScrollArea::vertical().id_salt("conversion").auto_shrink(false);
    area.max_height(ui.available_height()).show(ui, |ui| rows(ui, ctx));
}

fn formats(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    let from = format_now(ctx.state);
    let named = |id: &str| ctx.state.engine.format_name(id, ctx.language).to_owned();
    let Some(to) = target(ctx.state, &from) else {
        hint(ui, ctx.t(&words::NONE));
        return;
    };
    ui.horizontal(|ui| {
        ui.label(RichText::new(named(&from)).color(ui.tokens().text));
        Icon::ArrowRight.ui(ui, 14.0, ui.tokens().text_weak);
        let mut chosen = to.to_owned();
        let able = &ctx.state.engine.catalog.written_formats;
        let names: Vec<(&str, String)> = able.iter().map(|id| (id.as_str(), named(id))).collect();
        let choices = names.iter().map(|(id, name)| (*id, name.as_str(), ""));
        let response = input::choice(ui, "convert-to", &mut chosen, choices);
        response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::ComboBox, true, ctx.t(&words::TO)));
        if chosen != to {
            push(ctx, ConvertAction::To(chosen));
        }
    });
}

fn rows(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    let preview = &ctx.state.data.convert.preview;
    if let Some(error) = &preview.error {
        return error_box(ui, ctx, error);
    }
    let Some(rows) = &preview.value else {
        hint(ui, ctx.t(&words::READING));
        return;
    };
    for row in rows {
        one(ui, ctx, row);
    }
}

fn one(ui: &mut Ui, ctx: &PanelCtx<'_>, row: &ConvertedRow) {
    let shown = number::count(row.row);
    let head = protocol::text!("row {shown}", "第 {shown} 行");
    ui.label(RichText::new(ctx.t(&head)).small().color(ui.tokens().text_weak));
    columns(ui, |left, right| {
        code(left, &row.before);
        match &row.error {
            Some(error) => notice(right, ctx, error),
            None => code(right, &row.after),
        }
    });
    ui.add_space(4.0);
}

fn code(ui: &mut Ui, text: &str) {
    let tokens = ui.tokens();
    let frame = Frame::new().fill(tokens.field).corner_radius(6).inner_margin(Margin::symmetric(10, 7));
    frame.show(ui, |ui| {
        ui.set_width(ui.available_width());
        // A justified text would lose the spaces that indent it.
        ui.with_layout(Layout::top_down(Align::Min), |ui| {
            let text = RichText::new(text).monospace().size(11.5).color(tokens.text);
            ui.add(Label::new(text).wrap().selectable(true));
        });
    });
}

fn written(ui: &mut Ui, ctx: &PanelCtx<'_>, report: &ConvertReport) {
    let tokens = ui.tokens();
    let (fill, icon, colour) = if report.left_out == 0 {
        (tokens.success_wash, Icon::Check, tokens.success)
    } else {
        (tokens.warning_wash, Icon::Warning, tokens.warning)
    };
    washed(ui, fill, icon, colour, |ui| {
        let name = report.out.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let (rows, size) = (number::count(report.rows), number::bytes(report.bytes));
        let title =
            protocol::text!("{rows} rows written to {name} ({size})", "已将 {rows} 行写入 {name}（{size}）");
        let title = RichText::new(ctx.t(&title)).color(tokens.text_strong);
        ui.add(Label::new(title).wrap()).on_hover_text(report.out.display().to_string());
        if report.left_out > 0 {
            let left_out = number::count(report.left_out);
            let named: Vec<_> = report.left_out_rows.iter().take(8).map(|row| number::count(*row)).collect();
            let named = named.join(", ");
            let text = protocol::text!("{left_out} rows left out: {named}", "略过 {left_out} 行：{named}");
            hint(ui, ctx.t(&text));
        }
        for note in &report.notes {
            hint(ui, ctx.t(note));
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

/// The file takes the place of the training files, its format found anew.
fn train_on(ctx: &PanelCtx<'_>, file: &std::path::Path) {
    let mut config = ctx.state.project.config.clone();
    config.data.train = vec![file.to_path_buf()];
    config.data.format = "auto".into();
    config.data.columns.clear();
    ctx.edit(config);
    push(ctx, ConvertAction::Close);
}

fn buttons(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    let convert = &ctx.state.data.convert;
    let able =
        convert.preview.value.is_some() && convert.preview.error.is_none() && !convert.work.is_pending();
    if primary_button(ui, Some(Icon::Save), ctx.t(&words::WRITE), able).clicked() {
        push(ctx, ConvertAction::Write);
    }
    if button(ui, None, ctx.t(&words::CLOSE)).clicked() {
        push(ctx, ConvertAction::Close);
    }
}
