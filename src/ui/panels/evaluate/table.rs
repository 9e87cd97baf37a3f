//! The table of one evaluation: the whole, groups, and subjects that unfold.

use egui::{Align, Label, Layout, RichText, Sense, Ui};
use egui_extras::{Column, TableBuilder, TableRow};
use protocol::{Measured, SuiteLevel, SuiteMetric, SuiteRow};

use super::figure::{Change, Scale, bars};
use crate::panels::PanelCtx;
use crate::state::evaluate::{metric, metrics};
use crate::theme::{UiTokens, semibold};
use crate::widgets::{Icon, hint, number, segmented};
use crate::words::evaluate as words;

pub(super) const ROW: f32 = 26.0;
/// Width of a value, of a difference and of the bars.
const VALUE: f32 = 60.0;
const DIFFERENCE: f32 = 88.0;
const BARS: f32 = 76.0;
/// As many subjects as this need no folding.
const FEW: usize = 6;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Order {
    #[default]
    Listed,
    Difference,
}

/// How the table is looked at.
#[derive(Default)]
pub(super) struct Table {
    /// The figure that is shown; the first where there is none of that name.
    pub(super) metric: String,
    pub(super) unfolded: bool,
    order: Order,
}

/// A line of the table.
pub(super) enum Line<'a> {
    Row(&'a SuiteRow),
    /// The subjects, which unfold.
    Subjects(usize),
}

impl Table {
    pub(super) fn ui(&mut self, ui: &mut Ui, ctx: &PanelCtx<'_>, rows: &[SuiteRow]) {
        if rows.is_empty() {
            hint(ui, ctx.t(&words::NO_FIGURES));
            return;
        }
        let names = metrics(rows.iter());
        let shown = self.choose(ui, ctx, &names, rows);
        let scale = Scale::of(rows.iter(), &shown);
        let has = |pick: fn(&SuiteMetric) -> Option<Measured>| {
            rows.iter().filter_map(|row| metric(row, &shown)).any(|it| pick(it).is_some())
        };
        let columns = [has(|it| it.base), has(|it| it.tuned), has(|it| it.difference)];
        let lines = self.lines(rows, &shown);
        let mut table = TableBuilder::new(ui)
            .id_salt(columns)
            .striped(false)
            .sense(Sense::click())
            .auto_shrink([false, false])
            .cell_layout(Layout::left_to_right(Align::Center))
            .column(Column::remainder().at_least(110.0).clip(true))
            .column(Column::exact(48.0));
        for (on, width) in columns.into_iter().zip([VALUE, VALUE, DIFFERENCE]) {
            if on {
                table = table.column(Column::exact(width));
            }
        }
        let mut toggled = false;
        table
            .column(Column::exact(BARS))
            .header(24.0, |mut header| {
                header.col(|ui| head(ui, ctx.t(&words::NAME), Align::Min));
                header.col(|ui| head(ui, ctx.t(&words::ITEMS), Align::Max));
                let words = [&words::BASE, &words::TUNED, &words::DIFFERENCE];
                for (_, word) in columns.into_iter().zip(words).filter(|(on, _)| *on) {
                    header.col(|ui| head(ui, ctx.t(word), Align::Max));
                }
                header.col(|_| {});
            })
            .body(|body| {
                body.rows(ROW, lines.len(), |mut row| {
                    let line = &lines[row.index()];
                    let hit = match line {
                        Line::Row(suite) => {
                            self::row(&mut row, ctx, suite, metric(suite, &shown), scale, columns);
                            false
                        }
                        Line::Subjects(count) => subjects(&mut row, ctx, *count, self.unfolded, columns),
                    };
                    toggled |= matches!(line, Line::Subjects(_)) && (hit || row.response().clicked());
                });
            });
        self.unfolded ^= toggled;
    }

    /// Which figure is shown, and in which order.
    fn choose(&mut self, ui: &mut Ui, ctx: &PanelCtx<'_>, names: &[&str], rows: &[SuiteRow]) -> String {
        let current = names.iter().position(|name| *name == self.metric).unwrap_or(0);
        let subjects = rows.iter().filter(|row| row.level == SuiteLevel::Subject).count();
        let differs = rows.iter().flat_map(|row| &row.metrics).any(|it| it.difference.is_some());
        let orders = self.unfolded && differs && subjects > 1;
        if names.len() > 1 || orders {
            ui.horizontal(|ui| {
                if names.len() > 1 {
                    let named: Vec<_> =
                        names.iter().enumerate().map(|(index, name)| (index, *name)).collect();
                    if let Some(index) = segmented(ui, current, &named) {
                        names[index].clone_into(&mut self.metric);
                    }
                }
                if orders {
                    let orders = [
                        (Order::Listed, ctx.t(&words::BY_ORDER)),
                        (Order::Difference, ctx.t(&words::BY_DIFFERENCE)),
                    ];
                    self.order = segmented(ui, self.order, &orders).unwrap_or(self.order);
                }
            });
        }
        names.get(current).map(|name| (*name).to_owned()).unwrap_or_default()
    }

