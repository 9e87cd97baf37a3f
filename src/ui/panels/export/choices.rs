//! What kind of folder, how numbers are stored, and where it goes.

use std::path::Path;

use egui::{DragValue, Frame, Label, Margin, RichText, Sense, Stroke, TextEdit, Ui, WidgetInfo};
use protocol::{Descriptor, MergeInto, Text};

use crate::action::Action;
use crate::desktop::{DesktopRequest, Purpose};
use crate::panels::PanelCtx;
use crate::state::export::{
    ADAPTER, ExportAction, ExportChoices, MERGED, dtypes, has_adapter, merge_param, out,
};
use crate::theme::{UiTokens, semibold};
use crate::widgets::{button, card, field, hint, section, segmented, toggle};
use crate::words::export as words;

/// Names that people know are not translated.
static F32: Text = Text::fixed("32-bit", "32 位");
static BF16: Text = Text::fixed("bf16", "bf16");
static F16: Text = Text::fixed("f16", "f16");
static Q8_0: Text = Text::fixed("8-bit", "8 位");

pub(super) fn ui(ui: &mut Ui, ctx: &PanelCtx<'_>, name: &mut Option<String>) {
    let mut choices = ctx.state.export.choices.clone();
    card(ui, |ui| {
        section(ui, ctx.t(&words::AS));
        targets(ui, ctx, &mut choices);
        // Another target may know other ways.
        let offered = dtypes(ctx.state, &choices.target);
        if !offered.is_empty() {
            if !offered.contains(&choices.dtype) {
                choices.dtype.clone_from(&offered[0]);
            }
            ui.add_space(2.0);
            stored(ui, ctx, &mut choices);
        }
        merged_into(ui, ctx, &mut choices);
        toggle(ui, &mut choices.verify, ctx.t(&words::VERIFY));
        hint(ui, ctx.t(&words::VERIFY_HELP));
    });
    card(ui, |ui| {
        section(ui, ctx.t(&words::WHERE));
        place(ui, ctx, &mut choices, name);
        size(ui, ctx);
    });
    if choices != ctx.state.export.choices {
        ctx.push(Action::Export(ExportAction::Choose(Box::new(choices))));
    }
}

/// A card a target; no adapter where there is not just one to write.
fn targets(ui: &mut Ui, ctx: &PanelCtx<'_>, choices: &mut ExportChoices) {
    let one = ctx.state.export.source.as_ref().is_none_or(has_adapter);
    let all = &ctx.state.engine.catalog.targets;
    if all.is_empty() {
        hint(ui, ctx.t(&words::NO_TARGETS));
    }
    let offered: Vec<_> = all.iter().filter(|target| one || target.id != ADAPTER).collect();
    // As high as the one with most words, which the frame before tells.
    let id = ui.scope_id().with("target cards");
    let height = ui.data(|data| data.get_temp(id)).unwrap_or(52.0);
    let mut highest: f32 = 52.0;
    ui.columns(offered.len().max(2), |uis| {
        for (ui, target) in uis.iter_mut().zip(&offered) {
            let (clicked, words) = target_card(ui, ctx, target, choices.target == target.id, height);
            highest = highest.max(words);
            if clicked {
                choices.target.clone_from(&target.id);
            }
        }
    });
    if (highest - height).abs() > 0.5 {
        ui.data_mut(|data| data.insert_temp(id, highest));
        ui.ctx().request_repaint();
    }
}

/// Whether it was clicked, and how high its words are.
fn target_card(ui: &mut Ui, ctx: &PanelCtx<'_>, target: &Descriptor, on: bool, height: f32) -> (bool, f32) {
    let tokens = ui.tokens();
    let fill = if on { tokens.accent_wash } else { tokens.hover };
    let stroke = if on { Stroke::new(1.0, tokens.accent) } else { Stroke::new(1.0, fill) };
    let frame =
        Frame::new().fill(fill).stroke(stroke).corner_radius(7).inner_margin(Margin::symmetric(12, 9));
    let left = egui::Layout::top_down(egui::Align::LEFT);
    let inner = frame.show(ui, |ui| {
        ui.set_width(ui.available_width());
        ui.set_min_height(height);
        let words = ui.with_layout(left, |ui| {
            let name = RichText::new(ctx.t(&target.name)).family(semibold()).color(tokens.text_strong);
            ui.add(Label::new(name).selectable(false));
            let help = RichText::new(ctx.t(&target.help)).small().color(tokens.text_weak);
            ui.add(Label::new(help).wrap().selectable(false));
            ui.min_rect().height()
        });
        words.inner
    });
    let response = ui.interact(inner.response.rect, ui.scope_id().with(&target.id), Sense::click());
    let enabled = ui.is_enabled();
    response.widget_info(|| WidgetInfo::selected(egui::Role::RadioButton, enabled, on, ctx.t(&target.name)));
    if response.has_focus() {
        let outline = Stroke::new(1.5, tokens.accent);
        ui.painter().rect_stroke(inner.response.rect.expand(2.0), 8.0, outline, egui::StrokeKind::Outside);
    }
    (response.clicked(), inner.inner)
}

