//! Numbers that differ from matrix to matrix: what a table of patterns gives each, and the shortest table for given
//! numbers.

use serde_json::{Map, Value};

use super::select::Vocabulary;
use crate::widgets::form::number_of;

/// What each matrix gets: the longest matching pattern's number, or `base`. The engine's rule
/// (`engine::methods::targets::pattern_value`).
pub fn values(vocabulary: &Vocabulary, patterns: &Map<String, Value>, base: f64) -> Vec<f64> {
    let mut best: Vec<(usize, f64)> = vec![(0, base); vocabulary.len()];
    for (pattern, value) in patterns {
        let Some(number) = value.as_f64() else { continue };
        for member in vocabulary.matching(pattern) {
            let place = &mut best[member as usize];
            if pattern.len() > place.0 {
                *place = (pattern.len(), number);
            }
        }
    }
    best.into_iter().map(|(_, number)| number).collect()
}

/// The table that gives each matrix its number. Patterns of `before` that match nothing stay: they are meant for
/// another model.
pub fn table(
    vocabulary: &Vocabulary,
    before: &Map<String, Value>,
    values: &[f64],
    base: f64,
) -> Map<String, Value> {
    let mut made: Map<String, Value> = before
        .iter()
        .filter(|(pattern, _)| vocabulary.matching(pattern).is_empty())
        .map(|(pattern, value)| (pattern.clone(), value.clone()))
        .collect();
    let mut different: Vec<f64> = values.iter().copied().filter(|value| *value != base).collect();
    different.sort_by(f64::total_cmp);
    different.dedup();
    for number in different {
        let mask: Vec<bool> = values.iter().map(|value| *value == number).collect();
        for word in vocabulary.words_for(&mask) {
            made.insert(word, number_of(number));
        }
    }
    made
}

#[cfg(test)]
mod tests {
    use super::super::select::tests::report;
    use super::*;

    #[test]
    fn a_later_edit_wins_over_an_earlier_one_however_long_its_pattern() {
        let vocabulary = Vocabulary::new(&report());
        let mut numbers = vec![8.0; vocabulary.len()];
        let mut table_now = Map::new();
        let edits: [(&str, f64); 4] =
            [("q", 16.0), ("model.layers.3.*", 4.0), ("model.layers.3.self_attn.q_proj", 2.0), ("v", 32.0)];
        for (word, number) in edits {
            for member in vocabulary.matching(word) {
                numbers[member as usize] = number;
            }
            table_now = table(&vocabulary, &table_now, &numbers, 8.0);
            assert_eq!(values(&vocabulary, &table_now, 8.0), numbers, "{table_now:?}");
        }
        let back = table(&vocabulary, &table_now, &vec![8.0; vocabulary.len()], 8.0);
        assert!(back.is_empty());
    }

    #[test]
    fn whole_roles_and_layers_are_one_pattern() {
        let vocabulary = Vocabulary::new(&report());
        let mut numbers = vec![8.0; vocabulary.len()];
        for member in vocabulary.matching("model.layers.3.*") {
            numbers[member as usize] = 16.0;
        }
        let mut elsewhere = Map::new();
        elsewhere.insert("transformer.h.0.*".into(), 4.into());
        let made = table(&vocabulary, &elsewhere, &numbers, 8.0);
        assert_eq!(serde_json::json!({"model.layers.3.*": 16, "transformer.h.0.*": 4}), Value::Object(made));
    }
}