    /// The whole and groups, and the subjects if they are unfolded or few: under their groups, or in order of gain behind
    /// all of them.
    fn lines<'a>(&self, rows: &'a [SuiteRow], shown: &str) -> Vec<Line<'a>> {
        let subject = |row: &&SuiteRow| row.level == SuiteLevel::Subject;
        let mut subjects: Vec<&SuiteRow> = rows.iter().filter(subject).collect();
        let mut lines: Vec<_> = rows.iter().filter(|row| !subject(row)).map(Line::Row).collect();
        if subjects.len() > FEW {
            // In front of groups that open below it.
            let grouped = subjects.iter().any(|row| !row.groups.is_empty());
            let at = if grouped { lines.len().min(1) } else { lines.len() };
            lines.insert(at, Line::Subjects(subjects.len()));
        }
        if self.order == Order::Difference {
            let gain = |row: &SuiteRow| {
                let it = metric(row, shown)?;
                let sign = if it.higher_is_better { 1.0 } else { -1.0 };
                it.difference.map(|difference| difference.value * sign).filter(|gain| gain.is_finite())
            };
            let key = |row: &SuiteRow| gain(row).unwrap_or(f64::NEG_INFINITY);
            subjects.sort_by(|a, b| key(b).total_cmp(&key(a)));
        }
        if self.unfolded || subjects.len() <= FEW {
            lines.extend(subjects.into_iter().map(Line::Row));
        }
        if self.order == Order::Listed { under_groups(lines, Line::row) } else { lines }
    }
}

impl<'a> Line<'a> {
    fn row(&self) -> Option<&'a SuiteRow> {
        match self {
            Line::Row(row) => Some(row),
            Line::Subjects(_) => None,
        }
    }
}

/// Puts each subject under the row of its first group, where there is one.
pub(super) fn under_groups<'a, T>(lines: Vec<T>, row: impl Fn(&T) -> Option<&'a SuiteRow>) -> Vec<T> {
    let names = |level: SuiteLevel| {
        lines.iter().filter_map(&row).filter(move |row| row.level == level).map(|row| row.name.as_str())
    };
    let groups: Vec<&str> = names(SuiteLevel::Group).collect();
    let group_of = |line: &T| {
        let row = row(line)?;
        let name = match row.level {
            SuiteLevel::Total => return None,
            SuiteLevel::Group => row.name.as_str(),
            SuiteLevel::Subject => row.groups.first()?.as_str(),
        };
        groups.iter().position(|group| *group == name)
    };
    // Stable: what is in no group keeps its place before or behind those that are.
    let first = lines.iter().position(|line| group_of(line).is_some()).unwrap_or(lines.len());
    let key = |(at, line): &(usize, &T)| match group_of(line) {
        Some(group) => (1, group),
        None if *at < first => (0, 0),
        None => (2, 0),
    };
    let keys: Vec<_> = lines.iter().enumerate().map(|line| key(&line)).collect();
    let mut keyed: Vec<_> = keys.into_iter().zip(lines).collect();
    keyed.sort_by_key(|(key, _)| *key);
    keyed.into_iter().map(|(_, line)| line).collect()
}

pub(super) fn head(ui: &mut Ui, text: &str, align: Align) {
    let text = RichText::new(text).small().family(semibold()).color(ui.tokens().text_weak);
    aligned(ui, align, |ui| {
        ui.add(Label::new(text).truncate());
    });
}

fn aligned(ui: &mut Ui, align: Align, contents: impl FnOnce(&mut Ui)) {
    if align == Align::Max {
        ui.with_layout(Layout::right_to_left(Align::Center), contents);
    } else {
        contents(ui);
    }
}

/// The name, further in the deeper it is.
pub(super) fn name(ui: &mut Ui, ctx: &PanelCtx<'_>, row: &SuiteRow) {
    let tokens = ui.tokens();
    let text = match row.level {
        SuiteLevel::Total => RichText::new(ctx.t(&words::TOTAL)).family(semibold()).color(tokens.text_strong),
        SuiteLevel::Group => RichText::new(&row.name).color(tokens.text_strong),
        SuiteLevel::Subject => {
            ui.add_space(14.0);
            RichText::new(row.name.replace('_', " ")).color(tokens.text)
        }
    };
    ui.add(Label::new(text).truncate().selectable(false)).on_hover_text(&row.name);
}

fn row(
    row: &mut TableRow<'_, '_>,
    ctx: &PanelCtx<'_>,
    suite: &SuiteRow,
    metric: Option<&SuiteMetric>,
    scale: Scale,
    columns: [bool; 3],
) {
    row.col(|ui| name(ui, ctx, suite));
    row.col(|ui| {
        let items = RichText::new(number::count(suite.items)).small().color(ui.tokens().text_weak);
        aligned(ui, Align::Max, |ui| {
            ui.label(items);
        });
    });
    let values = metric.map_or([None, None], |metric| [metric.base, metric.tuned]);
    for (_, value) in columns.into_iter().zip(values).filter(|(on, _)| *on) {
        row.col(|ui| {
            let Some(value) = value else { return };
            let text = RichText::new(scale.value(value.value)).color(ui.tokens().text_strong);
            aligned(ui, Align::Max, |ui| {
                ui.label(text).on_hover_text(format!("{}: {}", ctx.t(&words::INTERVAL), scale.whole(value)));
            });
        });
    }
    if columns[2] {
        row.col(|ui| {
            if let Some(metric) = metric {
                aligned(ui, Align::Max, |ui| difference(ui, ctx, scale, metric));
            }
        });
    }
    row.col(|ui| {
        if let Some(metric) = metric {
            bars(ui, scale, metric, BARS);
        }
    });
}

