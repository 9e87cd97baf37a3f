//! The command palette: every command and every panel, by a few letters of its name.

use egui::{
    Align2, Context, Frame, Key, Modifiers, RichText, Role, ScrollArea, TextEdit, Ui, Vec2, WidgetInfo,
};
use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher};

use crate::action::Action;
use crate::command::COMMANDS;
use crate::panels::{PANELS, PanelCtx};
use crate::theme::UiTokens;
use crate::words::frame as words;

#[derive(Default)]
pub struct Palette {
    open: bool,
    query: String,
    selected: usize,
}

/// One line of the palette.
struct Entry {
    text: String,
    /// In the other language: found by it, too.
    other: String,
    shortcut: String,
    action: Action,
}

impl Palette {
    pub fn toggle(&mut self) {
        *self = Self { open: !self.open, ..Self::default() };
    }

    pub fn is_open(&self) -> bool {
        self.open
    }

    pub fn ui(&mut self, egui: &Context, ctx: &PanelCtx<'_>) {
        if !self.open {
            return;
        }
        let up = egui.input_mut(|input| input.consume_key(Modifiers::NONE, Key::ArrowUp));
        let down = egui.input_mut(|input| input.consume_key(Modifiers::NONE, Key::ArrowDown));
        let close = egui.input_mut(|input| input.consume_key(Modifiers::NONE, Key::Escape));
        let entries = matching(entries(egui, ctx), &self.query);
        let last = entries.len().saturating_sub(1);
        self.selected = match (up, down) {
            (true, _) => self.selected.min(last).saturating_sub(1),
            (_, true) => (self.selected + 1).min(last),
            _ => self.selected.min(last),
        };
        let area = egui::Modal::default_area(egui::Id::unique("palette"))
            .anchor(Align2::CENTER_TOP, Vec2::new(0.0, 70.0));
        let modal = egui::Modal::new(egui::Id::unique("palette"))
            .area(area)
            .show(egui, |ui| self.list(ui, ctx, &entries, up || down));
        let chosen = modal.inner;
        if let Some(index) = chosen
            && let Some(entry) = entries.into_iter().nth(index)
        {
            self.open = false;
            ctx.push(entry.action);
        } else if close || modal.backdrop_response.clicked() {
            self.open = false;
        }
    }

    /// The index that was chosen.
    fn list(&mut self, ui: &mut Ui, ctx: &PanelCtx<'_>, entries: &[Entry], scroll: bool) -> Option<usize> {
        ui.set_width(520.0);
        let edit = TextEdit::singleline(&mut self.query)
            .hint_text(ctx.t(&words::PALETTE_HINT))
            .desired_width(f32::INFINITY)
            .margin(Vec2::new(10.0, 8.0));
        let response = ui.add(edit);
        response.request_focus();
        let mut chosen = ui.input(|input| input.key_pressed(Key::Enter)).then_some(self.selected);
        if response.changed() {
            self.selected = 0;
            chosen = None;
        }
        ui.add_space(4.0);
        if entries.is_empty() {
            ui.label(RichText::new(ctx.t(&words::NOTHING_FOUND)).color(ui.tokens().text_weak));
        }
        ScrollArea::vertical().max_height(380.0).show(ui, |ui| {
            ui.spacing_mut().item_spacing.y = 1.0;
            for (index, entry) in entries.iter().enumerate() {
                if line(ui, entry, index == self.selected, scroll) {
                    chosen = Some(index);
                }
            }
        });
        chosen
    }
}

fn line(ui: &mut Ui, entry: &Entry, selected: bool, scroll: bool) -> bool {
    let tokens = ui.tokens();
    let fill = if selected { tokens.accent_wash } else { egui::Color32::TRANSPARENT };
    let response = Frame::new()
        .fill(fill)
        .corner_radius(5)
        .inner_margin(egui::Margin::symmetric(10, 6))
        .show(ui, |ui| {
            ui.horizontal(|ui| {
                ui.label(RichText::new(&entry.text).color(tokens.text_strong));
                ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                    ui.label(RichText::new(&entry.shortcut).small().color(tokens.text_weak));
                });
            });
        });
    let response = response.response.interact(egui::Sense::click());
    response.widget_info(|| WidgetInfo::selected(Role::Button, true, selected, &entry.text));
    if selected && scroll {
        response.scroll_to_me(None);
    }
    response.clicked()
}

fn entries(egui: &Context, ctx: &PanelCtx<'_>) -> Vec<Entry> {
    let other = |text: &protocol::Text| format!("{} {}", text.en, text.zh);
    let panels = PANELS.iter().map(|info| Entry {
        text: ctx.t(&info.name).to_owned(),
        other: other(&info.name),
        shortcut: egui.format_shortcut(&egui::KeyboardShortcut::new(Modifiers::COMMAND, info.shortcut)),
        action: Action::Open(info.panel_id()),
    });
    let commands = COMMANDS.iter().map(|info| Entry {
        text: ctx.t(&info.text).to_owned(),
        other: other(&info.text),
        shortcut: info.shortcut.map(|shortcut| egui.format_shortcut(&shortcut)).unwrap_or_default(),
        action: Action::Command(info.command),
    });
    panels.chain(commands).collect()
}

/// Those that fit the query, the best first.
fn matching(entries: Vec<Entry>, query: &str) -> Vec<Entry> {
    if query.trim().is_empty() {
        return entries;
    }
    let mut matcher = Matcher::new(Config::DEFAULT);
    let pattern = Pattern::parse(query, CaseMatching::Ignore, Normalization::Smart);
    let mut buffer = Vec::new();
    let mut scored: Vec<_> = entries
        .into_iter()
        .filter_map(|entry| {
            let text = format!("{} {}", entry.text, entry.other);
            let score = pattern.score(nucleo_matcher::Utf32Str::new(&text, &mut buffer), &mut matcher)?;
            Some((score, entry))
        })
        .collect();
    scored.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
    scored.into_iter().map(|(_, entry)| entry).collect()
}
