//! Answers that are one of several labels: accuracy, precision, recall, F1, and what was taken for what.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use protocol::{Confusion, Score};

/// A table with more labels is for nobody to read.
const MOST_SHOWN: usize = 100;

/// Labels and answers, counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Classification {
    counts: BTreeMap<(String, String), u64>,
}

impl Classification {
    /// Blanks around label and answer do not count.
    pub fn add(&mut self, label: &str, answer: &str) {
        self.add_many(label, answer, 1);
    }

    /// So many rows of the same label that were answered alike.
    pub fn add_many(&mut self, label: &str, answer: &str, rows: u64) {
        *self.counts.entry((label.trim().to_owned(), answer.trim().to_owned())).or_default() += rows;
    }

    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// Rows that were counted.
    pub fn rows(&self) -> u64 {
        self.counts.values().sum()
    }

    /// The labels that rows have, in order: as numbers where all of them are.
    fn labels(&self) -> Vec<&str> {
        let labels: BTreeSet<&str> = self.counts.keys().map(|(label, _)| label.as_str()).collect();
        let mut labels: Vec<&str> = labels.into_iter().collect();
        let number = |label: &str| label.parse::<f64>().ok().filter(|number| number.is_finite());
        if labels.iter().all(|label| number(label).is_some()) {
            labels.sort_by(|a, b| number(a).partial_cmp(&number(b)).unwrap_or(Ordering::Equal));
        }
        labels
    }

    /// Which label was answered how; none without rows, or where there are too many labels to look at.
    pub fn confusion(&self) -> Option<Confusion> {
        let labels = self.labels();
        if labels.is_empty() || labels.len() > MOST_SHOWN {
            return None;
        }
        let place = |text: &str| labels.iter().position(|label| *label == text);
        let mut counts = vec![vec![0; labels.len() + 1]; labels.len()];
        for ((label, answer), count) in &self.counts {
            if let Some(row) = place(label) {
                counts[row][place(answer).unwrap_or(labels.len())] += count;
            }
        }
        Some(Confusion { labels: labels.into_iter().map(str::to_owned).collect(), counts })
    }

    /// Accuracy, and precision, recall and F1 over the labels that rows have: *macro* the mean over the labels, *micro*
    /// over all rows together. As scikit-learn's `precision_recall_fscore_support(labels=…, zero_division=0)`. An
    /// answer that is no label is wrong for its row and right for none.
    pub fn scores(&self) -> Vec<Score> {
        let (mut right, mut given): (BTreeMap<&str, u64>, BTreeMap<&str, u64>) = Default::default();
        let mut there: BTreeMap<&str, u64> = BTreeMap::new();
        for ((label, answer), count) in &self.counts {
            *there.entry(label).or_default() += count;
            *given.entry(answer).or_default() += count;
            *right.entry(label).or_default() += if label == answer { *count } else { 0 };
        }
        let of = |counts: &BTreeMap<&str, u64>, label: &str| counts.get(label).copied().unwrap_or(0);
        let each: Vec<Rates> = there
            .iter()
            .map(|(label, there)| Rates::of(of(&right, label), of(&given, label), *there))
            .collect();
        let all = |counts: &BTreeMap<&str, u64>| there.keys().map(|label| of(counts, label)).sum::<u64>();
        let rows = all(&there);
        let micro = Rates::of(all(&right), all(&given), rows);
        let mean = |part: fn(&Rates) -> f64| each.iter().map(part).sum::<f64>() / each.len().max(1) as f64;
        let score = |name: &str, value: f64| Score { name: name.to_owned(), value };
        vec![
            score("accuracy", ratio(all(&right), rows)),
            score("macro-precision", mean(|rates| rates.precision)),
            score("macro-recall", mean(|rates| rates.recall)),
            score("macro-f1", mean(|rates| rates.f1)),
            score("micro-precision", micro.precision),
            score("micro-recall", micro.recall),
            score("micro-f1", micro.f1),
        ]
    }
}

struct Rates {
    precision: f64,
    recall: f64,
    f1: f64,
}

impl Rates {
    /// Of rows that were answered rightly with a label, that were answered with it, and that have it.
    fn of(right: u64, given: u64, there: u64) -> Self {
        Self {
            precision: ratio(right, given),
            recall: ratio(right, there),
            f1: ratio(2 * right, given + there),
        }
    }
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(rows: &[(&str, &str)]) -> Classification {
        let mut counted = Classification::default();
        rows.iter().for_each(|(label, answer)| counted.add(label, answer));
        counted
    }

    /// scikit-learn 1.7: `precision_recall_fscore_support(y, p, labels=["a","b","c"], zero_division=0)`.
    #[test]
    fn figures_are_those_of_scikit_learn() {
        let counted = counted(&[
            ("a", "a"),
            ("a", " a\n"),
            ("a", "b"),
            ("b", "b"),
            ("b", "b"),
            ("b", "c"),
            ("c", "a"),
            ("c", "perhaps c"),
        ]);
        let want = [
            ("accuracy", 0.5),
            ("macro-precision", 4.0 / 9.0),
            ("macro-recall", 4.0 / 9.0),
            ("macro-f1", 4.0 / 9.0),
            ("micro-precision", 4.0 / 7.0),
            ("micro-recall", 0.5),
            ("micro-f1", 8.0 / 15.0),
        ];
        for (score, (name, value)) in counted.scores().iter().zip(want) {
            assert_eq!(score.name, name);
            assert!((score.value - value).abs() < 1e-12, "{name}: {}", score.value);
        }
        let confusion = counted.confusion().unwrap();
        assert_eq!(confusion.labels, ["a", "b", "c"]);
        assert_eq!(confusion.counts, [[2, 1, 0, 0], [0, 2, 1, 0], [1, 0, 0, 1]]);
        assert_eq!(counted.rows(), 8);
    }

    #[test]
    fn numbers_stand_in_their_order() {
        let counted = counted(&[("10", "9"), ("9", "9"), ("2", "")]);
        assert_eq!(counted.confusion().unwrap().labels, ["2", "9", "10"]);
        assert!(Classification::default().confusion().is_none());
    }
}
