//! The bar above the tokens: which row, which rows, which text.

use egui::{DragValue, Key, Response, RichText, TextEdit, Ui, WidgetInfo};

use super::View;
use super::browse::{self, Filter, Marked};
use crate::action::Action;
use crate::frame::summary::severity;
use crate::panels::PanelCtx;
use crate::state::data::DataAction;
use crate::theme::UiTokens;
use crate::widgets::button::icon_button_enabled;
use crate::widgets::{Icon, icon_button, number};
use crate::words::data as words;

/// Room that the row's number and the search field take of the line.
const BESIDE_CHIPS: f32 = 470.0;

/// Room of what is said of a search.
const SAID_OF_SEARCH: f32 = 140.0;

/// Characters of what an analysis found that its chip shows.
const NAME_CHARS: usize = 24;

/// The search field.
#[derive(Default)]
pub struct Search {
    text: String,
    /// Something was sought and is not here yet: then the first row found is shown.
    awaits: bool,
}

pub fn ui(ui: &mut Ui, ctx: &PanelCtx<'_>, view: &mut View) {
    let marked = ctx.state.data.newest_verdict().map(browse::marked).unwrap_or_default();
    let finds = ctx.state.data.found.value.as_ref();
    show_found(ctx, view);
    let rows = browse::rows_of(view.filter, &marked, finds, view.picked_rows());
    if rows.is_none() {
        view.filter = Filter::All;
    }
    let chips = chips(ui, ctx, view, &marked);
    let said = if said_of_search(ctx, view).is_some() || finds.is_some() { SAID_OF_SEARCH } else { 0.0 };
    let beside = ui.available_width() - BESIDE_CHIPS - said >= width_of(ui, &chips);
    ui.horizontal(|ui| {
        position(ui, ctx, view, rows.as_deref());
        if beside {
            ui.add_space(8.0);
            filters(ui, view, &chips);
        }
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| search(ui, ctx, view));
    });
    if !beside && !chips.is_empty() {
        ui.horizontal_wrapped(|ui| filters(ui, view, &chips));
    }
}

/// `‹ › row [12] of 52 002`
fn position(ui: &mut Ui, ctx: &PanelCtx<'_>, view: &mut View, rows: Option<&[u64]>) {
    let weak = ui.tokens().text_weak;
    let total = total(ctx);
    let known = rows.map_or(total, |rows| rows.last().map(|last| last + 1));
    let first = rows.map_or(0, |rows| rows.first().copied().unwrap_or(0));
    let before = view.current > first;
    if icon_button_enabled(ui, Icon::ChevronLeft, ctx.t(&words::PREVIOUS), before).clicked() {
        view.go(-1, rows, total);
    }
    let after = known.is_none_or(|known| view.current + 1 < known);
    if icon_button_enabled(ui, Icon::ChevronRight, ctx.t(&words::NEXT), after).clicked() {
        view.go(1, rows, total);
    }
    let mut number = view.current + 1;
    let drag = DragValue::new(&mut number)
        .range(1..=total.unwrap_or(u64::MAX))
        .speed(0.5)
        .custom_formatter(|number, _| number::count(number as u64))
        .custom_parser(|text| text.replace(|c: char| !c.is_ascii_digit(), "").parse().ok());
    let response = named(ui.add(drag), ctx.t(&words::ROW_NUMBER));
    if response.changed() {
        view.current = number - 1;
        view.filter = Filter::All;
    }
    let of = match total {
        Some(total) => {
            let total = number::count(total);
            protocol::text!("of {total} rows", "/ {total} 行")
        }
        None => protocol::Text::fixed("of rows not yet counted", "（总行数统计中）"),
    };
    ui.label(RichText::new(ctx.t(&of)).color(weak));
    if let Some(rows) = rows.filter(|rows| !rows.is_empty()) {
        let at = rows.partition_point(|row| *row <= view.current).max(1);
        let (at, all) = (number::count(at as u64), number::count(rows.len() as u64));
        ui.label(RichText::new(format!("({at} / {all})")).color(weak));
    }
    if ctx.state.data.page.is_pending() || view.current != view.shown {
        waiting(ui);
    }
}

/// Something is under way. It stands still: a turning wheel would draw the whole window sixty times a second.
pub fn waiting(ui: &mut Ui) {
    Icon::Clock.ui(ui, 14.0, ui.tokens().text_weak);
}

