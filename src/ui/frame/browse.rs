//! The dialog for files of another machine.

use egui::{Align, Button, Context, Id, Key, Layout, RichText, ScrollArea, Sense, TextEdit, Ui, Vec2};
use protocol::{EntryKind, FolderEntry, FolderReport, Text, text};

use crate::action::Action;
use crate::panels::PanelCtx;
use crate::state::browse::{Browse, BrowseAction, Pick, joined};
use crate::theme::{Tokens, UiTokens, semibold};
use crate::widgets::{Icon, button, error_box, hint, icon_button, input, number, primary_button, toggle};
use crate::words::{frame, hosting as words};

const SIZE: Vec2 = Vec2::new(680.0, 480.0);
const PLACES: f32 = 130.0;
const ROW: f32 = 24.0;

pub fn ui(egui: &Context, ctx: &PanelCtx<'_>) {
    let Some(browse) = &ctx.state.browse else { return };
    let modal = egui::Modal::new(Id::unique("browse")).show(egui, |ui| {
        ui.set_width(SIZE.x);
        ui.set_height(SIZE.y);
        head(ui, ctx, browse);
        ui.add_space(4.0);
        let height = SIZE.y - 150.0;
        ui.horizontal_top(|ui| {
            ui.allocate_ui(Vec2::new(PLACES, height), |ui| places(ui, ctx, browse));
            ui.separator();
            ui.vertical(|ui| {
                ui.set_min_height(height);
                entries(ui, ctx, browse, height);
            });
        });
        ui.add_space(4.0);
        foot(ui, ctx, browse);
    });
    if modal.backdrop_response.clicked() || egui.input(|input| input.key_pressed(Key::Escape)) {
        push(ctx, BrowseAction::Close);
    }
}

fn push(ctx: &PanelCtx<'_>, action: BrowseAction) {
    ctx.push(Action::Browse(action));
}

/// Whose files these are, the folder to be typed, and the way up.
fn head(ui: &mut Ui, ctx: &PanelCtx<'_>, browse: &Browse) {
    let tokens = ui.tokens();
    let host = ctx.state.other_machine().unwrap_or_default();
    let title = text!("Files on {host}", "{host} 上的文件");
    ui.label(RichText::new(ctx.t(&title)).family(semibold()).size(16.0).color(tokens.text_strong));
    ui.horizontal(|ui| {
        let report = browse.listing.value.as_deref();
        let parent = report.and_then(|report| report.parent.clone());
        if icon_button(ui, Icon::ArrowUp, ctx.t(&words::UP)).clicked()
            && let Some(parent) = parent
        {
            push(ctx, BrowseAction::Go(parent));
        }
        let dir = report.map(|report| report.dir.display().to_string()).unwrap_or_default();
        let (response, typed) = input::committed(ui, "browse-dir", &dir, ui.available_width() - 8.0);
        named(&response, ctx.t(&words::PATH), &dir);
        if let Some(typed) = typed {
            push(ctx, BrowseAction::Go(typed.trim().into()));
        }
    });
}

fn places(ui: &mut Ui, ctx: &PanelCtx<'_>, browse: &Browse) {
    ui.vertical(|ui| {
        ui.set_width(PLACES);
        ui.label(RichText::new(ctx.t(&words::PLACES)).small().color(ui.tokens().text_faint));
        let Some(report) = &browse.listing.value else {
            // A folder that cannot be read leaves one way: to the beginning.
            if browse.listing.error.is_some() && button(ui, Some(Icon::Folder), "~").clicked() {
                push(ctx, BrowseAction::Go("".into()));
            }
            return;
        };
        for place in &report.places {
            let colour = ui.tokens().text;
            let name = RichText::new(ctx.t(&place.name)).color(colour);
            let line = Button::image_and_text(Icon::Folder.image(14.0, colour), name);
            if ui.add(line.frame_when_inactive(false).truncate()).clicked() {
                push(ctx, BrowseAction::Go(place.dir.clone()));
            }
        }
    });
}