/// What is said of a way to store numbers.
fn label<'a>(ctx: &PanelCtx<'a>, id: &'a str) -> &'a str {
    match id {
        "keep" => ctx.t(&words::DTYPE_KEEP),
        "f32" => ctx.t(&F32),
        "bf16" => ctx.t(&BF16),
        "f16" => ctx.t(&F16),
        "q8_0" => ctx.t(&Q8_0),
        other => other,
    }
}

fn stored(ui: &mut Ui, ctx: &PanelCtx<'_>, choices: &mut ExportChoices) {
    let offered = dtypes(ctx.state, &choices.target);
    let shown: Vec<_> = offered.iter().map(|id| (id.as_str(), label(ctx, id))).collect();
    let current = choices.dtype.clone();
    field(ui, ctx.t(&words::STORED), ctx.t(&words::DTYPE_HELP), |ui| {
        let inner = ui.scope(|ui| segmented(ui, current.as_str(), &shown));
        if let Some(dtype) = inner.inner {
            dtype.clone_into(&mut choices.dtype);
        }
        inner.response
    });
    if ctx.state.preferences.expert && choices.target == MERGED {
        field(ui, ctx.t(&words::SHARD), ctx.t(&words::SHARD_HELP), |ui| {
            ui.add(DragValue::new(&mut choices.shard_gib).range(1..=1024).suffix(" GB"))
        });
    }
}

/// Which weights an adapter of a quantised model goes into.
fn merged_into(ui: &mut Ui, ctx: &PanelCtx<'_>, choices: &mut ExportChoices) {
    let Some(param) = merge_param(ctx.state) else { return };
    let words = [ctx.t(&words::MERGE_ORIGINAL), ctx.t(&words::MERGE_DEQUANTISED)];
    let shown: Vec<_> = MergeInto::ALL.into_iter().zip(words).collect();
    field(ui, ctx.t(&param.name), ctx.t(&param.help), |ui| {
        let inner = ui.scope(|ui| segmented(ui, choices.merge_into, &shown));
        if let Some(into) = inner.inner {
            choices.merge_into = into;
        }
        inner.response
    });
}

fn place(ui: &mut Ui, ctx: &PanelCtx<'_>, choices: &mut ExportChoices, name: &mut Option<String>) {
    let Some(out) = out(ctx.state) else { return };
    let parent = out.parent().map(Path::to_path_buf).unwrap_or_default();
    field(ui, ctx.t(&words::FOLDER), "", |ui| {
        let response = button(ui, Some(crate::widgets::Icon::Folder), ctx.t(&words::CHOOSE));
        if response.clicked() {
            let request =
                DesktopRequest::PickFolder { purpose: Purpose::ExportFolder, start: Some(parent.clone()) };
            ctx.push(Action::Desktop(request));
        }
        let text = parent.display().to_string();
        ui.add(Label::new(RichText::new(&text).color(ui.tokens().text)).truncate()).on_hover_text(text);
        response
    });
    // While it is being written the field keeps what is written, even nothing.
    let suggested = out.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    if choices.name.is_none() {
        *name = None;
    }
    let mut text = name.clone().unwrap_or(suggested);
    field(ui, ctx.t(&words::NAME), "", |ui| {
        let response = ui.add(TextEdit::singleline(&mut text).desired_width(360.0));
        if response.changed() {
            // A name, not a path: separators would lead elsewhere.
            text.retain(|c| !matches!(c, '/' | '\\' | '\0'));
            choices.name = Some(text.clone());
            *name = Some(text.clone());
        }
        response
    });
}

/// What it takes, and what there is.
fn size(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    use crate::widgets::number::bytes;
    let tokens = ui.tokens();
    let forecast = &ctx.state.export.forecast;
    field(ui, ctx.t(&words::SIZE), "", |ui| match (&forecast.value, &forecast.error) {
        (Some(known), None) => {
            let mut text = bytes(known.bytes);
            if known.free_bytes > 0 {
                text += &format!("  ·  {} {}", bytes(known.free_bytes), ctx.t(&words::FREE));
            }
            let colour = if known.fits() { tokens.text } else { tokens.error };
            ui.label(RichText::new(text).color(colour))
        }
        (None, None) if forecast.is_pending() => {
            ui.label(RichText::new(ctx.t(&words::MEASURING)).color(tokens.text_weak))
        }
        (_, error) => {
            let label = ui.label(RichText::new(ctx.t(&words::UNKNOWN)).color(tokens.text_weak));
            match error {
                Some(error) => label.on_hover_text(ctx.t(&error.what)),
                None => label,
            }
        }
    });
    if let Some(error) = &forecast.error {
        crate::widgets::error_box(ui, ctx, error);
    }
    if forecast.value.is_some_and(|known| !known.fits()) {
        crate::widgets::notice(ui, ctx, &words::NO_ROOM);
    }
}
