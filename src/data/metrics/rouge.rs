//! ROUGE-1, -2 and -L: as ChatGLM's evaluation takes them from `rouge_chinese`, and as `rouge_score` counts them.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use super::words::{is_blank, jieba, latin};

/// Rows longer than this, in words, are cut before the quadratic comparison of ROUGE-L.
const LONGEST: usize = 20_000;

/// F-measures of an answer against its reference.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rouge {
    pub one: f64,
    pub two: f64,
    pub l: f64,
}

impl Rouge {
    /// As ChatGLM's evaluation: words by jieba, then `rouge_chinese` 1.0.3 with its defaults; each figure 0 to 100, rounded
    /// to four places. Zero where one of the two has no words, which the package refuses.
    pub fn chinese(answer: &str, reference: &str) -> Self {
        let (answer, reference) = (joined(answer), joined(reference));
        if answer.is_empty() || reference.is_empty() {
            return Self::default();
        }
        let [one, two] = [1, 2].map(|n| {
            let (ours, theirs) = (distinct(&answer, n), distinct(&reference, n));
            let shared = ours.intersection(&theirs).count();
            chinese_f(shared, ours.len(), theirs.len())
        });
        let l = chinese_f(common(&answer, &reference), answer.len(), reference.len());
        Self { one, two, l }.map(|f| super::rounded(f * 100.0))
    }

    /// As `rouge_score` 0.1.2 without a stemmer: Latin words and digits only; each figure 0 to 100.
    pub fn latin(answer: &str, reference: &str) -> Self {
        let (answer, reference) = (latin(answer), latin(reference));
        let [one, two] = [1, 2].map(|n| {
            let (ours, theirs) = (counted(&answer, n), counted(&reference, n));
            let shared = ours.iter().map(|(gram, count)| *count.min(theirs.get(gram).unwrap_or(&0))).sum();
            latin_f(shared, ours.values().sum(), theirs.values().sum())
        });
        let l = latin_f(common(&answer, &reference), answer.len(), reference.len());
        Self { one, two, l }.map(|f| f * 100.0)
    }

    fn map(self, change: impl Fn(f64) -> f64) -> Self {
        Self { one: change(self.one), two: change(self.two), l: change(self.l) }
    }
}

/// The package's own small number keeps two empty sets apart from a division by zero.
fn chinese_f(shared: usize, ours: usize, theirs: usize) -> f64 {
    let (precision, recall) = (share(shared, ours), share(shared, theirs));
    2.0 * ((precision * recall) / (precision + recall + 1e-8))
}

fn latin_f(shared: usize, ours: usize, theirs: usize) -> f64 {
    let (precision, recall) = (share(shared, ours), share(shared, theirs));
    if precision + recall > 0.0 { 2.0 * precision * recall / (precision + recall) } else { 0.0 }
}

fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

fn distinct<T: Eq + Hash>(words: &[T], n: usize) -> HashSet<&[T]> {
    words.windows(n).collect()
}

fn counted<T: Eq + Hash>(words: &[T], n: usize) -> HashMap<&[T], usize> {
    let mut counts = HashMap::new();
    for gram in words.windows(n) {
        *counts.entry(gram).or_insert(0) += 1;
    }
    counts
}

/// Length of the longest common subsequence.
fn common<T: Eq>(a: &[T], b: &[T]) -> usize {
    let (a, b) = (&a[..a.len().min(LONGEST)], &b[..b.len().min(LONGEST)]);
    let mut row = vec![0usize; b.len() + 1];
    for x in a {
        let mut diagonal = 0;
        for (at, y) in b.iter().enumerate() {
            let above = row[at + 1];
            row[at + 1] = if x == y { diagonal + 1 } else { above.max(row[at]) };
            diagonal = above;
        }
    }
    row[b.len()]
}

/// The words that `rouge_chinese` sees when it is given `" ".join(jieba.cut(text))`: it cuts sentences, and a sentence of
/// blanks counts as an empty word.
fn joined(text: &str) -> Vec<String> {
    let sentences = sentences(&jieba(text).join(" "));
    let words = |sentence: &str| {
        let plain = super::words::split_blank(sentence).collect::<Vec<_>>().join(" ");
        plain.split(' ').map(str::to_owned).collect::<Vec<_>>()
    };
    let filled = sentences.split('\n').filter(|sentence| !sentence.is_empty());
    filled.flat_map(words).collect()
}

/// `Rouge.cut_sent`: four replacements that put a line end behind a sentence.
fn sentences(text: &str) -> String {
    const ENDS: [char; 4] = ['。', '！', '？', '?'];
    const QUOTES: [char; 2] = ['”', '’'];
    let closing = |c: char| QUOTES.contains(&c);
    let text = cut_behind(text, 1, |run| ENDS.contains(&run[0]), |next| !closing(next));
    let text = cut_behind(&text, 6, |run| run.iter().all(|c| *c == '.'), |next| !closing(next));
    let text = cut_behind(&text, 2, |run| run.iter().all(|c| *c == '…'), |next| !closing(next));
    let quoted = |run: &[char]| ENDS.contains(&run[0]) && closing(run[1]);
    let text = cut_behind(&text, 2, quoted, |next| !ENDS.contains(&next) && next != '，');
    text.trim_end_matches(is_blank).to_owned()
}

/// Puts a line end between `length` characters that are an end and the next one if it fits, from left to right as
/// `re.sub`: what was replaced is not looked at again.
fn cut_behind(
    text: &str,
    length: usize,
    is_end: impl Fn(&[char]) -> bool,
    fits: impl Fn(char) -> bool,
) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len() + 16);
    let mut at = 0;
    while at < chars.len() {
        match chars.get(at..=at + length) {
            Some(run) if is_end(&run[..length]) && fits(run[length]) => {
                out.extend(&run[..length]);
                out.extend(['\n', run[length]]);
                at += length + 1;
            }
            _ => {
                out.push(chars[at]);
                at += 1;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chinese_as_the_package() {
        // jieba takes 今天天气 for one word: four words against four.
        assert_eq!(
            joined("今天天气很好。“好！”他说。"),
            ["今天天气", "很", "好", "。", "“", "好", "！", "”", "他", "说", "。"]
        );
        assert_eq!(Rouge::chinese("", "今天"), Rouge::default());
        assert_eq!(Rouge::chinese("今天", ""), Rouge::default());
        let [f1, f2] = [chinese_f(2, 4, 3), chinese_f(1, 3, 2)];
        assert!((f1 - 0.571_428_566_5).abs() < 1e-9 && (f2 - 0.399_999_995_2).abs() < 1e-9);
    }

    #[test]
    fn latin_as_the_package() {
        // rouge_score 0.1.2: F of 0.8571, 0.4 and 0.8571.
        let scored = Rouge::latin("the CAT sat down", "the cat, down ");
        assert!((scored.one - 85.714_285_714_285_72).abs() < 1e-9, "{scored:?}");
        assert!((scored.two - 40.0).abs() < 1e-9, "{scored:?}");
        assert!((scored.l - 85.714_285_714_285_72).abs() < 1e-9, "{scored:?}");
        assert_eq!(Rouge::latin("猫", "猫"), Rouge::default());
    }

    #[test]
    fn the_longest_subsequence() {
        assert_eq!(common(&[1, 2, 3, 4], &[2, 4, 3, 4]), 3);
        assert_eq!(common::<u8>(&[], &[1]), 0);
    }
}
