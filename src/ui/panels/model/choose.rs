//! Which folder: by a dialog, from the recent ones, or the starter.

use std::path::Path;

use egui::{Align, Layout, RichText, Ui};

use protocol::{RepoKind, RepoRef};

use super::title;
use crate::action::Action;
use crate::command::UiCommand;
use crate::desktop::DesktopRequest;
use crate::panels::PanelCtx;
use crate::state::hub::HubAction;
use crate::theme::{UiTokens, semibold};
use crate::widgets::{Icon, button, card, empty_state, icon_button, input, primary_button, section};
use crate::words::model as words;

/// Nothing is chosen yet. `typed` is what stands in the field.
pub fn empty(ui: &mut Ui, ctx: &PanelCtx<'_>, typed: &mut String) {
    title(ui, ctx);
    empty_state(ui, Icon::Model, ctx.t(&words::EMPTY), ctx.t(&words::EMPTY_HELP), |ui| {
        if primary_button(ui, Some(Icon::FolderOpen), ctx.t(&words::CHOOSE), true).clicked() {
            ctx.push(Action::Command(UiCommand::OpenModel));
        }
        from_hub(ui, ctx);
        write(ui, ctx, typed);
        if let Some((english, chinese)) = ctx.state.starter() {
            let starter = if ctx.language == protocol::Language::Chinese { chinese } else { english };
            if button(ui, Some(Icon::Star), ctx.t(&words::STARTER)).clicked() {
                ctx.push(Action::OpenProject(starter.clone()));
            }
        }
        let recent = &ctx.state.preferences.recent_models;
        if !recent.is_empty() {
            ui.add_space(14.0);
            section(ui, ctx.t(&words::RECENT));
            ui.allocate_ui(egui::vec2(440.0, 0.0), |ui| card(ui, |ui| recents(ui, ctx)));
        }
    });
}

/// A folder, or a repository of a hub, as people have it in the clipboard.
fn write(ui: &mut Ui, ctx: &PanelCtx<'_>, typed: &mut String) {
    let field = input::text(ui, "model-path", typed, ctx.t(&words::WRITE_HINT), 320.0);
    field.widget_info(|| {
        let labelled = egui::WidgetInfo::labeled(egui::Role::TextInput, true, ctx.t(&words::WRITE));
        egui::WidgetInfo { current_text_value: Some(typed.clone()), ..labelled }
    });
    let text = typed.trim();
    // A whole name that is pasted needs no Enter.
    let pasted = ui.input(|input| input.events.iter().any(|event| matches!(event, egui::Event::Paste(_))));
    let named = field.changed() && pasted && RepoRef::word(Path::new(text)).is_some();
    let entered = field.lost_focus() && ui.input(|input| input.key_pressed(egui::Key::Enter));
    if named || (entered && !text.is_empty()) {
        use_written(ctx, text);
        typed.clear();
    }
}

fn use_written(ctx: &PanelCtx<'_>, text: &str) {
    match RepoRef::word(Path::new(text)) {
        Some(word) => ctx.push(Action::Hub(HubAction::LookUp(RepoKind::Model, word.to_owned()))),
        None => {
            let mut config = ctx.state.project.config.clone();
            config.model.path = text.into();
            ctx.edit(config);
        }
    }
}

/// The run file names a repository of a hub.
pub fn elsewhere(ui: &mut Ui, ctx: &PanelCtx<'_>, word: &str) {
    title(ui, ctx);
    empty_state(ui, Icon::Download, word, ctx.t(&words::ELSEWHERE), |ui| {
        if primary_button(ui, Some(Icon::Search), ctx.t(&words::SHOW_IT), true).clicked() {
            ctx.push(Action::Hub(HubAction::LookUp(RepoKind::Model, word.to_owned())));
        }
        if button(ui, Some(Icon::FolderOpen), ctx.t(&words::CHOOSE)).clicked() {
            ctx.push(Action::Command(UiCommand::OpenModel));
        }
    });
}

/// The chosen folder, and the ways to another.
pub fn bar(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    let path = ctx.state.project.base.join(&ctx.state.project.config.model.path);
    ui.horizontal_top(|ui| {
        let tokens = ui.tokens();
        ui.with_layout(Layout::right_to_left(Align::Min), |ui| {
            if button(ui, Some(Icon::FolderOpen), ctx.t(&words::CHOOSE)).clicked() {
                ctx.push(Action::Command(UiCommand::OpenModel));
            }
            from_hub(ui, ctx);
            let colour = tokens.text;
            ui.menu_image_text_button(Icon::Clock.image(15.0, colour), ctx.t(&words::RECENT), |ui| {
                ui.set_min_width(280.0);
                recents(ui, ctx);
            });
            if icon_button(ui, Icon::ExternalLink, ctx.t(&words::REVEAL)).clicked() {
                ctx.push(Action::Desktop(DesktopRequest::Open(path.display().to_string())));
            }
            ui.with_layout(Layout::top_down(Align::Min), |ui| {
                let name = RichText::new(file_name(&path)).heading().color(tokens.text_strong);
                ui.add(egui::Label::new(name).truncate());
                let line = RichText::new(path.display().to_string()).small().color(tokens.text_weak);
                ui.add(egui::Label::new(line).truncate().selectable(true)).on_hover_text(ctx.t(&words::DROP));
            });
        });
    });
    ui.add_space(6.0);
}

/// Offered when the engine knows hubs.
fn from_hub(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    if ctx.state.engine.catalog.hubs.is_empty() {
        return;
    }
    if button(ui, Some(Icon::Download), ctx.t(&crate::words::hub::FROM_HUB)).clicked() {
        ctx.push(Action::Hub(HubAction::Fetch(RepoKind::Model)));
    }
}

fn recents(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    let current = ctx.state.project.base.join(&ctx.state.project.config.model.path);
    let others: Vec<_> =
        ctx.state.preferences.recent_models.iter().filter(|path| **path != current).collect();
    if others.is_empty() {
        ui.label(RichText::new(ctx.t(&words::NO_RECENT)).color(ui.tokens().text_weak));
    }
    for path in others {
        let shown = path.display().to_string();
        let text = RichText::new(file_name(path)).family(semibold()).color(ui.tokens().text);
        let entry = ui.add(egui::Button::new(text).frame(false)).on_hover_text(&shown);
        ui.add(egui::Label::new(RichText::new(shown).small().color(ui.tokens().text_weak)).truncate());
        if entry.clicked() {
            let mut config = ctx.state.project.config.clone();
            config.model.path.clone_from(path);
            ctx.edit(config);
            ui.close();
        }
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}
