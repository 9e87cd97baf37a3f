//! What the model will learn from: files, template, and every token of every row.

mod analysis;
mod browse;
mod columns;
mod convert;
mod heat;
mod judgement;
mod lengths;
mod rows;
mod source;
mod template;
mod tokens;

use egui::{Align, Frame, Key, Layout, Margin, Panel as SidePanel, RichText, ScrollArea, Ui};
use protocol::{Language, PreviewRow, Severity, Text};
use serde::{Deserialize, Serialize};

use self::browse::Filter;
use super::{Panel, PanelCtx, PanelInfo, StepState};
use crate::action::Action;
use crate::command::UiCommand;
use crate::state::AppState;
use crate::theme::UiTokens;
use crate::widgets::icon::Icon;
use crate::widgets::rendered::Rendered;
use crate::widgets::token_view::{RowKey, TokenView};
use crate::widgets::{button, empty_state, error_box, primary_button, title};
use crate::words::data as words;

pub const PANEL: PanelInfo = PanelInfo {
    id: "data",
    name: Text::fixed("Data", "数据"),
    help: Text::fixed("See what the model will learn from", "查看模型将要学习的内容"),
    icon: Icon::Data,
    shortcut: Key::Num2,
    step: true,
    progress,
    new: || Box::new(View::default()),
};

fn progress(state: &AppState) -> StepState {
    let data = &state.data;
    let config = &state.project.config;
    if config.data.train.is_empty() || config.model.path.as_os_str().is_empty() {
        return StepState::Open;
    }
    let template = data.page.value.as_ref().is_some_and(|page| page.source.template_error.is_some());
    if data.page.error.is_some() || data.verdict.error.is_some() || template {
        return StepState::Problem;
    }
    let Some(verdict) = data.newest_verdict() else { return StepState::Busy };
    match verdict.findings.iter().map(|finding| finding.severity).max_by_key(|it| *it as u8) {
        Some(Severity::Error) => StepState::Problem,
        _ if data.verdict.value.is_none() => StepState::Busy,
        Some(Severity::Warning) => StepState::Warning,
        _ => StepState::Done,
    }
}

/// What stands above (or, where there is room, beside) the rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Tool {
    #[default]
    Source,
    Columns,
    Template,
    Row,
    None,
}

/// Row by row, or the whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Sheet {
    #[default]
    Rows,
    Analysis,
}

/// From this width on, tools stand beside the rows.
const WIDE: f32 = 1180.0;

/// From this height on, the files leave room for the row's text.
const ROOMY: f32 = 560.0;

#[derive(Default)]
struct View {
    tool: Tool,
    /// 0-based, over all files.
    current: u64,
    /// The row that was drawn last: it stays until the wanted one is here.
    shown: u64,
    /// The row for which a page was asked last.
    asked_for: Option<u64>,
    sheet: Sheet,
    filter: Filter,
    /// The rows of [`Filter::Picked`].
    picked: Option<analysis::Pick>,
    search: rows::Search,
    tokens: TokenView,
    rendered: Rendered,
    template: template::Editor,
    lengths: lengths::Lengths,
    files: Vec<std::path::PathBuf>,
}

/// What of the view outlives the window.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Kept {
    tool: Tool,
    log: bool,
}

impl Panel for View {
    fn ui(&mut self, ui: &mut Ui, ctx: &PanelCtx<'_>) {
        let config = &ctx.state.project.config;
        if self.files != config.data.train {
            self.files.clone_from(&config.data.train);
            self.current = 0;
            self.filter = Filter::All;
            self.picked = None;
        }
        if config.data.train.is_empty() {
            return no_data(ui, ctx);
        }
        if config.model.path.as_os_str().is_empty() {
            ui.horizontal(|ui| title(ui, ctx.t(&PANEL.name), ctx.t(&PANEL.help)));
            ui.add_space(4.0);
            source::ui(ui, ctx);
            return no_model(ui, ctx);
        }
        self.header(ui, ctx);
        convert::ui(ui.ctx(), ctx);
        if self.sheet == Sheet::Analysis {
            return analysis::ui(ui, ctx, self);
        }
        self.keep_page(ctx);
        if ui.available_width() >= WIDE {
            self.wide(ui, ctx);
        } else {
            self.narrow(ui, ctx);
        }
    }

