//! A model against sets of questions: what is asked, the table with and without what was learned, and earlier ones.

mod compare;
mod earlier;
mod figure;
mod form;
mod table;

use egui::{Align, Frame, Key, Label, Layout, Margin, Panel as SidePanel, RichText, ScrollArea, Ui};
use protocol::{SuiteReport, Text};

use super::left::Left;
use super::{Panel, PanelCtx, PanelInfo, StepState};
use crate::action::Action;
use crate::desktop::DesktopRequest;
use crate::state::AppState;
use crate::state::evaluate::{EvaluateAction, EvaluateChoices, suite, who};
use crate::state::tuned::Tuned;
use crate::theme::{UiTokens, semibold};
use crate::widgets::icon::Icon;
use crate::widgets::work::Work;
use crate::widgets::{
    WIDE, button, empty_state, error_box, form_beside, hint, icon_button, notice, number, primary_button,
    start_below, title,
};
use crate::words::evaluate as words;

pub const PANEL: PanelInfo = PanelInfo {
    id: "evaluate",
    name: Text::fixed("Evaluate", "评估"),
    help: Text::fixed("Measure it on sets of questions", "用评估集衡量效果"),
    icon: Icon::Gauge,
    shortcut: Key::Num8,
    step: false,
    progress,
    new: || Box::new(View::default()),
};

fn progress(state: &AppState) -> StepState {
    let work = &state.evaluate.work;
    match (&work.request, &work.error, &work.value) {
        (Some(_), ..) => StepState::Busy,
        (None, Some(_), _) => StepState::Problem,
        (None, None, Some(_)) => StepState::Done,
        (None, None, None) => StepState::Open,
    }
}

const FORM: f32 = 268.0;

#[derive(Default)]
struct View {
    left: Left<EvaluateChoices>,
    table: table::Table,
}

impl Panel for View {
    fn ui(&mut self, ui: &mut Ui, ctx: &PanelCtx<'_>) {
        if let Some(choices) = self.left.take_up(&ctx.state.evaluate.choices) {
            ctx.push(Action::Evaluate(EvaluateAction::Choose(Box::new(choices))));
        }
        ui.horizontal(|ui| title(ui, ctx.t(&PANEL.name), ctx.t(&PANEL.help)));
        ui.add_space(4.0);
        if Tuned::or_newest(ctx.state.evaluate.source.as_ref(), ctx.state).is_none() {
            return nobody(ui, ctx);
        }
        if suite(ctx.state).is_none() {
            hint(ui, ctx.t(&words::NO_SUITES));
            return;
        }
        if ui.available_width() >= WIDE {
            self.wide(ui, ctx);
        } else {
            start_below(ui, "evaluate-form", |ui| form::start(ui, ctx));
            ScrollArea::vertical().id_salt("evaluate").auto_shrink(false).show(ui, |ui| {
                form::ui(ui, ctx);
                ui.add_space(8.0);
                self.results(ui, ctx);
                ui.add_space(8.0);
                earlier::ui(ui, ctx);
            });
        }
    }

    fn save(&self) -> serde_json::Value {
        serde_json::to_value(&self.left).unwrap_or_default()
    }

    fn load(&mut self, saved: &serde_json::Value) {
        self.left = serde_json::from_value(saved.clone()).unwrap_or_default();
    }
}

impl View {
    fn wide(&mut self, ui: &mut Ui, ctx: &PanelCtx<'_>) {
        let width = FORM.max(ui.available_width() * 0.2).min(420.0);
        form_beside(ui, "evaluate-form", width, |ui| form::start(ui, ctx), |ui| form::ui(ui, ctx));
        let most = (ui.available_height() * 0.6).max(121.0);
        SidePanel::bottom("evaluations")
            .frame(Frame::new().inner_margin(Margin { top: 10, ..Margin::ZERO }))
            .show_separator_line(false)
            .resizable(true)
            .default_size(216.0)
            .size_range(120.0..=most)
            .show(ui, |ui| earlier::ui(ui, ctx));
        self.results(ui, ctx);
    }

