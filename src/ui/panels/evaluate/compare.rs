//! Several evaluations side by side.

use egui::{Align, Label, Layout, Rect, RichText, ScrollArea, Sense, Ui};
use egui_extras::{Column, TableBuilder};
use protocol::{SuiteLevel, SuiteReport, SuiteRow};

use super::figure::{Scale, bar};
use super::table::{ROW, Table, fold, head, name, under_groups};
use super::{head_buttons, suite_name};
use crate::panels::PanelCtx;
use crate::state::evaluate::{figure, metric, metrics, who};
use crate::theme::{UiTokens, semibold};
use crate::widgets::{section, segmented};
use crate::words::evaluate as words;

/// The least width of an evaluation's column.
const COLUMN: f32 = 104.0;

/// A line of all evaluations that have it.
struct Line<'a> {
    suite: &'a str,
    row: &'a SuiteRow,
    /// By evaluation.
    cells: Vec<Option<&'a SuiteRow>>,
}

pub(super) fn ui(ui: &mut Ui, ctx: &PanelCtx<'_>, reports: &[&SuiteReport], table: &mut Table) {
    ui.horizontal(|ui| {
        section(ui, ctx.t(&words::SIDE_BY_SIDE));
        let names = metrics(reports.iter().flat_map(|report| &report.rows));
        let current = names.iter().position(|name| *name == table.metric).unwrap_or(0);
        let named: Vec<_> = names.iter().enumerate().map(|(index, name)| (index, *name)).collect();
        if let Some(index) = (names.len() > 1).then(|| segmented(ui, current, &named)).flatten() {
            names[index].clone_into(&mut table.metric);
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| head_buttons(ui, ctx, true, None));
    });
    ui.add_space(2.0);
    let names = metrics(reports.iter().flat_map(|report| &report.rows));
    let shown =
        names.iter().find(|name| **name == table.metric).or(names.first()).copied().unwrap_or_default();
    let scale = Scale::of(reports.iter().flat_map(|report| &report.rows), shown);
    ScrollArea::horizontal().id_salt("side by side").auto_shrink(false).show(ui, |ui| {
        grid(ui, ctx, reports, table, (shown, scale));
    });
}

fn grid(
    ui: &mut Ui,
    ctx: &PanelCtx<'_>,
    reports: &[&SuiteReport],
    table: &mut Table,
    (shown, scale): (&str, Scale),
) {
    let all = lines(reports);
    let subjects = all.iter().filter(|line| line.row.level == SuiteLevel::Subject).count();
    let lines = shown_lines(&all, table.unfolded);
    let several = reports.iter().any(|report| report.suite != reports[0].suite);
    let mut builder = TableBuilder::new(ui)
        .id_salt(("compare", reports.len()))
        .striped(false)
        .sense(Sense::hover())
        .auto_shrink([false, false])
        .cell_layout(Layout::left_to_right(Align::Center))
        .column(Column::remainder().at_least(120.0).clip(true));
    for _ in reports {
        builder = builder.column(Column::remainder().at_least(COLUMN).clip(true));
    }
    let mut toggled = false;
    builder
        .header(24.0, |mut header| {
            header.col(|ui| head(ui, ctx.t(&words::NAME), Align::Min));
            for report in reports {
                header.col(|ui| head(ui, &who(report), Align::Min));
            }
        })
        .body(|body| {
            body.rows(ROW, lines.len(), |mut row| match lines[row.index()] {
                None => {
                    row.col(|ui| toggled = fold(ui, ctx, subjects, table.unfolded));
                    reports.iter().for_each(|_| {
                        row.col(|_| {});
                    });
                }
                Some(line) => {
                    row.col(|ui| {
                        if several && line.row.level == SuiteLevel::Total {
                            let text = RichText::new(suite_name(ctx, line.suite)).family(semibold());
                            ui.add(Label::new(text.color(ui.tokens().text_strong)).truncate());
                        } else {
                            name(ui, ctx, line.row);
                        }
                    });
                    let best = best(line, shown);
                    for (index, cell) in line.cells.iter().enumerate() {
                        row.col(|ui| self::cell(ui, *cell, shown, scale, best == Some(index)));
                    }
                }
            });
        });
    table.unfolded ^= toggled;
}

/// The lines that are shown; None is the one that unfolds the subjects. Of one suite, subjects stand under their groups.
fn shown_lines<'a, 'r>(all: &'a [Line<'r>], unfolded: bool) -> Vec<Option<&'a Line<'r>>> {
    let (subjects, mut lines): (Vec<_>, Vec<_>) =
        all.iter().map(Some).partition(|line| line.is_some_and(|line| line.row.level == SuiteLevel::Subject));
    let several = all.iter().any(|line| line.suite != all[0].suite);
    let grouped = !several && subjects.iter().flatten().any(|line| !line.row.groups.is_empty());
    if !subjects.is_empty() {
        lines.insert(if grouped { lines.len().min(1) } else { lines.len() }, None);
    }
    if unfolded {
        lines.extend(subjects);
    }
    if grouped { under_groups(lines, |line| line.map(|line| line.row)) } else { lines }
}

