//! BLEU (Papineni et al. 2002): of a sentence as nltk and ChatGLM's evaluation count it, of a corpus as sacreBLEU does.

use std::collections::HashMap;
use std::hash::Hash;

/// Longest n-gram.
const ORDERS: usize = 4;

/// What BLEU is made of; of several sentences it is the sum.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BleuCounts {
    /// n-grams of the answer that the reference has, too, by n − 1; each counts as often as the reference has it.
    pub matches: [f64; ORDERS],
    /// n-grams of the answer.
    pub totals: [f64; ORDERS],
    /// Tokens.
    pub answer: f64,
    pub reference: f64,
}

impl BleuCounts {
    /// Numbers in the layout of [`of_numbers`](Self::of_numbers).
    pub const NUMBERS: usize = 2 * ORDERS + 2;

    /// Counts of an answer against one reference.
    pub fn of<T: Eq + Hash>(answer: &[T], reference: &[T]) -> Self {
        let mut counts =
            Self { answer: answer.len() as f64, reference: reference.len() as f64, ..Self::default() };
        for n in 1..=ORDERS {
            let (ours, theirs) = (ngrams(answer, n), ngrams(reference, n));
            let shared = ours.iter().map(|(gram, count)| *count.min(theirs.get(gram).unwrap_or(&0)));
            counts.matches[n - 1] = shared.sum::<u64>() as f64;
            counts.totals[n - 1] = ours.values().sum::<u64>() as f64;
        }
        counts
    }

    pub fn numbers(&self) -> Vec<f64> {
        self.matches.iter().chain(&self.totals).chain([&self.answer, &self.reference]).copied().collect()
    }

    /// The counts that [`numbers`](Self::numbers) gave; what is missing is 0.
    pub fn of_numbers(numbers: &[f64]) -> Self {
        let at = |index: usize| numbers.get(index).copied().unwrap_or(0.0);
        let four = |first: usize| std::array::from_fn(|n| at(first + n));
        Self { matches: four(0), totals: four(ORDERS), answer: at(2 * ORDERS), reference: at(2 * ORDERS + 1) }
    }

    /// `nltk.translate.bleu_score.sentence_bleu` with four equal weights and `SmoothingFunction().method3`, 0 to 1: an
    /// order without a match has precision 1 / (2^k · n-grams), k counting such orders.
    pub fn sentence(&self) -> f64 {
        if self.matches[0] == 0.0 {
            return 0.0;
        }
        let mut misses = 0;
        let precision = |n: usize| {
            let total = self.totals[n].max(1.0);
            match self.matches[n] {
                0.0 => {
                    misses += 1;
                    1.0 / (f64::from(1u32 << misses) * total)
                }
                matches => matches / total,
            }
        };
        let logs: f64 = (0..ORDERS).map(precision).map(|precision| precision.ln() / ORDERS as f64).sum();
        self.brevity() * logs.exp()
    }

    /// sacreBLEU's `corpus_bleu` with its defaults (smoothing `exp`), 0 to 100.
    pub fn corpus(&self) -> f64 {
        if self.matches.iter().all(|matches| *matches == 0.0) {
            return 0.0;
        }
        let mut smooth = 1.0;
        let mut logs = 0.0;
        for (matches, total) in self.matches.iter().zip(&self.totals) {
            if *total == 0.0 {
                return 0.0;
            }
            let precision = match *matches {
                0.0 => {
                    smooth *= 2.0;
                    100.0 / (smooth * total)
                }
                matches => 100.0 * matches / total,
            };
            logs += precision.ln();
        }
        self.brevity() * (logs / ORDERS as f64).exp()
    }

    fn brevity(&self) -> f64 {
        match (self.answer >= self.reference, self.answer == 0.0) {
            (_, true) => 0.0,
            (true, false) => 1.0,
            (false, false) => (1.0 - self.reference / self.answer).exp(),
        }
    }
}

/// BLEU-4 of characters as ChatGLM's evaluation has it: 0 to 100, rounded to four places.
pub fn bleu4_of_characters(answer: &str, reference: &str) -> f64 {
    let (answer, reference): (Vec<char>, Vec<char>) = (answer.chars().collect(), reference.chars().collect());
    super::rounded(BleuCounts::of(&answer, &reference).sentence() * 100.0)
}

fn ngrams<T: Eq + Hash>(tokens: &[T], n: usize) -> HashMap<&[T], u64> {
    let mut counts = HashMap::new();
    for gram in tokens.windows(n) {
        *counts.entry(gram).or_insert(0) += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sentence(answer: &str, reference: &str) -> f64 {
        let chars = |text: &str| text.chars().collect::<Vec<_>>();
        BleuCounts::of(&chars(answer), &chars(reference)).sentence()
    }

    #[test]
    fn sentences_as_nltk_scores_them() {
        assert!((sentence("今天天气很好", "今天天气不错") - 0.508_132_748_154_614_7).abs() < 1e-15);
        assert_eq!(bleu4_of_characters("今天天气很好", "今天天气不错"), 50.8133);
        assert_eq!(sentence("", "今天"), 0.0);
        assert_eq!(sentence("今天", ""), 0.0);
        assert_eq!(sentence("abcd", "abcd"), 1.0);
    }

    #[test]
    fn numbers_hold_everything() {
        let counts = BleuCounts::of(&["a", "b", "a"], &["a", "b", "c", "d"]);
        assert_eq!(BleuCounts::of_numbers(&counts.numbers()), counts);
        assert_eq!(counts.numbers().len(), BleuCounts::NUMBERS);
        assert_eq!(counts.matches, [2.0, 1.0, 0.0, 0.0]);
    }
}