fn entries(ui: &mut Ui, ctx: &PanelCtx<'_>, browse: &Browse, height: f32) {
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
    ui.spacing_mut().item_spacing.y = 0.0;
    let left = (height - if report.left_out > 0 { 20.0 } else { 0.0 }).max(60.0);
    ScrollArea::vertical().max_height(left).auto_shrink(false).show_rows(
        ui,
        ROW,
        entries.len(),
        |ui, rows| {
            for entry in &entries[rows] {
                row(ui, ctx, browse, report, entry);
            }
        },
    );
    if report.left_out > 0 {
        let left_out = number::count(report.left_out);
        hint(ui, ctx.t(&text!("{left_out} more are not shown", "另有 {left_out} 项未显示")));
    }
}

/// One click chooses, two open a folder or take a file.
fn row(ui: &mut Ui, ctx: &PanelCtx<'_>, browse: &Browse, report: &FolderReport, entry: &FolderEntry) {
    let tokens = ui.tokens();
    let (rect, response) = ui.allocate_exact_size(Vec2::new(ui.available_width(), ROW), Sense::click());
    let on = browse.chosen.contains(&entry.name);
    response.widget_info(|| egui::WidgetInfo::selected(egui::Role::ListItem, true, on, &entry.name));
    if on || response.hovered() {
        ui.painter().rect_filled(rect, 4.0, if on { tokens.accent_wash } else { tokens.hover });
    }
    let mut line = ui.new_child(
        egui::UiBuilder::new()
            .max_rect(rect.shrink2(Vec2::new(6.0, 0.0)))
            .layout(Layout::left_to_right(Align::Center)),
    );
    let (icon, colour, told) = look(tokens, entry.kind);
    icon.ui(&mut line, 15.0, colour);
    line.with_layout(Layout::right_to_left(Align::Center), |ui| {
        let told = match told {
            Some(told) => ctx.t(told).to_owned(),
            None if entry.kind.is_folder() => String::new(),
            None => number::bytes(entry.bytes),
        };
        ui.label(RichText::new(told).small().color(tokens.text_weak));
        ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
            let name = egui::Label::new(RichText::new(&entry.name).color(tokens.text)).selectable(false);
            ui.add(name.truncate());
        });
    });
    let folder = entry.kind.is_folder();
    if response.double_clicked() {
        if folder {
            push(ctx, BrowseAction::Go(joined(&report.dir, &entry.name)));
        } else if !on {
            push(ctx, BrowseAction::Choose(entry.name.clone()));
            push(ctx, BrowseAction::Take);
        } else {
            push(ctx, BrowseAction::Take);
        }
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

fn foot(ui: &mut Ui, ctx: &PanelCtx<'_>, browse: &Browse) {
    if browse.pick == Pick::Save {
        let mut name = browse.name.clone();
        let field = ui.add(TextEdit::singleline(&mut name).desired_width(f32::INFINITY));
        named(&field, ctx.t(&words::FILE_NAME), &name);
        if name != browse.name {
            push(ctx, BrowseAction::Name(name));
        }
    }
    ui.horizontal(|ui| {
        let mut hidden = browse.hidden;
        if toggle(ui, &mut hidden, ctx.t(&words::HIDDEN)).changed() {
            push(ctx, BrowseAction::ShowHidden(hidden));
        }
        let mut all = browse.all_files;
        let filtered = matches!(&browse.pick, Pick::Files { extensions, .. } if !extensions.is_empty());
        if filtered && toggle(ui, &mut all, ctx.t(&words::ALL_FILES)).changed() {
            push(ctx, BrowseAction::ShowAll(all));
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if button(ui, None, ctx.t(&frame::CANCEL)).clicked() {
                push(ctx, BrowseAction::Close);
            }
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
        });
    });
}