    fn save(&self) -> serde_json::Value {
        serde_json::to_value(Kept { tool: self.tool, log: self.lengths.log }).unwrap_or_default()
    }

    fn load(&mut self, saved: &serde_json::Value) {
        let kept: Kept = serde_json::from_value(saved.clone()).unwrap_or_default();
        self.tool = kept.tool;
        self.lengths.log = kept.log;
    }
}

impl View {
    fn header(&mut self, ui: &mut Ui, ctx: &PanelCtx<'_>) {
        ui.horizontal(|ui| {
            title(ui, ctx.t(&PANEL.name), "");
            let sheets = [
                (Sheet::Rows, ctx.t(&crate::words::analysis::SHEET_ROWS)),
                (Sheet::Analysis, ctx.t(&crate::words::analysis::SHEET_ANALYSIS)),
            ];
            self.sheet = crate::widgets::segmented(ui, self.sheet, &sheets).unwrap_or(self.sheet);
            if self.sheet == Sheet::Analysis {
                return;
            }
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                let choices = [
                    (Tool::Source, ctx.t(&words::SOURCE)),
                    (Tool::Columns, ctx.t(&words::COLUMNS)),
                    (Tool::Template, ctx.t(&words::TEMPLATE)),
                    (Tool::Row, ctx.t(&words::ROW_TEXT)),
                    (Tool::None, ctx.t(&words::HIDE)),
                ];
                let clicked = crate::widgets::segmented(ui, self.tool, &choices);
                self.tool = clicked.unwrap_or(self.tool);
            });
        });
        ui.add_space(4.0);
    }

    fn narrow(&mut self, ui: &mut Ui, ctx: &PanelCtx<'_>) {
        if self.tool != Tool::None {
            // Texts want more room than forms; the user's heights are kept apart, too.
            let text = matches!(self.tool, Tool::Template | Tool::Row);
            let (id, height) = if text { ("data-texts", 258.0) } else { ("data-forms", 190.0) };
            let pane = SidePanel::top(id)
                .frame(Frame::new().inner_margin(Margin { bottom: 8, ..Margin::ZERO }))
                .show_separator_line(false)
                .resizable(true)
                .default_size(height)
                .size_range(96.0..=(ui.available_height() - 220.0).max(97.0));
            pane.show(ui, |ui| self.tools(ui, ctx));
        }
        self.rows_and_judgement(ui, ctx);
    }

    fn wide(&mut self, ui: &mut Ui, ctx: &PanelCtx<'_>) {
        if self.tool != Tool::None {
            let pane = SidePanel::left("data-tools-beside")
                .frame(Frame::new().inner_margin(Margin { right: 12, ..Margin::ZERO }))
                .show_separator_line(false)
                .resizable(true)
                .default_size(470.0)
                .size_range(360.0..=(ui.available_width() - 560.0).max(361.0));
            pane.show(ui, |ui| self.tools(ui, ctx));
        }
        self.rows_and_judgement(ui, ctx);
    }

    fn tools(&mut self, ui: &mut Ui, ctx: &PanelCtx<'_>) {
        let row = self.drawn(ctx);
        match self.tool {
            Tool::Source => self.source(ui, ctx, row),
            Tool::Columns => {
                ScrollArea::vertical()
                    .id_salt("columns")
                    .auto_shrink(false)
                    .show(ui, |ui| columns::ui(ui, ctx, row.map(|(row, _)| row)));
            }
            Tool::Template => template::ui(ui, ctx, self, row),
            Tool::Row => tokens::row_text(ui, ctx, self, row),
            Tool::None => {}
        }
    }

    /// The files and settings, and below them the row's text where there is room.
    fn source(&mut self, ui: &mut Ui, ctx: &PanelCtx<'_>, row: Option<(&PreviewRow, RowKey)>) {
        let roomy = ui.available_height() > ROOMY;
        let height = ui.available_height() - if roomy { ROOMY / 2.0 } else { 0.0 };
        let area = ScrollArea::vertical().id_salt("source").max_height(height).auto_shrink([false, roomy]);
        area.show(ui, |ui| source::ui(ui, ctx));
        if let Some((row, key)) = row.filter(|_| roomy) {
            ui.add_space(6.0);
            tokens::rendering(ui, ctx, self, row, key);
        }
    }

    fn rows_and_judgement(&mut self, ui: &mut Ui, ctx: &PanelCtx<'_>) {
        let judgement = SidePanel::bottom("data-judgement")
            .frame(Frame::new().inner_margin(Margin { top: 8, ..Margin::ZERO }))
            .show_separator_line(false)
            .resizable(true)
            .default_size(150.0)
            .size_range(110.0..=(ui.available_height() * 0.6).max(111.0));
        judgement.show(ui, |ui| judgement::ui(ui, ctx, self));
        rows::ui(ui, ctx, self);
        self.rows_or_reason(ui, ctx);
    }

    fn rows_or_reason(&mut self, ui: &mut Ui, ctx: &PanelCtx<'_>) {
        let page = &ctx.state.data.page;
        if let Some(error) = &page.error {
            ScrollArea::vertical().id_salt("page-error").show(ui, |ui| error_box(ui, ctx, error));
            return;
        }
        match self.drawn(ctx) {
            Some((row, _)) if row.ids.is_empty() && self.template_fails(ui, ctx) => {}
            Some((row, key)) => tokens::ui(ui, ctx, self, row, key),
            None if self.template_fails(ui, ctx) => {}
            None => {
                let known =
                    page.value.as_ref().is_some_and(|page| page.rows.is_empty()) && !page.is_pending();
                let text = if known { &words::NO_ROWS } else { &words::READING };
                ui.label(RichText::new(ctx.t(text)).color(ui.tokens().text_weak));
            }
        }
    }

    /// Says why no row has tokens, where the template is at fault.
    fn template_fails(&mut self, ui: &mut Ui, ctx: &PanelCtx<'_>) -> bool {
        let page = ctx.state.data.page.value.as_ref();
        let Some(error) = page.and_then(|page| page.source.template_error.as_ref()) else { return false };
        // The editor shows it itself.
        if self.tool == Tool::Template {
            tokens::surface(ui, |ui| {
                crate::widgets::hint(ui, ctx.t(&words::NO_TOKENS_YET));
            });
        } else {
            error_box(ui, ctx, error);
            if button(ui, Some(Icon::Edit), ctx.t(&words::OPEN_TEMPLATE)).clicked() {
                self.tool = Tool::Template;
            }
        }
        true
    }

    /// The row that is drawn: the wanted one, or the last one until that comes.
    fn drawn<'a>(&mut self, ctx: &PanelCtx<'a>) -> Option<(&'a PreviewRow, RowKey)> {
        let page = ctx.state.data.page.value.as_ref()?;
        for index in [self.current, self.shown] {
            if let Some(row) = page.row(index) {
                self.shown = index;
                return Some((row, (page.serial, index)));
            }
        }
        let first = page.rows.first()?;
        self.shown = page.first;
        Some((first, (page.serial, page.first)))
    }

    /// Asks for the rows around the current one where they are not here.
    fn keep_page(&mut self, ctx: &PanelCtx<'_>) {
        let data = &ctx.state.data;
        let Some(page) = &data.page.value else { return };
        if let Some(total) = page.source.total.filter(|total| *total > 0) {
            let rows = data.newest_verdict().map_or(total, |verdict| verdict.rows.max(total));
            self.current = self.current.min(rows - 1);
        }
        // A number beyond the end, typed while the rows were not yet counted.
        if page.rows.is_empty() && page.first > 0 && !data.page.is_pending() {
            self.current = page.source.total.map_or(0, |total| total.saturating_sub(1));
        }
        let asked = data.page.is_pending().then_some(data.first);
        // What failed is not asked again and again.
        let refused = data.page.error.is_some() && self.asked_for == Some(self.current);
        let there = (page.first, page.row_count());
        let wanted = browse::wanted_page(self.current, there, page.source.total, asked);
        if let Some((first, count)) = wanted.filter(|(first, _)| !refused && *first != page.first) {
            self.asked_for = Some(self.current);
            ctx.push(Action::Data(crate::state::data::DataAction::Browse { first, count }));
        }
    }
}

