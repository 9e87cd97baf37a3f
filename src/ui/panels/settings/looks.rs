//! Language, theme, zoom; where runs lie and what happens around them.

use egui::{RichText, Ui};
use protocol::Language;

use super::part;
use crate::action::Action;
use crate::desktop::{DesktopRequest, Purpose};
use crate::panels::PanelCtx;
use crate::persisted::{Preferences, ThemeChoice};
use crate::theme::UiTokens;
use crate::widgets::{Icon, button, field, hint, icon_button, input, segmented, toggle};
use crate::words::settings as words;

/// Zooms that read well; others come from the keyboard.
const ZOOMS: [f32; 6] = [0.8, 0.9, 1.0, 1.25, 1.5, 2.0];

pub fn appearance(ui: &mut Ui, ctx: &PanelCtx<'_>, preferences: &mut Preferences) {
    part(ui, ctx.t(&words::APPEARANCE), |ui| {
        // A language is named in itself.
        let languages = [
            (None, ctx.t(&words::SYSTEM)),
            (Some(Language::English), "English"),
            (Some(Language::Chinese), "中文"),
        ];
        choice(ui, ctx.t(&words::LANGUAGE), &mut preferences.language, &languages);
        let themes = [
            (ThemeChoice::System, ctx.t(&words::SYSTEM)),
            (ThemeChoice::Dark, ctx.t(&words::DARK)),
            (ThemeChoice::Light, ctx.t(&words::LIGHT)),
        ];
        choice(ui, ctx.t(&words::THEME), &mut preferences.theme, &themes);
        zoom(ui, ctx, preferences);
        toggle(ui, &mut preferences.expert, ctx.t(&words::EXPERT)).on_hover_text(ctx.t(&words::EXPERT_HELP));
    });
}

fn zoom(ui: &mut Ui, ctx: &PanelCtx<'_>, preferences: &mut Preferences) {
    let percent = |zoom: f32| format!("{:.0} %", zoom * 100.0);
    field(ui, ctx.t(&words::ZOOM), "", |ui| {
        let names = ZOOMS.map(percent);
        let mut current = percent(preferences.zoom);
        let before = current.clone();
        let choices = names.iter().map(|name| (name.as_str(), name.as_str(), ""));
        let response = input::choice(ui, "zoom", &mut current, choices);
        let chosen = ZOOMS.into_iter().find(|zoom| percent(*zoom) == current);
        if let Some(zoom) = chosen.filter(|_| current != before) {
            preferences.zoom = zoom;
        }
        response
    });
}

fn choice<T: Copy + PartialEq>(ui: &mut Ui, name: &str, current: &mut T, choices: &[(T, &str)]) {
    field(ui, name, "", |ui| {
        let inner = ui.horizontal(|ui| segmented(ui, *current, choices));
        if let Some(chosen) = inner.inner {
            *current = chosen;
        }
        inner.response
    });
}

pub fn runs(ui: &mut Ui, ctx: &PanelCtx<'_>, preferences: &mut Preferences) {
    part(ui, ctx.t(&words::RUNS), |ui| {
        let dir = ctx.state.runs_dir().map(|dir| dir.display().to_string());
        field(ui, ctx.t(&words::RUNS_DIR), ctx.t(&words::RUNS_HELP), |ui| {
            let shown = dir.as_deref().unwrap_or(ctx.t(&words::RUNS_DEFAULT));
            ui.add(egui::Label::new(RichText::new(shown).color(ui.tokens().text)).truncate())
        });
        ui.add_enabled_ui(ctx.state.other_machine().is_none(), |ui| {
            ui.horizontal(|ui| {
                if button(ui, Some(Icon::FolderOpen), ctx.t(&words::CHOOSE)).clicked() {
                    let start = preferences.runs_dir.clone();
                    let request = DesktopRequest::PickFolder { purpose: Purpose::RunsFolder, start };
                    ctx.push(Action::Desktop(request));
                }
                if let Some(dir) = dir {
                    if button(ui, Some(Icon::Undo), ctx.t(&words::RESET)).clicked() {
                        preferences.runs_dir = None;
                    }
                    if icon_button(ui, Icon::ExternalLink, ctx.t(&words::REVEAL)).clicked() {
                        ctx.push(Action::Desktop(DesktopRequest::Open(dir)));
                    }
                }
            })
        });
        hint(ui, ctx.t(&words::RUNS_HELP));
        toggle(ui, &mut preferences.notify, ctx.t(&words::NOTIFY));
        toggle(ui, &mut preferences.keep_awake, ctx.t(&words::AWAKE));
    });
}
