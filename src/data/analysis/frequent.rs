//! What occurs most often, in bounded memory.

use std::collections::HashMap;

use protocol::Frequent;

/// Different texts that are counted at a time. Where there are more, those seen once are forgotten, then those seen
/// twice, and so on; what is frequent is never forgotten, and counts may lack what was (lossy counting, Manku &
/// Motwani 2002).
const COUNTED: usize = 1 << 17;
/// Rows that are named.
const NAMED: usize = 100;
/// Longest text that is told, in characters.
const CHARACTERS: usize = 80;

#[derive(Default)]
pub struct Counter {
    found: HashMap<String, Found>,
    /// Texts seen so often or less were forgotten.
    forgotten: u64,
}

#[derive(Default)]
struct Found {
    count: u64,
    rows: Vec<u64>,
}

impl Counter {
    /// Counts a text of a row (1-based).
    pub fn add(&mut self, text: &str, row: u64) {
        let found = match self.found.get_mut(text) {
            Some(found) => found,
            None => {
                if self.found.len() >= COUNTED {
                    self.forget();
                }
                self.found.entry(text.to_owned()).or_default()
            }
        };
        found.count += 1;
        if found.rows.len() < NAMED && found.rows.last() != Some(&row) {
            found.rows.push(row);
        }
    }

    fn forget(&mut self) {
        while self.found.len() > COUNTED / 2 {
            self.forgotten += 1;
            self.found.retain(|_, found| found.count > self.forgotten);
        }
    }

    /// The most frequent ones that occur more than once, and whether counts may lack some.
    pub fn most(self, at_most: usize) -> (Vec<Frequent>, bool) {
        let several = self.found.into_iter().filter(|(_, found)| found.count > 1);
        let mut all: Vec<Frequent> =
            several.map(|(text, Found { count, rows })| Frequent { text, count, rows }).collect();
        all.sort_unstable_by(|a, b| b.count.cmp(&a.count).then_with(|| a.text.cmp(&b.text)));
        all.truncate(at_most);
        (all, self.forgotten > 0)
    }
}

/// A text on one line, not too long.
pub fn on_a_line(text: &str) -> String {
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        if line.chars().nth(CHARACTERS).is_some() {
            break;
        }
    }
    match line.char_indices().nth(CHARACTERS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_frequent_come_first_and_single_ones_are_not_told() {
        let mut counter = Counter::default();
        for (row, text) in ["b", "a", "b", "c", "a", "b"].into_iter().enumerate() {
            counter.add(text, row as u64 + 1);
        }
        let (most, lacking) = counter.most(5);
        let told: Vec<_> =
            most.iter().map(|one| (one.text.as_str(), one.count, one.rows.as_slice())).collect();
        assert_eq!(told, [("b", 3, &[1u64, 3, 6][..]), ("a", 2, &[2, 5])]);
        assert!(!lacking);
    }

    #[test]
    fn what_is_frequent_is_found_among_more_texts_than_are_counted() {
        let mut counter = Counter::default();
        for row in 0..3 * COUNTED {
            counter.add(&format!("once {row}"), row as u64);
            if row % 10 == 0 {
                counter.add("often", row as u64);
            }
        }
        assert!(counter.found.len() <= COUNTED);
        let (most, lacking) = counter.most(1);
        assert!(lacking);
        assert_eq!((most[0].text.as_str(), most[0].rows.len()), ("often", 100));
        assert_eq!(most[0].count, 3 * COUNTED as u64 / 10 + 1);
    }

    #[test]
    fn a_line_is_short() {
        assert_eq!(on_a_line(" a\n b\tc "), "a b c");
        assert_eq!(on_a_line(&"字".repeat(200)).chars().count(), 81);
    }
}
