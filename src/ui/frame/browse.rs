//! The dialog for files of another machine.

use std::path::Path;

use egui::{Align, Context, Label, Layout, RichText, ScrollArea, Ui, Vec2};
use protocol::{EntryKind, FolderEntry, FolderReport, Text, text};

use crate::action::Action;
use crate::panels::PanelCtx;
use crate::state::browse::{Browse, BrowseAction, Pick, joined};
use crate::theme::{Tokens, UiTokens};
use crate::widgets::button::icon_button_enabled;
use crate::widgets::row::ROW;
use crate::widgets::{
    Dialog, Icon, button, error_box, hint, input, number, primary_button, row, rows, toggle, well,
};
use crate::words::{frame, hosting as words};

/// Of the contents, in points.
const WIDTH: f32 = 684.0;
const HEIGHT: f32 = 400.0;
const PLACES: f32 = 130.0;
/// The field for the name of a file that is written, with the gap above it.
const NAME: f32 = 38.0;

pub fn ui(egui: &Context, ctx: &PanelCtx<'_>) {
    let Some(browse) = &ctx.state.browse else { return };
    let host = ctx.state.other_machine().unwrap_or_default();
    let title = text!("Files on {host}", "{host} 上的文件");
    let dialog = Dialog::new("browse", ctx.t(&title), WIDTH).height(HEIGHT);
    if dialog.show(egui, |ui| body(ui, ctx, browse), |ui| buttons(ui, ctx, browse)) {
        push(ctx, BrowseAction::Close);
    }
}

fn body(ui: &mut Ui, ctx: &PanelCtx<'_>, browse: &Browse) {
    way(ui, ctx, browse);
    ui.add_space(4.0);
    let below = if browse.pick == Pick::Save { NAME } else { 0.0 };
    let height = ui.available_height() - below;
    ui.horizontal_top(|ui| {
        places(ui, ctx, browse, height);
        ui.add_space(4.0);
        ui.vertical(|ui| {
            well(ui, |ui| {
                ui.set_height(height - 16.0);
                entries(ui, ctx, browse);
            });
        });
    });
    if browse.pick == Pick::Save {
        name(ui, ctx, browse);
    }
}

fn push(ctx: &PanelCtx<'_>, action: BrowseAction) {
    ctx.push(Action::Browse(action));
}

/// The way up, and the folder to be typed.
fn way(ui: &mut Ui, ctx: &PanelCtx<'_>, browse: &Browse) {
    ui.horizontal(|ui| {
        let report = browse.listing.value.as_deref();
        let parent = report.and_then(|report| report.parent.clone());
        if icon_button_enabled(ui, Icon::ArrowUp, ctx.t(&words::UP), parent.is_some()).clicked()
            && let Some(parent) = parent
        {
            push(ctx, BrowseAction::Go(parent));
        }
        let dir = report.map(|report| report.dir.display().to_string()).unwrap_or_default();
        let (response, typed) = input::committed(ui, "browse-dir", &dir, ui.available_width());
        named(&response, ctx.t(&words::PATH), &dir);
        if let Some(typed) = typed {
            push(ctx, BrowseAction::Go(typed.trim().into()));
        }
    });
}

fn places(ui: &mut Ui, ctx: &PanelCtx<'_>, browse: &Browse, height: f32) {
    ui.allocate_ui_with_layout(Vec2::new(PLACES, height), Layout::top_down(Align::Min), |ui| {
        ui.set_min_size(Vec2::new(PLACES, height));
        ui.spacing_mut().item_spacing.y = 0.0;
        ui.label(RichText::new(ctx.t(&words::PLACES)).small().color(ui.tokens().text_weak));
        ui.add_space(4.0);
        let go = |ui: &mut Ui, name: &str, dir: &Path| {
            let clicked = row(ui, false, name, |ui| {
                Icon::Folder.ui(ui, 14.0, ui.tokens().text_weak);
                ui.add(Label::new(RichText::new(name).color(ui.tokens().text)).truncate().selectable(false));
            });
            if clicked.clicked() {
                push(ctx, BrowseAction::Go(dir.to_path_buf()));
            }
        };
        match &browse.listing.value {
            Some(report) => report.places.iter().for_each(|place| go(ui, ctx.t(&place.name), &place.dir)),
            // A folder that cannot be read leaves one way: to the beginning.
            None if browse.listing.error.is_some() => go(ui, "~", Path::new("")),
            None => {}
        }
    });
}

fn entries(ui: &mut Ui, ctx: &PanelCtx<'_>, browse: &Browse) {
    if let Some(error) = &browse.listing.error {
        error_box(ui, ctx, error);
    }
    let Some(report) = &browse.listing.value else {
        if browse.listing.is_pending() {
            hint(ui, ctx.t(&words::READING));
        }
        return;
    };
    let entries = browse.entries();
    if entries.is_empty() {
        hint(ui, ctx.t(&words::EMPTY));
    }
    let below = if report.left_out > 0 { 20.0 } else { 0.0 };
    let area = ScrollArea::vertical().id_salt("browse-entries").auto_shrink(false);
    area.max_height((ui.available_height() - below).max(60.0)).show(ui, |ui| {
        rows(ui, ROW, entries.len(), |ui, index| entry(ui, ctx, browse, report, entries[index]));
    });
    if report.left_out > 0 {
        let left_out = number::count(report.left_out);
        hint(ui, ctx.t(&text!("{left_out} more are not shown", "另有 {left_out} 项未显示")));
    }
}