/// The value over its bar; the best of a line stands out.
fn cell(ui: &mut Ui, row: Option<&SuiteRow>, shown: &str, scale: Scale, best: bool) {
    let tokens = ui.tokens();
    let Some(value) = row.and_then(|row| metric(row, shown)).and_then(figure) else { return };
    let rect = ui.max_rect();
    let lane = Rect::from_min_max(
        egui::pos2(rect.left(), rect.bottom() - 5.0),
        egui::pos2(rect.right() - 8.0, rect.bottom() - 2.0),
    );
    bar(ui, lane, scale, value, if best { tokens.accent } else { tokens.text_faint });
    let text = RichText::new(scale.value(value.value));
    let text = if best { text.family(semibold()).color(tokens.text_strong) } else { text.color(tokens.text) };
    ui.label(text).on_hover_text(scale.whole(value));
}

/// The lines of all, in the order of the first that has each.
fn lines<'a>(reports: &[&'a SuiteReport]) -> Vec<Line<'a>> {
    let mut lines: Vec<Line<'a>> = Vec::new();
    for (index, report) in reports.iter().enumerate() {
        for row in &report.rows {
            let same = |line: &&mut Line<'_>| {
                // The whole of a suite is one line, whatever it is called.
                let total = row.level == SuiteLevel::Total;
                line.suite == report.suite
                    && line.row.level == row.level
                    && (total || line.row.name == row.name)
            };
            match lines.iter_mut().find(same) {
                Some(line) => line.cells[index] = Some(row),
                None => {
                    let mut cells = vec![None; reports.len()];
                    cells[index] = Some(row);
                    lines.push(Line { suite: &report.suite, row, cells });
                }
            }
        }
    }
    lines
}

/// Which evaluation has the best figure of a line; None where there is but one, or where they are equal.
fn best(line: &Line<'_>, shown: &str) -> Option<usize> {
    let told = |(index, row): (usize, &Option<&SuiteRow>)| {
        let metric = metric((*row)?, shown)?;
        let sign = if metric.higher_is_better { 1.0 } else { -1.0 };
        Some((index, figure(metric)?.value * sign)).filter(|(_, value)| value.is_finite())
    };
    let told: Vec<_> = line.cells.iter().enumerate().filter_map(told).collect();
    let (index, value) = told.iter().copied().max_by(|a, b| a.1.total_cmp(&b.1))?;
    (told.iter().filter(|other| other.1 == value).count() == 1 && told.len() > 1).then_some(index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::evaluate::tests::report;

    #[test]
    fn the_lines_of_a_suite_meet_and_the_best_is_found() {
        let (mut a, mut b) = (report("/a"), report("/b"));
        b.rows[0].name = "MMLU".into();
        let mut subject = b.rows[0].clone();
        (subject.level, subject.name) = (SuiteLevel::Subject, "law".into());
        b.rows.push(subject);
        a.rows[0].metrics[0].tuned.as_mut().unwrap().value = 0.7;
        let reports = [&a, &b];
        let lines = lines(&reports);
        assert_eq!(lines.iter().map(|line| line.cells.iter().flatten().count()).collect::<Vec<_>>(), [2, 1]);
        assert_eq!(
            (best(&lines[0], "acc"), best(&lines[1], "acc"), best(&lines[0], "f1")),
            (Some(0), None, None)
        );
        let reports = [&a, &a];
        assert_eq!(best(&self::lines(&reports)[0], "acc"), None, "equal");
    }

    #[test]
    fn subjects_of_one_suite_stand_under_their_groups() {
        let report = report("/a");
        let mut law = report.rows[0].clone();
        (law.level, law.name, law.groups) = (SuiteLevel::Subject, "law".into(), vec!["arts".into()]);
        let mut arts = law.clone();
        (arts.level, arts.name, arts.groups) = (SuiteLevel::Group, "arts".into(), Vec::new());
        let mut sciences = arts.clone();
        sciences.name = "sciences".into();
        let rows = [&report.rows[0], &arts, &sciences, &law];
        let lines: Vec<_> = rows.map(|row| Line { suite: "mmlu", row, cells: Vec::new() }).into();
        let names = |unfolded| -> Vec<_> {
            let shown = shown_lines(&lines, unfolded).into_iter();
            shown.map(|line| line.map_or("…", |line| line.row.name.as_str()).to_owned()).collect()
        };
        assert_eq!(names(false), ["mmlu", "…", "arts", "sciences"]);
        assert_eq!(names(true), ["mmlu", "…", "arts", "law", "sciences"]);
    }
}
