//! The rows that were answered. Only those in sight are drawn.

use egui::{Label, RichText, ScrollArea, Sense, Ui};
use egui_extras::{Column, TableBuilder, TableRow};
use protocol::PredictedRow;

use crate::panels::PanelCtx;
use crate::state::predict::{ANSWER, is_right};
use crate::theme::{UiTokens, semibold};
use crate::widgets::{Icon, hint, number, segmented};
use crate::words::predict as words;

const ROW: f32 = 26.0;
/// The least width of a column of the file.
const NARROWEST: f32 = 96.0;
/// The least width of the answers.
const ANSWER_WIDTH: f32 = 120.0;
/// Characters of a value that a cell can show.
const SHOWN_CHARS: usize = 240;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Which {
    #[default]
    All,
    Wrong,
    Failed,
}

#[derive(Default)]
pub(super) struct Table {
    which: Which,
    /// Place among the answers of the row that is read in full.
    pub(super) selected: Option<usize>,
}

impl Table {
    pub(super) fn ui(&mut self, ui: &mut Ui, ctx: &PanelCtx<'_>) {
        let answers = &ctx.state.predict.answers;
        self.bar(ui, ctx);
        if answers.rows.is_empty() {
            hint(ui, ctx.t(&words::NO_ANSWERS));
            return;
        }
        let shown: Option<&[usize]> = match self.which {
            Which::All => None,
            Which::Wrong => Some(&answers.wrong),
            Which::Failed => Some(&answers.failed),
        };
        let len = shown.map_or(answers.rows.len(), <[usize]>::len);
        if len == 0 {
            hint(ui, ctx.t(&words::NONE_OF_THESE));
            return;
        }
        let at = |index: usize| shown.map_or(index, |shown| shown[index]);
        ScrollArea::horizontal()
            .id_salt("answers")
            .auto_shrink(false)
            .show(ui, |ui| self.rows(ui, ctx, len, at));
    }

    /// Which rows, and how many there are of each kind.
    fn bar(&mut self, ui: &mut Ui, ctx: &PanelCtx<'_>) {
        let answers = &ctx.state.predict.answers;
        let wrong = answers.labelled - answers.right;
        let text = |word, count| format!("{} {}", ctx.t(word), number::count(count));
        let (all, wrong_text, failed) = (
            text(&words::EVERY_ROW, answers.count),
            text(&words::WRONG, wrong),
            text(&words::ERRORS, answers.failures),
        );
        let mut kinds = vec![(Which::All, all.as_str())];
        if wrong > 0 {
            kinds.push((Which::Wrong, &wrong_text));
        }
        if answers.failures > 0 {
            kinds.push((Which::Failed, &failed));
        }
        if !kinds.iter().any(|(which, _)| *which == self.which) {
            self.which = Which::All;
        }
        ui.horizontal(|ui| {
            self.which = segmented(ui, self.which, &kinds).unwrap_or(self.which);
            if answers.count > answers.rows.len() as u64 {
                hint(ui, ctx.t(&words::FIRST_ROWS));
            }
        });
        ui.add_space(2.0);
    }