fn difference(ui: &mut Ui, ctx: &PanelCtx<'_>, scale: Scale, metric: &SuiteMetric) {
    let (Some(it), Some(change)) = (metric.difference, Change::of(metric)) else { return };
    let word = match change {
        Change::Better => &words::BETTER,
        Change::Worse => &words::WORSE,
        Change::Unsure => &words::UNSURE,
    };
    let text = RichText::new(scale.difference(it)).color(change.colour(ui.tokens()));
    ui.label(text).on_hover_text(ctx.t(word));
}

/// The line that unfolds the subjects; whether it was clicked.
fn subjects(
    row: &mut TableRow<'_, '_>,
    ctx: &PanelCtx<'_>,
    count: usize,
    open: bool,
    columns: [bool; 3],
) -> bool {
    let mut hit = false;
    row.col(|ui| hit = fold(ui, ctx, count, open));
    for _ in 0..2 + columns.into_iter().filter(|on| *on).count() {
        row.col(|_| {});
    }
    hit
}

pub(super) fn fold(ui: &mut Ui, ctx: &PanelCtx<'_>, count: usize, open: bool) -> bool {
    let icon = if open { Icon::ChevronDown } else { Icon::ChevronRight };
    let count = number::count(count as u64);
    let text = protocol::text!("{count} subjects", "{count} 个科目");
    let tokens = ui.tokens();
    let label = RichText::new(ctx.t(&text)).color(tokens.text_weak);
    ui.spacing_mut().button_padding.x = 0.0;
    let button = egui::Button::image_and_text(icon.image(12.0, tokens.text_weak), label);
    ui.add(button.frame(false)).clicked()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(level: SuiteLevel, name: &str, gain: Option<f64>) -> SuiteRow {
        let difference = gain.map(|value| Measured { value, low: value, high: value });
        let metric =
            SuiteMetric { name: "acc".into(), higher_is_better: true, base: None, tuned: None, difference };
        SuiteRow { level, name: name.into(), groups: Vec::new(), items: 1, metrics: vec![metric] }
    }

    fn names(table: &Table, rows: &[SuiteRow]) -> Vec<String> {
        let told = |line: Line<'_>| match line {
            Line::Row(row) => row.name.clone(),
            Line::Subjects(count) => format!("{count} subjects"),
        };
        table.lines(rows, "acc").into_iter().map(told).collect()
    }

    #[test]
    fn many_subjects_are_folded_and_can_be_put_in_order_of_gain() {
        let mut rows = vec![row(SuiteLevel::Total, "all", None), row(SuiteLevel::Group, "stem", None)];
        let gains = [0.1, -0.2, 0.3, 0.0, 0.05, f64::NAN, 0.2];
        rows.extend(
            gains
                .iter()
                .enumerate()
                .map(|(at, gain)| row(SuiteLevel::Subject, &format!("s{at}"), Some(*gain))),
        );
        let mut table = Table::default();
        assert_eq!(names(&table, &rows), ["all", "stem", "7 subjects"]);
        table.unfolded = true;
        table.order = Order::Difference;
        let told = names(&table, &rows);
        assert_eq!(told[3..], ["s2", "s6", "s0", "s4", "s3", "s1", "s5"]);
        assert_eq!(names(&Table::default(), &rows[..4]), ["all", "stem", "s0", "s1"]);
    }

    #[test]
    fn subjects_stand_under_their_groups() {
        let mut rows = vec![row(SuiteLevel::Total, "all", None)];
        rows.extend(["stem", "law", "hard"].map(|name| row(SuiteLevel::Group, name, None)));
        for (at, groups) in
            ["law", "stem hard", "", "law", "stem hard", "elsewhere", "stem"].iter().enumerate()
        {
            let mut subject = row(SuiteLevel::Subject, &format!("s{at}"), Some(at as f64));
            subject.groups = groups.split_whitespace().map(str::to_owned).collect();
            rows.push(subject);
        }
        let mut table = Table::default();
        assert_eq!(names(&table, &rows), ["all", "7 subjects", "stem", "law", "hard"]);
        table.unfolded = true;
        let listed = ["stem", "s1", "s4", "s6", "law", "s0", "s3", "hard", "s2", "s5"];
        assert_eq!(names(&table, &rows)[2..], listed);
        table.order = Order::Difference;
        assert_eq!(names(&table, &rows)[2..8], ["stem", "law", "hard", "s6", "s5", "s4"]);
    }
}