fn no_data(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    ui.horizontal(|ui| title(ui, ctx.t(&PANEL.name), ctx.t(&PANEL.help)));
    empty_state(ui, Icon::Data, ctx.t(&words::NO_DATA_TITLE), ctx.t(&words::NO_DATA_HELP), |ui| {
        if primary_button(ui, Some(Icon::FilePlus), ctx.t(&words::ADD_FILES), true).clicked() {
            ctx.push(Action::Command(UiCommand::AddData));
        }
        source::from_hub(ui, ctx);
        if let Some((en, zh)) = ctx.state.starter() {
            let starter = if ctx.language == Language::Chinese { zh } else { en };
            if button(ui, Some(Icon::Emberwright), ctx.t(&words::TRY_STARTER)).clicked() {
                ctx.push(Action::OpenProject(starter.clone()));
            }
        }
    });
}

fn no_model(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    empty_state(ui, Icon::Model, ctx.t(&words::NO_MODEL_TITLE), ctx.t(&words::NO_MODEL_HELP), |ui| {
        if primary_button(ui, Some(Icon::FolderOpen), ctx.t(&words::CHOOSE_MODEL), true).clicked() {
            ctx.push(Action::Open(super::model::PANEL.panel_id()));
        }
    });
}

#[cfg(test)]
mod tests {
    use protocol::{Event, Finding, FindingKind, Histogram, RequestId, UserError, Verdict};