/// One click chooses, two open a folder or take a file.
fn entry(ui: &mut Ui, ctx: &PanelCtx<'_>, browse: &Browse, report: &FolderReport, entry: &FolderEntry) {
    let on = browse.chosen.contains(&entry.name);
    let response = row(ui, on, &entry.name, |ui| line(ui, ctx, entry));
    let folder = entry.kind.is_folder();
    if response.double_clicked() {
        if folder {
            return push(ctx, BrowseAction::Go(joined(&report.dir, &entry.name)));
        }
        if !on {
            push(ctx, BrowseAction::Choose(entry.name.clone()));
        }
        push(ctx, BrowseAction::Take);
    } else if response.clicked() {
        // A folder is gone into where files are wanted.
        push(
            ctx,
            match folder && browse.pick != Pick::Folder {
                true => BrowseAction::Go(joined(&report.dir, &entry.name)),
                false => BrowseAction::Choose(entry.name.clone()),
            },
        );
    }
}

fn line(ui: &mut Ui, ctx: &PanelCtx<'_>, entry: &FolderEntry) {
    let tokens = ui.tokens();
    let (icon, colour, told) = look(tokens, entry.kind);
    icon.ui(ui, 15.0, colour);
    ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
        let told = match told {
            Some(told) => ctx.t(told).to_owned(),
            None if entry.kind.is_folder() => String::new(),
            None => number::bytes(entry.bytes),
        };
        ui.add(Label::new(RichText::new(told).small().color(tokens.text_weak)).selectable(false));
        ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
            let name = Label::new(RichText::new(&entry.name).color(tokens.text)).selectable(false);
            ui.add(name.truncate());
        });
    });
}

fn look(tokens: &Tokens, kind: EntryKind) -> (Icon, egui::Color32, Option<&'static Text>) {
    match kind {
        EntryKind::Folder => (Icon::Folder, tokens.text_weak, None),
        EntryKind::ModelFolder => (Icon::Model, tokens.accent, Some(&words::MODEL_FOLDER)),
        EntryKind::AdapterFolder => (Icon::Layers, tokens.accent, Some(&words::ADAPTER_FOLDER)),
        EntryKind::RunFolder => (Icon::Runs, tokens.accent, Some(&words::RUN_FOLDER)),
        EntryKind::File => (Icon::File, tokens.text_weak, None),
    }
}

/// What a field without a label beside it is called.
fn named(field: &egui::Response, name: &str, text: &str) {
    field.widget_info(|| {
        let labelled = egui::WidgetInfo::labeled(egui::Role::TextInput, true, name);
        egui::WidgetInfo { current_text_value: Some(text.to_owned()), ..labelled }
    });
}

fn name(ui: &mut Ui, ctx: &PanelCtx<'_>, browse: &Browse) {
    let mut name = browse.name.clone();
    let field = input::text(ui, "browse-name", &mut name, "", ui.available_width());
    named(&field, ctx.t(&words::FILE_NAME), &name);
    if name != browse.name {
        push(ctx, BrowseAction::Name(name));
    }
}

fn buttons(ui: &mut Ui, ctx: &PanelCtx<'_>, browse: &Browse) {
    let verb = match (&browse.pick, browse.chosen.is_empty()) {
        (Pick::Folder, true) => &words::CHOOSE_THIS_FOLDER,
        (Pick::Save, _) if browse.replaces() => &words::REPLACE,
        (Pick::Save, _) => &words::SAVE_HERE,
        _ => &words::CHOOSE,
    };
    let ready = !browse.taken().is_empty() && !browse.listing.is_pending();
    if primary_button(ui, None, ctx.t(verb), ready).clicked() {
        push(ctx, BrowseAction::Take);
    }
    if button(ui, None, ctx.t(&frame::CANCEL)).clicked() {
        push(ctx, BrowseAction::Close);
    }
    ui.with_layout(Layout::left_to_right(Align::Center), |ui| shown(ui, ctx, browse));
}

/// What is listed.
fn shown(ui: &mut Ui, ctx: &PanelCtx<'_>, browse: &Browse) {
    let mut hidden = browse.hidden;
    if toggle(ui, &mut hidden, ctx.t(&words::HIDDEN)).changed() {
        push(ctx, BrowseAction::ShowHidden(hidden));
    }
    let mut all = browse.all_files;
    let filtered = matches!(&browse.pick, Pick::Files { extensions, .. } if !extensions.is_empty());
    if filtered && toggle(ui, &mut all, ctx.t(&words::ALL_FILES)).changed() {
        push(ctx, BrowseAction::ShowAll(all));
    }
}
