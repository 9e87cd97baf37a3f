//! The table of runs. Only the rows in sight are drawn.

use std::path::PathBuf;

use egui::{Button, Color32, Label, Response, RichText, Sense, Ui, Vec2};
use egui_extras::{Column as Width, TableBuilder};
use protocol::{RunReport, RunState, Text};

use super::Kept;
use super::order::{Column, model};
use crate::panels::PanelCtx;
use crate::theme::{Tokens, UiTokens, semibold};
use crate::widgets::error::badge;
use crate::widgets::plot::sparkline;
use crate::widgets::{Icon, number};
use crate::words::runs as words;

const ROW: f32 = 30.0;
/// A row with the space below it.
pub const ROW_PITCH: f32 = ROW + 6.0;
/// Columns that give way where the table is narrow, the first first.
const SPARE: [Column; 5] = [Column::Size, Column::Model, Column::Duration, Column::Method, Column::LastLoss];
/// The least width of the names.
const NAME: f32 = 150.0;

/// Returns the run that was clicked.
pub fn ui(
    ui: &mut Ui,
    ctx: &PanelCtx<'_>,
    rows: &[&RunReport],
    kept: &mut Kept,
    selected: Option<&PathBuf>,
) -> Option<PathBuf> {
    let columns = columns(ui.available_width());
    let mut clicked = None;
    ui.spacing_mut().item_spacing.x = 6.0;
    let mut table = TableBuilder::new(ui)
        .id_salt(columns.len())
        .striped(false)
        .sense(Sense::click())
        .auto_shrink([false, false])
        .cell_layout(egui::Layout::left_to_right(egui::Align::Center));
    for (column, _, width) in &columns {
        table = table.column(match column {
            Column::Name => Width::remainder().at_least(NAME).clip(true),
            _ => Width::exact(*width).clip(true),
        });
    }
    table
        .header(26.0, |mut header| {
            for (column, name, _) in &columns {
                header.col(|ui| head(ui, ctx, *column, name, kept));
            }
        })
        .body(|body| {
            body.rows(ROW, rows.len(), |mut row| {
                let run = rows[row.index()];
                row.set_selected(selected == Some(&run.dir));
                let mut hit = false;
                for (column, _, _) in &columns {
                    row.col(|ui| hit |= cell(ui, ctx, *column, run));
                }
                if hit || row.response().clicked() {
                    clicked = Some(run.dir.clone());
                }
            });
        });
    clicked
}

/// Those for which there is room.
fn columns(width: f32) -> Vec<(Column, &'static Text, f32)> {
    let mut columns = Column::ALL.to_vec();
    for spare in SPARE {
        let needed: f32 = columns.iter().map(|(_, _, width)| width + 6.0).sum::<f32>() + NAME;
        if needed <= width {
            break;
        }
        columns.retain(|(column, _, _)| *column != spare);
    }
    columns
}

fn head(ui: &mut Ui, ctx: &PanelCtx<'_>, column: Column, name: &Text, kept: &mut Kept) {
    let tokens = ui.tokens();
    let on = kept.column == column;
    let colour = if on { tokens.text_strong } else { tokens.text_weak };
    let text = RichText::new(ctx.t(name)).small().family(semibold()).color(colour);
    let icon = if kept.ascending { Icon::ChevronUp } else { Icon::ChevronDown };
    let button = if on { Button::image_and_text(icon.image(11.0, colour), text) } else { Button::new(text) };
    ui.spacing_mut().button_padding.x = 2.0;
    if ui.add(button.frame_when_inactive(false)).clicked() {
        kept.ascending = if on { !kept.ascending } else { column == Column::Name };
        kept.column = column;
    }
}

/// True when it was clicked.
fn cell(ui: &mut Ui, ctx: &PanelCtx<'_>, column: Column, run: &RunReport) -> bool {
    let tokens = ui.tokens();
    let loss = |loss: Option<f64>| loss.map_or_else(|| "–".to_owned(), |loss| format!("{loss:.3}"));
    let text = match column {
        Column::Name => return name(ui, run).clicked(),
        Column::State => {
            let (word, help, colour) = state(tokens, run.state);
            badge(ui, ctx.t(word), colour).on_hover_text(ctx.t(help));
            return false;
        }
        Column::Curve => {
            let points = run.curve.iter().map(|(step, loss)| (*step as f64, *loss));
            sparkline(ui, Vec2::new(70.0, 22.0), tokens.accent, points, None, None);
            return false;
        }
        Column::LastLoss => loss(run.last_loss),
        Column::BestLoss => loss(run.best_eval_loss),
        Column::Steps if run.step == run.total_steps || run.total_steps == 0 => number::count(run.step),
        Column::Steps => format!("{} / {}", number::count(run.step), number::count(run.total_steps)),
        Column::Method => run.config.method.kind.clone(),
        Column::Model => model(run),
        Column::Started => started(run),
        Column::Duration => ctx.t(&number::duration(run.seconds)).to_owned(),
        Column::Size => number::bytes(run.bytes),
    };
    ui.add(Label::new(RichText::new(text).small().color(tokens.text)).truncate().sense(Sense::click()))
        .clicked()
}

/// The name is a button: rows are reached by the keyboard and found by their names.
fn name(ui: &mut Ui, run: &RunReport) -> Response {
    let text = RichText::new(&run.name).color(ui.tokens().text_strong);
    ui.spacing_mut().button_padding.x = 4.0;
    ui.add(Button::new(text).truncate().frame_when_inactive(false))
        .on_hover_text(run.dir.display().to_string())
}

/// Name, meaning and colour of a state.
pub fn state(tokens: &Tokens, state: RunState) -> (&'static Text, &'static Text, Color32) {
    match state {
        RunState::Running => (&words::RUNNING, &words::RUNNING_HELP, tokens.accent),
        RunState::Finished => (&words::FINISHED, &words::FINISHED_HELP, tokens.success),
        RunState::Unfinished => (&words::UNFINISHED, &words::UNFINISHED_HELP, tokens.warning),
        RunState::Elsewhere => (&words::ELSEWHERE, &words::ELSEWHERE_HELP, tokens.info),
        RunState::Empty => (&words::EMPTY, &words::EMPTY_HELP, tokens.text_weak),
    }
}

/// When it began, as far as that is known.
pub fn started(run: &RunReport) -> String {
    run.started.as_deref().map_or_else(|| "–".to_owned(), number::when)
}