    fn rows(&mut self, ui: &mut Ui, ctx: &PanelCtx<'_>, len: usize, at: impl Fn(usize) -> usize) {
        let predict = &ctx.state.predict;
        let labelled = predict.answers.labelled > 0;
        let label = predict.wanted.as_ref().map_or("", |wanted| wanted.label.as_str());
        // The answer and the right one have columns of their own, side by side.
        let own = |value: &str| value == ANSWER || (labelled && value == label);
        let columns = predict.columns.iter().enumerate().filter(|(_, column)| !own(&column.value));
        let columns: Vec<(usize, &str)> = columns.map(|(at, column)| (at, column.name.as_str())).collect();
        ui.spacing_mut().item_spacing.x = 8.0;
        let mut table = TableBuilder::new(ui)
            .id_salt((columns.len(), labelled))
            .striped(false)
            .sense(Sense::click())
            .auto_shrink([false, false])
            .stick_to_bottom(predict.is_busy() && self.selected.is_none())
            .cell_layout(egui::Layout::left_to_right(egui::Align::Center))
            .column(Column::exact(58.0).clip(true));
        if labelled {
            table = table.column(Column::exact(20.0));
        }
        table = table.column(Column::remainder().at_least(ANSWER_WIDTH).clip(true));
        if labelled {
            table = table.column(Column::exact(84.0).clip(true));
        }
        for _ in &columns {
            table = table.column(Column::remainder().at_least(NARROWEST).clip(true));
        }
        let mut picked = None;
        table
            .header(24.0, |mut header| {
                let mut head = |text: &str| {
                    header.col(|ui| {
                        let text =
                            RichText::new(text).small().family(semibold()).color(ui.tokens().text_weak);
                        ui.add(Label::new(text).truncate());
                    });
                };
                head(ctx.t(&words::ROW));
                if labelled {
                    head("");
                }
                head(ctx.t(&words::ANSWER));
                if labelled {
                    head(ctx.t(&words::EXPECTED));
                }
                columns.iter().for_each(|(_, name)| head(name));
            })
            .body(|body| {
                body.rows(ROW, len, |mut row| {
                    let place = at(row.index());
                    let Some(answer) = predict.answers.rows.get(place) else { return };
                    row.set_selected(self.selected == Some(place));
                    let hit = line(&mut row, ctx, answer, &columns, labelled);
                    if hit || row.response().clicked() {
                        picked = Some(place);
                    }
                });
            });
        if let Some(place) = picked {
            self.selected = Some(place).filter(|_| self.selected != picked);
        }
    }
}

/// A row; whether it was clicked by its number, which the keyboard reaches.
fn line(
    row: &mut TableRow<'_, '_>,
    ctx: &PanelCtx<'_>,
    answer: &PredictedRow,
    columns: &[(usize, &str)],
    labelled: bool,
) -> bool {
    let mut hit = false;
    row.col(|ui| {
        let text = RichText::new(number::count(answer.row)).small().color(ui.tokens().text_weak);
        ui.spacing_mut().button_padding.x = 2.0;
        let button = ui.add(egui::Button::new(text).frame_when_inactive(false));
        let number = answer.row;
        let name = protocol::text!("row {number}", "第 {number} 行");
        button.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, ctx.t(&name)));
        hit = button.clicked();
    });
    if labelled {
        row.col(|ui| mark(ui, ctx, answer));
    }
    row.col(|ui| match &answer.error {
        Some(error) => {
            let text = RichText::new(ctx.t(error)).small().color(ui.tokens().error);
            ui.add(Label::new(text).truncate().selectable(false)).on_hover_text(ctx.t(error));
        }
        None => cell(ui, &answer.answer),
    });
    if labelled {
        row.col(|ui| cell(ui, answer.label.as_deref().unwrap_or_default()));
    }
    for (index, _) in columns {
        row.col(|ui| cell(ui, answer.values.get(*index).map(String::as_str).unwrap_or_default()));
    }
    hit
}

/// Right or wrong, by shape and colour.
fn mark(ui: &mut Ui, ctx: &PanelCtx<'_>, answer: &PredictedRow) {
    let tokens = ui.tokens();
    let (icon, colour, word) = match is_right(answer) {
        Some(true) => (Icon::Check, tokens.success, &words::RIGHT),
        Some(false) => (Icon::Close, tokens.error, &words::NOT_RIGHT),
        None => return,
    };
    icon.ui(ui, 13.0, colour).on_hover_text(ctx.t(word));
}

fn cell(ui: &mut Ui, value: &str) {
    let end = value.char_indices().nth(SHOWN_CHARS).map_or(value.len(), |(end, _)| end);
    let text = value[..end].replace(['\n', '\r', '\t'], " ");
    let text = RichText::new(text).color(ui.tokens().text);
    ui.add(Label::new(text).truncate().selectable(false));
}