/// Gives a widget that has no text of its own a name.
fn named(response: Response, name: &str) -> Response {
    let enabled = response.enabled();
    response.widget_info(|| WidgetInfo::labeled(egui::Role::SpinButton, enabled, name));
    response.on_hover_text(name)
}

/// Rows that can be gone to, once they are counted.
fn total(ctx: &PanelCtx<'_>) -> Option<u64> {
    let data = &ctx.state.data;
    let counted = data.page.value.as_ref().and_then(|page| page.source.total);
    counted.or(data.verdict.value.as_ref().map(|verdict| verdict.rows))
}

impl View {
    /// Goes some rows on, among those of the filter.
    pub fn go(&mut self, by: i64, rows: Option<&[u64]>, total: Option<u64>) {
        self.current = browse::step(self.current, by, rows, total);
    }

    /// The same by the arrow keys, from where the filter is not at hand.
    pub fn step(&mut self, ctx: &PanelCtx<'_>, by: i64) {
        let marked = ctx.state.data.newest_verdict().map(browse::marked).unwrap_or_default();
        let rows =
            browse::rows_of(self.filter, &marked, ctx.state.data.found.value.as_ref(), self.picked_rows());
        self.go(by, rows.as_deref(), total(ctx));
    }

    fn picked_rows(&self) -> Option<&[u64]> {
        self.picked.as_ref().map(|picked| picked.rows.as_slice())
    }

    /// Shows rows that an analysis found, row by row.
    pub fn show_picked(&mut self, pick: super::analysis::Pick) {
        self.sheet = super::Sheet::Rows;
        self.show_rows(Filter::Picked, &pick.rows);
        self.picked = Some(pick);
    }

    /// Shows the rows of a finding, from its first.
    pub fn show_rows(&mut self, filter: Filter, rows: &[u64]) {
        self.filter = filter;
        if let Some(first) = rows.first() {
            self.current = *first;
        }
    }
}

/// A filter that can be chosen.
struct FilterChip {
    filter: Filter,
    icon: Option<(Icon, egui::Color32)>,
    text: String,
    rows: Vec<u64>,
}

fn chips(ui: &Ui, ctx: &PanelCtx<'_>, view: &View, marked: &[Marked]) -> Vec<FilterChip> {
    let finds = ctx.state.data.found.value.as_ref().filter(|finds| !finds.rows.is_empty());
    if marked.is_empty() && finds.is_none() && view.picked.is_none() && view.filter == Filter::All {
        return Vec::new();
    }
    let all = ctx.t(&words::ALL_ROWS).to_owned();
    let mut chips = vec![FilterChip { filter: Filter::All, icon: None, text: all, rows: Vec::new() }];
    for marked in marked {
        chips.push(FilterChip {
            filter: Filter::Finding(marked.kind),
            icon: Some(severity(ui.tokens(), marked.severity)),
            text: format!("{} {}", number::count(marked.count), ctx.t(browse::kind_name(marked.kind))),
            rows: marked.rows.clone(),
        });
    }
    if let Some(picked) = &view.picked {
        let name: String = picked.name.chars().take(NAME_CHARS).collect();
        chips.push(FilterChip {
            filter: Filter::Picked,
            icon: None,
            text: format!("{} {name}", number::count(picked.rows.len() as u64)),
            rows: picked.rows.clone(),
        });
    }
    if let Some(finds) = finds {
        let more = if finds.complete { "" } else { "+" };
        chips.push(FilterChip {
            filter: Filter::Found,
            icon: None,
            text: format!("{}{more} {}", number::count(finds.rows.len() as u64), ctx.t(&words::FOUND)),
            rows: finds.rows.iter().map(|row| row.saturating_sub(1)).collect(),
        });
    }
    chips
}

fn width_of(ui: &Ui, chips: &[FilterChip]) -> f32 {
    let font = egui::TextStyle::Small.resolve(ui.style());
    ui.fonts_mut(|fonts| {
        let mut text = |text: &str| text.chars().map(|c| fonts.glyph_width(&font, c)).sum::<f32>();
        chips.iter().map(|chip| text(&chip.text) + if chip.icon.is_some() { 44.0 } else { 26.0 }).sum()
    })
}

