//! Marks of items as a table: the whole first, then groups, then subjects.

use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::{Measured, SuiteLevel, SuiteMetric, SuiteRow};

use super::{Figure, Item, Metric};
use crate::metrics::interval;

/// The marks of each item's answer by one of the two, without and with adapters; none where it has not answered yet.
pub type Answers = Vec<Option<Vec<f64>>>;

/// Figures over the items that were answered; differences over those that both answered. Groups and subjects come in
/// the order in which items have them, and only where there are several.
pub fn table(
    suite: &str,
    items: &[Item],
    metrics: &[Metric],
    base: Option<&Answers>,
    tuned: Option<&Answers>,
) -> Vec<SuiteRow> {
    let answers = Both { base, tuned };
    let all: Vec<usize> = (0..items.len()).collect();
    let mut rows = vec![answers.row((SuiteLevel::Total, suite, &[]), &all, metrics)];
    let subjects = grouped(items, |item| std::slice::from_ref(&item.subject));
    if subjects.len() > 1 {
        let groups = grouped(items, |item| &item.groups);
        let group = |(name, items): &(Arc<str>, Vec<usize>)| {
            answers.row((SuiteLevel::Group, name, &[]), items, metrics)
        };
        rows.extend(groups.iter().map(group));
        let subject = |(name, members): &(Arc<str>, Vec<usize>)| {
            let groups = members.first().map(|first| items[*first].groups.as_slice());
            answers.row((SuiteLevel::Subject, name, groups.unwrap_or_default()), members, metrics)
        };
        rows.extend(subjects.iter().map(subject));
    }
    rows.retain(|row| row.items > 0 || row.level == SuiteLevel::Total);
    rows
}

/// Items by the names that they have, in the order in which these first come.
fn grouped(items: &[Item], names: impl Fn(&Item) -> &[Arc<str>]) -> Vec<(Arc<str>, Vec<usize>)> {
    let mut places: BTreeMap<Arc<str>, usize> = BTreeMap::new();
    let mut groups: Vec<(Arc<str>, Vec<usize>)> = Vec::new();
    for (index, item) in items.iter().enumerate() {
        for name in names(item) {
            let place = *places.entry(name.clone()).or_insert_with(|| {
                groups.push((name.clone(), Vec::new()));
                groups.len() - 1
            });
            groups[place].1.push(index);
        }
    }
    groups
}

struct Both<'a> {
    base: Option<&'a Answers>,
    tuned: Option<&'a Answers>,
}

impl Both<'_> {
    fn row(
        &self,
        (level, name, groups): (SuiteLevel, &str, &[Arc<str>]),
        items: &[usize],
        metrics: &[Metric],
    ) -> SuiteRow {
        let base = self.base.map(|answers| marks(answers, items));
        let tuned = self.tuned.map(|answers| marks(answers, items));
        let pairs = self.base.zip(self.tuned).map(|(base, tuned)| both(base, tuned, items));
        let count = [&base, &tuned].into_iter().flatten().map(Vec::len).max().unwrap_or(0);
        let metric = |metric: &Metric| SuiteMetric {
            name: metric.name.to_owned(),
            higher_is_better: metric.higher_is_better,
            base: base.as_ref().filter(|marks| !marks.is_empty()).map(|marks| metric.measure(marks)),
            tuned: tuned.as_ref().filter(|marks| !marks.is_empty()).map(|marks| metric.measure(marks)),
            difference: pairs
                .as_ref()
                .filter(|(base, _)| !base.is_empty())
                .map(|(base, tuned)| metric.difference(base, tuned)),
        };
        SuiteRow {
            level,
            name: name.to_owned(),
            groups: groups.iter().map(|group| group.to_string()).collect(),
            items: count as u64,
            metrics: metrics.iter().map(metric).collect(),
        }
    }
}

fn marks<'a>(answers: &'a Answers, items: &[usize]) -> Vec<&'a [f64]> {
    items.iter().filter_map(|item| answers.get(*item)?.as_deref()).collect()
}

/// Marks of the items that both answered.
fn both<'a>(base: &'a Answers, tuned: &'a Answers, items: &[usize]) -> (Vec<&'a [f64]>, Vec<&'a [f64]>) {
    let pair = |item: &usize| Some((base.get(*item)?.as_deref()?, tuned.get(*item)?.as_deref()?));
    items.iter().filter_map(pair).unzip()
}