    /// Work under way, else what was chosen among earlier ones, else the newest.
    fn results(&mut self, ui: &mut Ui, ctx: &PanelCtx<'_>) {
        let evaluate = &ctx.state.evaluate;
        if evaluate.is_busy() {
            work(ui, ctx);
            ui.add_space(6.0);
            return self.table.ui(ui, ctx, &evaluate.so_far.rows);
        }
        if let Some(error) = &evaluate.work.error {
            ui.label(RichText::new(ctx.t(&words::FAILED)).family(semibold()).color(ui.tokens().text_strong));
            error_box(ui, ctx, error);
            ui.add_space(6.0);
        }
        if evaluate.stopped {
            notice(ui, ctx, &words::STOPPED);
            ui.add_space(6.0);
        }
        let looked_at = evaluate.looked_at();
        match (looked_at.as_slice(), &evaluate.work.value) {
            ([], None) => empty(ui, ctx),
            ([], Some(report)) => self.report(ui, ctx, report, false),
            ([one], _) => self.report(ui, ctx, one, evaluate.work.value.is_some()),
            (many, _) => compare::ui(ui, ctx, many, &mut self.table),
        }
    }

    /// One evaluation in full.
    fn report(&mut self, ui: &mut Ui, ctx: &PanelCtx<'_>, report: &SuiteReport, back: bool) {
        let tokens = ui.tokens();
        ui.horizontal(|ui| {
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                head_buttons(ui, ctx, back, Some(report));
                ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                    let name = suite_name(ctx, &report.suite);
                    let text = RichText::new(format!("{name} · {}", who(report)));
                    let text = text.family(semibold()).color(tokens.text_strong);
                    ui.add(Label::new(text).truncate()).on_hover_text(report.data.display().to_string());
                });
            });
        });
        let detail = RichText::new(detail(ctx, report)).small().color(tokens.text_weak);
        ui.add(Label::new(detail).truncate());
        for note in &report.notes {
            notice(ui, ctx, note);
        }
        ui.add_space(2.0);
        self.table.ui(ui, ctx, &report.rows);
    }
}

/// Back, export, and the folder of the only one.
fn head_buttons(ui: &mut Ui, ctx: &PanelCtx<'_>, back: bool, only: Option<&SuiteReport>) {
    let export = button(ui, Some(Icon::Download), ctx.t(&words::EXPORT));
    if export.on_hover_text(ctx.t(&words::EXPORT_HELP)).clicked() {
        ctx.push(Action::Evaluate(EvaluateAction::Write));
    }
    if let Some(report) = only
        && icon_button(ui, Icon::FolderOpen, ctx.t(&words::OPEN_FOLDER)).clicked()
    {
        ctx.push(Action::Desktop(DesktopRequest::Open(report.dir.display().to_string())));
    }
    if back && icon_button(ui, Icon::Undo, ctx.t(&words::BACK)).clicked() {
        ctx.push(Action::Evaluate(EvaluateAction::SelectNone));
    }
}

/// A suite as people call it.
fn suite_name<'a>(ctx: &PanelCtx<'a>, id: &'a str) -> &'a str {
    let known = ctx.state.engine.catalog.suites.iter().find(|suite| suite.id == id);
    known.map_or(id, |suite| ctx.t(&suite.name))
}

/// `11-21 12:00 · shots 5 · at most 50 items · 3 min`
fn detail(ctx: &PanelCtx<'_>, report: &SuiteReport) -> String {
    let mut parts = vec![number::when(&report.when)];
    parts.extend(report.settings.iter().map(|(key, value)| match value {
        serde_json::Value::String(word) => format!("{key} {word}"),
        other => format!("{key} {other}"),
    }));
    if report.limit > 0 {
        let limit = number::count(report.limit);
        parts.push(ctx.t(&protocol::text!("at most {limit} items", "最多 {limit} 题")).to_owned());
    }
    parts.push(ctx.t(&number::duration(report.seconds)).to_owned());
    parts.join(" · ")
}

fn work(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    let evaluate = &ctx.state.evaluate;
    let wanted = evaluate.wanted.as_ref();
    let about = wanted.map(|wanted| suite_name(ctx, &wanted.suite).to_owned()).unwrap_or_default();
    let work = Work {
        progress: evaluate.work.progress.as_ref(),
        about: &about,
        waits: ctx.state.train.is_active().then_some(&words::WAITS),
        stop: &words::STOP,
        stopping: evaluate.stopping,
    };
    if work.ui(ui, ctx) {
        ctx.push(Action::Evaluate(EvaluateAction::Stop));
    }
}

fn nobody(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    empty_state(ui, Icon::Gauge, ctx.t(&words::NO_MODEL_TITLE), ctx.t(&words::NO_MODEL_HELP), |ui| {
        if primary_button(ui, Some(Icon::FolderOpen), ctx.t(&words::TO_MODEL), true).clicked() {
            ctx.push(Action::Open(super::model::PANEL.panel_id()));
        }
    });
}

fn empty(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    empty_state(ui, Icon::Gauge, ctx.t(&words::EMPTY_TITLE), ctx.t(&words::EMPTY_HELP), |_| {});
}