fn filters(ui: &mut Ui, view: &mut View, chips: &[FilterChip]) {
    ui.spacing_mut().item_spacing.x = 4.0;
    for chip in chips {
        if filter_chip(ui, view.filter == chip.filter, chip.icon, &chip.text) {
            view.show_rows(chip.filter, &chip.rows);
        }
    }
}

/// A choice among few; true when clicked.
fn filter_chip(ui: &mut Ui, on: bool, icon: Option<(Icon, egui::Color32)>, text: &str) -> bool {
    let tokens = ui.tokens();
    let (fill, colour) =
        if on { (tokens.accent_wash, tokens.text_strong) } else { (tokens.card, tokens.text_weak) };
    let label = RichText::new(text).small().color(colour);
    let button = match icon {
        Some((icon, colour)) => egui::Button::image_and_text(icon.image(12.0, colour), label),
        None => egui::Button::new(label),
    };
    let response = ui.add(button.fill(fill).corner_radius(10).min_size(egui::vec2(0.0, 21.0)));
    response.widget_info(|| WidgetInfo::selected(egui::Role::RadioButton, true, on, text));
    response.clicked()
}

/// Drawn from right to left.
fn search(ui: &mut Ui, ctx: &PanelCtx<'_>, view: &mut View) {
    let found = &ctx.state.data.found;
    let width = (ui.available_width() - 130.0).clamp(110.0, 200.0);
    let hint = ctx.t(&words::SEARCH);
    let edit = TextEdit::singleline(&mut view.search.text).hint_text(hint).desired_width(width);
    let response = ui.add(edit);
    response.widget_info(|| WidgetInfo::labeled(egui::Role::TextInput, true, hint));
    let enter = response.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter));
    if enter {
        let text = view.search.text.trim().to_owned();
        let again = found.value.as_ref().is_some_and(|finds| finds.text == text);
        match (text.is_empty(), again) {
            (true, _) => view.filter = Filter::All,
            // Enter once more goes to the next one.
            (false, true) if view.filter == Filter::Found => view.step(ctx, 1),
            _ => {
                view.search.awaits = true;
                ctx.push(Action::Data(DataAction::Find { text, after: 0 }));
            }
        }
        response.request_focus();
    }
    Icon::Search.ui(ui, 14.0, ui.tokens().text_weak);
    let weak = ui.tokens().text_weak;
    if found.is_pending() {
        waiting(ui);
        return;
    }
    if let Some(error) = &found.error {
        Icon::Error.ui(ui, 14.0, ui.tokens().error).on_hover_text(ctx.t(&error.what));
        return;
    }
    let Some(finds) = found.value.as_ref().filter(|finds| finds.text == view.search.text.trim()) else {
        return;
    };
    if !finds.complete && icon_button(ui, Icon::More, ctx.t(&words::SEARCH_ON)).clicked() {
        ctx.push(Action::Data(DataAction::Find { text: finds.text.clone(), after: finds.scanned }));
    }
    if let Some(text) = said_of_search(ctx, view) {
        ui.label(RichText::new(text).small().color(weak));
    }
}

/// What there is to say where nothing was found; what was found is a filter.
fn said_of_search(ctx: &PanelCtx<'_>, view: &View) -> Option<String> {
    let finds = ctx.state.data.found.value.as_ref()?;
    if finds.text != view.search.text.trim() || !finds.rows.is_empty() {
        return None;
    }
    let scanned = number::count(finds.scanned);
    let text = match finds.complete {
        true => protocol::Text::fixed("nothing found", "未找到"),
        false => protocol::text!("not in the first {scanned} rows", "前 {scanned} 行中没有"),
    };
    Some(ctx.t(&text).to_owned())
}

/// Goes to the first row found when a search has come back.
fn show_found(ctx: &PanelCtx<'_>, view: &mut View) {
    let found = &ctx.state.data.found;
    if !view.search.awaits || found.is_pending() {
        return;
    }
    // The search was pushed in this frame and is not under way yet.
    let Some(finds) = found.value.as_ref().filter(|finds| finds.text == view.search.text.trim()) else {
        view.search.awaits = found.error.is_none();
        return;
    };
    view.search.awaits = false;
    let rows: Vec<_> = finds.rows.iter().map(|row| row.saturating_sub(1)).collect();
    if !rows.is_empty() {
        view.show_rows(Filter::Found, &rows);
    }
}