impl Metric {
    fn measure(&self, marks: &[&[f64]]) -> Measured {
        match self.figure {
            Figure::Mean(mark) => interval::mean(&column(marks, mark)),
            Figure::Pooled(figure) => {
                interval::pooled(marks.len(), |drawn| figure(&mut drawn.map(|item| marks[item])))
            }
        }
    }

    /// tuned − base over the same items.
    fn difference(&self, base: &[&[f64]], tuned: &[&[f64]]) -> Measured {
        match self.figure {
            Figure::Mean(mark) => interval::mean_difference(&column(base, mark), &column(tuned, mark)),
            Figure::Pooled(figure) => interval::pooled(base.len(), |drawn| {
                let drawn: Vec<usize> = drawn.collect();
                let of = |marks: &[&[f64]]| figure(&mut drawn.iter().map(|item| marks[*item]));
                of(tuned) - of(base)
            }),
        }
    }
}

fn column(marks: &[&[f64]], mark: usize) -> Vec<f64> {
    marks.iter().map(|marks| marks.get(mark).copied().unwrap_or(f64::NAN)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suites::{Ask, Key};

    fn item(subject: &str, groups: &[&str]) -> Item {
        Item {
            id: String::new(),
            subject: subject.into(),
            groups: groups.iter().map(|group| Arc::from(*group)).collect(),
            ask: Ask::Roll { text: String::new() },
            key: Key::Option(0),
        }
    }

    fn sum_over_count(items: &mut dyn Iterator<Item = &[f64]>) -> f64 {
        let (sum, count) = items.fold((0.0, 0.0), |(sum, count), marks| (sum + marks[0], count + marks[1]));
        sum / count
    }

    #[test]
    fn the_whole_then_groups_then_subjects() {
        let items = [item("b", &["x", "hard"]), item("a", &["y"]), item("b", &["x", "hard"])];
        let base: Answers = vec![Some(vec![1.0]), Some(vec![0.0]), None];
        let tuned: Answers = vec![Some(vec![1.0]), Some(vec![1.0]), Some(vec![1.0])];
        let metrics = [Metric::mean("acc", 0)];
        let rows = table("mmlu", &items, &metrics, Some(&base), Some(&tuned));
        let names: Vec<_> = rows.iter().map(|row| (row.level, row.name.as_str(), row.items)).collect();
        use SuiteLevel::{Group, Subject, Total};
        assert_eq!(
            names,
            [
                (Total, "mmlu", 3),
                (Group, "x", 2),
                (Group, "hard", 2),
                (Group, "y", 1),
                (Subject, "b", 2),
                (Subject, "a", 1)
            ]
        );
        let groups: Vec<_> = rows.iter().map(|row| row.groups.join(" ")).collect();
        assert_eq!(groups, ["", "", "", "", "x hard", "y"]);
        let whole = &rows[0].metrics[0];
        assert_eq!(whole.base.unwrap().value, 0.5);
        assert_eq!(whole.tuned.unwrap().value, 1.0);
        // Over the two that both answered.
        assert_eq!(whole.difference.unwrap().value, 0.5);
    }

    #[test]
    fn pooled_figures_are_drawn_in_pairs() {
        let items: Vec<Item> = (0..50).map(|_| item("a", &[])).collect();
        let marks = |shift: f64| -> Answers {
            (0..50).map(|index| Some(vec![f64::from(index % 7) + shift, 1.0])).collect()
        };
        let metric = Metric { name: "m", higher_is_better: false, figure: Figure::Pooled(sum_over_count) };
        let rows = table("s", &items, &[metric], Some(&marks(0.0)), Some(&marks(0.25)));
        assert_eq!(rows.len(), 1);
        let difference = rows[0].metrics[0].difference.unwrap();
        let near = |value: f64| (value - 0.25).abs() < 1e-9;
        assert!(near(difference.value) && near(difference.low) && near(difference.high), "{difference:?}");
        assert!(rows[0].metrics[0].base.unwrap().high - rows[0].metrics[0].base.unwrap().low > 0.5);
        assert!(table("s", &items, &[metric], None, None)[0].metrics[0].base.is_none());
    }
}
