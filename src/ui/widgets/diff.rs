//! Where two texts differ, word by word.

use std::ops::Range;

/// The largest table of common subsequences, in cells of two bytes: words of the one text times words of the other,
/// after what both begin and end with. Longer texts count as different throughout that middle.
const LARGEST_TABLE: usize = 4 << 20;

/// Byte ranges of the words that one text has and the other has not, in order and merged where they touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Differences {
    pub left: Vec<Range<usize>>,
    pub right: Vec<Range<usize>>,
}

/// A longest common subsequence of words decides what is the same (Wagner & Fischer 1974). White space is no word: it
/// belongs to a difference only between two words of it.
pub fn words(left: &str, right: &str) -> Differences {
    let (a, b) = (split(left), split(right));
    let (x, y) = (texts(left, &a), texts(right, &b));
    let head = x.iter().zip(&y).take_while(|(x, y)| x == y).count();
    let rest = x.len().min(y.len()) - head;
    let tail = x.iter().rev().zip(y.iter().rev()).take(rest).take_while(|(x, y)| x == y).count();
    let middle = |length: usize| head..length - tail;
    let (xs, ys) = (&x[middle(x.len())], &y[middle(y.len())]);
    let (left_only, right_only) = unmatched(xs, ys);
    Differences {
        left: merge(&a[middle(a.len())], &left_only),
        right: merge(&b[middle(b.len())], &right_only),
    }
}

/// Words, numbers, single Han characters and single signs, as byte ranges.
fn split(text: &str) -> Vec<Range<usize>> {
    let mut words: Vec<Range<usize>> = Vec::new();
    let mut open = false;
    for (start, c) in text.char_indices() {
        let end = start + c.len_utf8();
        let joins = c.is_alphanumeric() && !stands_alone(c);
        match words.last_mut() {
            Some(word) if joins && open => word.end = end,
            _ if !c.is_whitespace() => words.push(start..end),
            _ => {}
        }
        open = joins;
    }
    words
}

/// Scripts written without spaces: every character is a word.
fn stands_alone(c: char) -> bool {
    matches!(c, '\u{2E80}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{3FFFF}')
}

fn texts<'a>(text: &'a str, words: &[Range<usize>]) -> Vec<&'a str> {
    words.iter().map(|word| &text[word.clone()]).collect()
}

/// Which words of each side are not in the common subsequence.
fn unmatched(x: &[&str], y: &[&str]) -> (Vec<bool>, Vec<bool>) {
    let (mut left, mut right) = (vec![true; x.len()], vec![true; y.len()]);
    let width = y.len() + 1;
    let cells = (x.len() + 1).saturating_mul(width);
    if cells > LARGEST_TABLE || x.len().min(y.len()) > usize::from(u16::MAX) {
        return (left, right);
    }
    // Length of the longest common subsequence of what follows.
    let mut table = vec![0u16; cells];
    for i in (0..x.len()).rev() {
        for j in (0..y.len()).rev() {
            table[i * width + j] = if x[i] == y[j] {
                table[(i + 1) * width + j + 1] + 1
            } else {
                table[(i + 1) * width + j].max(table[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    while i < x.len() && j < y.len() {
        if x[i] == y[j] {
            (left[i], right[j]) = (false, false);
            (i, j) = (i + 1, j + 1);
        } else if table[(i + 1) * width + j] >= table[i * width + j + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }
    (left, right)
}

/// Words that follow each other become one range, with what lies between them.
fn merge(words: &[Range<usize>], which: &[bool]) -> Vec<Range<usize>> {
    let mut merged: Vec<Range<usize>> = Vec::new();
    let mut before = false;
    for (word, differs) in words.iter().zip(which) {
        match merged.last_mut() {
            Some(last) if *differs && before => last.end = word.end,
            _ if *differs => merged.push(word.clone()),
            _ => {}
        }
        before = *differs;
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(left: &str, right: &str) -> (Vec<String>, Vec<String>) {
        let found = words(left, right);
        let of = |text: &str, ranges: &[Range<usize>]| {
            ranges.iter().map(|range| text[range.clone()].to_owned()).collect()
        };
        (of(left, &found.left), of(right, &found.right))
    }

    #[test]
    fn words_that_differ_are_found() {
        let (left, right) = shown("I am a model made by Qwen.", "I am Ember, a model made here.");
        assert_eq!((left, right), (vec!["by Qwen".into()], vec!["Ember,".into(), "here".into()]));
    }

    #[test]
    fn neighbours_become_one_with_the_space_between_them() {
        let (left, right) = shown("one two three four", "one 2 3 four");
        assert_eq!((left, right), (vec!["two three".into()], vec!["2 3".into()]));
    }

    #[test]
    fn han_characters_are_words() {
        let (left, right) = shown("我是通义千问，很高兴认识你", "我是小烬，很高兴认识你");
        assert_eq!((left, right), (vec!["通义千问".into()], vec!["小烬".into()]));
    }

    #[test]
    fn the_same_text_differs_nowhere_however_it_is_spaced() {
        assert_eq!(words("a b\nc", "a  b c"), Differences::default());
        assert_eq!(words("", ""), Differences::default());
        assert_eq!(shown("", "a b"), (vec![], vec!["a b".into()]));
        assert_eq!(shown("a b", " "), (vec!["a b".into()], vec![]));
    }

    #[test]
    fn repeated_words_are_told_apart() {
        let (left, right) = shown("a a a", "a a");
        assert_eq!((left.len(), right.len()), (1, 0));
        assert_eq!(shown("x a y", "x y a y").1.len(), 1);
    }

    #[test]
    fn long_texts_are_bounded_and_keep_their_common_ends() {
        let long = |word: &str| format!("begin {} end", vec![word; 5000].join(" "));
        let found = words(&long("one"), &long("two"));
        assert_eq!((found.left.len(), found.right.len()), (1, 1));
        assert_eq!(found.left[0], 6..long("one").len() - 4);
    }

    /// What is left after the differences are cut out is the same on both sides.
    #[test]
    fn without_the_differences_both_are_equal() {
        let vocabulary = ["the", "cat", "狗", "。", "sat", "x1", "-"];
        let mut state = 7u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize
        };
        for _ in 0..200 {
            let mut text = || {
                let count = next() % 12;
                (0..count).map(|_| vocabulary[next() % vocabulary.len()]).collect::<Vec<_>>().join(" ")
            };
            let (left, right) = (text(), text());
            let found = words(&left, &right);
            let kept = |text: &str, cut: &[Range<usize>]| {
                let outside = |word: &Range<usize>| !cut.iter().any(|range| range.contains(&word.start));
                let words = split(text).into_iter().filter(outside);
                words.map(|word| text[word].to_owned()).collect::<Vec<_>>()
            };
            assert_eq!(kept(&left, &found.left), kept(&right, &found.right), "{left:?} {right:?}");
        }
    }
}
