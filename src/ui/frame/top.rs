//! The bar at the top: project, device, language, theme, palette.

use egui::{Align, Layout, Rect, RichText, Role, Sense, TextStyle, Ui, Vec2, WidgetInfo, pos2};
use protocol::Language;

use crate::action::Action;
use crate::client::LinkState;
use crate::command::UiCommand;
use crate::panels::PanelCtx;
use crate::theme::{UiTokens, semibold};
use crate::widgets::button::{icon_button, icon_button_enabled, segmented};
use crate::widgets::{Icon, number};
use crate::words::frame as words;

pub const HEIGHT: f32 = 42.0;

pub fn ui(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    ui.horizontal_centered(|ui| {
        Icon::Emberwright.ui(ui, 20.0, ui.tokens().accent);
        ui.label(RichText::new("Emberwright").family(semibold()).size(14.5).color(ui.tokens().text_strong));
        ui.add_space(10.0);
        project(ui, ctx);
        undo(ui, ctx);
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            right(ui, ctx);
        });
    });
}

fn project(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    let project = &ctx.state.project;
    let name = if project.name.is_empty() { ctx.t(&words::UNTITLED) } else { &project.name };
    let shown = if project.is_changed() { format!("{name} •") } else { name.to_owned() };
    ui.menu_button(RichText::new(shown), |ui| {
        use UiCommand as C;
        for command in [C::NewProject, C::OpenProject, C::SaveProject, C::SaveProjectAs] {
            item(ui, ctx, command);
        }
        let recent = &ctx.state.preferences.recent_projects;
        if !recent.is_empty() {
            ui.separator();
        }
        for path in recent {
            let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
            if ui.button(name).on_hover_text(path.display().to_string()).clicked() {
                ctx.push(Action::OpenProject(path.clone()));
                ui.close();
            }
        }
        if let Some((en, zh)) = ctx.state.starter() {
            ui.separator();
            let starter = if ctx.language == Language::Chinese { zh } else { en };
            if ui.button(ctx.t(&words::STARTER)).clicked() {
                ctx.push(Action::OpenProject(starter.clone()));
                ui.close();
            }
        }
    });
}

/// A menu's line for a command, with its shortcut.
fn item(ui: &mut Ui, ctx: &PanelCtx<'_>, command: UiCommand) {
    let info = command.info();
    let mut button = egui::Button::new(ctx.t(&info.text));
    if let Some(shortcut) = &info.shortcut {
        button = button.shortcut_text(ui.ctx().format_shortcut(shortcut));
    }
    if ui.add(button).clicked() {
        ctx.push(Action::Command(command));
        ui.close();
    }
}

fn undo(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    let project = &ctx.state.project;
    for (command, icon, can) in
        [(UiCommand::Undo, Icon::Undo, project.can_undo()), (UiCommand::Redo, Icon::Redo, project.can_redo())]
    {
        if icon_button_enabled(ui, icon, ctx.t(&command.info().text), can).clicked() {
            ctx.push(Action::Command(command));
        }
    }
}

fn right(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    if icon_button(ui, Icon::Command, ctx.t(&UiCommand::Palette.info().text)).clicked() {
        ctx.push(Action::Command(UiCommand::Palette));
    }
    let theme = if ui.visuals().dark_mode { Icon::Moon } else { Icon::Sun };
    if icon_button(ui, theme, ctx.t(&UiCommand::ToggleTheme.info().text)).clicked() {
        ctx.push(Action::Command(UiCommand::ToggleTheme));
    }
    let choices = [(Language::Chinese, "中文"), (Language::English, "EN")];
    let current = if ctx.language == Language::Chinese { Language::Chinese } else { Language::English };
    let clicked = segmented(ui, current, &choices);
    if clicked.is_some() {
        ctx.push(Action::Command(UiCommand::ToggleLanguage));
    }
    device(ui, ctx);
}

/// Where it computes, and how full that is.
fn device(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    let tokens = ui.tokens();
    let engine = &ctx.state.engine;
    let host = ctx.state.other_machine().map(|host| format!("{host}  ·  ")).unwrap_or_default();
    let told = engine.link_words().filter(|_| !engine.ended);
    let (icon, colour, mut text) = match (&engine.device, engine.ended) {
        (_, true) => (Icon::Error, tokens.error, ctx.t(&words::ENGINE_ENDED).to_owned()),
        (None, _) => (Icon::Cpu, tokens.text_weak, ctx.t(&words::ENGINE_STARTS).to_owned()),
        (Some(device), _) => {
            let icon = if device.kind.is_gpu() { Icon::Gpu } else { Icon::Cpu };
            let mut text = device.name.clone();
            let used = engine.stats.map_or(0, |stats| stats.memory_used);
            let total = engine.stats.map_or(device.memory_bytes, |stats| stats.memory_total);
            if used > 0 {
                text += &format!("  ·  {} / {}", number::bytes(used), number::bytes(total));
            } else if total > 0 {
                text += &format!("  ·  {}", number::bytes(total));
            }
            let colour = if engine.error.is_some() { tokens.warning } else { tokens.success };
            (icon, colour, text)
        }
    };
    let (icon, colour) = match (&told, &engine.link) {
        (None, _) => (icon, colour),
        (Some(told), link) => {
            ctx.t(told).clone_into(&mut text);
            let waits = matches!(link, LinkState::Connecting { .. });
            (Icon::Warning, if waits { tokens.text_weak } else { tokens.warning })
        }
    };
    text.insert_str(0, &host);
    let font = TextStyle::Small.resolve(ui.style());
    let galley = ui.painter().layout(text, font, tokens.text, (ui.available_width() - 60.0).max(80.0));
    let size = Vec2::new(galley.size().x + 40.0, 26.0);
    let (rect, response) = ui.allocate_exact_size(size, Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, galley.text()));
    ui.painter().rect_filled(rect, 6.0, tokens.card);
    let centre = pos2(rect.left() + 17.0, rect.center().y);
    icon.image(14.0, colour).paint_at(ui, Rect::from_center_size(centre, Vec2::splat(14.0)));
    let place = pos2(rect.left() + 30.0, rect.center().y - galley.size().y / 2.0);
    ui.painter().galley(place, galley, tokens.text);
    if let Some(note) = engine.device.as_ref().and_then(|device| device.note.as_ref()) {
        response.on_hover_text(ctx.t(note));
    }
}