    use super::*;

    fn checked(severities: &[Severity]) -> Event {
        let findings = severities.iter().map(|severity| Finding {
            kind: FindingKind::TooLong,
            severity: *severity,
            count: 1,
            rows: vec![1],
            text: Text::fixed("", ""),
            mend: None,
            remedies: Vec::new(),
        });
        let verdict = Verdict {
            sources: Vec::new(),
            template: None,
            template_reason: None,
            rows: 9,
            usable_rows: 9,
            validation_rows: 0,
            tokens: 9,
            learned_tokens: 9,
            longest: 9,
            max_length: 9,
            lengths: Histogram::default(),
            findings: findings.collect(),
            forecast: None,
            steps: 1,
            padding: None,
            ok: true,
        };
        Event::Checked { request: RequestId(1), verdict: Box::new(verdict) }
    }

    #[test]
    fn the_step_says_how_far_the_data_is() {
        let mut state = AppState::default();
        assert_eq!(progress(&state), StepState::Open);
        state.project.config.data.train.push("a.jsonl".into());
        assert_eq!(progress(&state), StepState::Open);
        state.project.config.model.path = "model".into();
        assert_eq!(progress(&state), StepState::Busy);
        for (severities, step) in [
            (&[][..], StepState::Done),
            (&[Severity::Info], StepState::Done),
            (&[Severity::Warning, Severity::Info], StepState::Warning),
            (&[Severity::Warning, Severity::Error], StepState::Problem),
        ] {
            state.data.verdict.ask(RequestId(1));
            state.reduce(&checked(severities));
            assert_eq!(progress(&state), step);
        }
        state.data.page.ask(RequestId(2));
        let error = Box::new(UserError::bad_input(Text::fixed("", "")));
        state.reduce(&Event::Failed { request: Some(RequestId(2)), error });
        assert_eq!(progress(&state), StepState::Problem);
    }
}
