//! Numbers that differ from matrix to matrix: what a table of patterns gives each, and the shortest table for given
//! numbers.

use serde_json::{Map, Value};

use super::select::Vocabulary;
use crate::widgets::form::number_of;

/// What each matrix gets: the longest matching pattern's number, or `base`. The engine's rule
/// (`engine::methods::targets::pattern_value`).
pub fn values(vocabulary: &Vocabulary, patterns: &Map<String, Value>, base: f64) -> Vec<f64> {
    given(vocabulary, patterns, base).0
}

/// The numbers, and whether two patterns of one length disagree somewhere: then the order of the table would decide.
fn given(vocabulary: &Vocabulary, patterns: &Map<String, Value>, base: f64) -> (Vec<f64>, bool) {
    let mut best: Vec<(usize, f64, bool)> = vec![(0, base, false); vocabulary.len()];
    for (pattern, value) in patterns {
        let Some(number) = value.as_f64() else { continue };
        for member in vocabulary.matching(pattern) {
            let place = &mut best[member as usize];
            if pattern.len() > place.0 {
                *place = (pattern.len(), number, false);
            } else if pattern.len() == place.0 && number != place.1 {
                place.2 = true;
            }
        }
    }
    let unclear = best.iter().any(|(.., tied)| *tied);
    (best.into_iter().map(|(_, number, _)| number).collect(), unclear)
}

/// The table after these matrices were given `figure`: the shorter of the former table with something longer laid over
/// it, and one made anew.
pub fn edited(
    vocabulary: &Vocabulary,
    before: &Map<String, Value>,
    members: &[u32],
    figure: f64,
    base: f64,
) -> Map<String, Value> {
    let mut wanted = values(vocabulary, before, base);
    let mut mask = vec![false; wanted.len()];
    for member in members {
        wanted[*member as usize] = figure;
        mask[*member as usize] = true;
    }
    let letters = |table: &Map<String, Value>| table.keys().map(|pattern| pattern.len() + 4).sum::<usize>();
    let anew = table(vocabulary, before, &wanted, base);
    match laid_over(vocabulary, before, &mask, figure, base, &wanted) {
        Some(over) if letters(&over) < letters(&anew) => over,
        _ => anew,
    }
}

/// The former table with patterns for the edited matrices, without what has become needless; None if that does not give
/// the wanted numbers.
fn laid_over(
    vocabulary: &Vocabulary,
    before: &Map<String, Value>,
    mask: &[bool],
    figure: f64,
    base: f64,
    wanted: &[f64],
) -> Option<Map<String, Value>> {
    let fits = |table: &Map<String, Value>| {
        let (numbers, unclear) = given(vocabulary, table, base);
        !unclear && numbers == wanted
    };
    let mut over = before.clone();
    over.extend(vocabulary.words_for(mask).into_iter().map(|word| (word, number_of(figure))));
    if over.len() > MOST_TRIED || !fits(&over) {
        return None;
    }
    for pattern in over.keys().cloned().collect::<Vec<_>>() {
        let idle = vocabulary.matching(&pattern).is_empty();
        let mut without = over.clone();
        without.retain(|key, _| *key != pattern);
        if !idle && fits(&without) {
            over = without;
        }
    }
    Some(over)
}

/// The table that gives each matrix its number, no two patterns for one matrix. Patterns of `before` that match nothing
/// stay: they are meant for another model.
fn table(
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

/// Longer tables are made anew at each edit.
const MOST_TRIED: usize = 24;

#[cfg(test)]
mod tests {
    use super::super::select::tests::report;
    use super::*;

    #[test]
    fn a_later_edit_wins_over_an_earlier_one_however_long_its_pattern() {
        let vocabulary = Vocabulary::new(&report());
        let mut numbers = vec![8.0; vocabulary.len()];
        let mut table = Map::new();
        let edits = [
            ("q", 16.0),
            ("model.layers.3.*", 4.0),
            ("model.layers.3.self_attn.q_proj", 2.0),
            ("v", 32.0),
            ("model.layers.3.self_attn.*", 8.0),
            ("model.layers.*.self_attn.*", 5.0),
        ];
        for (word, number) in edits {
            let members = vocabulary.matching(word);
            members.iter().for_each(|member| numbers[*member as usize] = number);
            table = edited(&vocabulary, &table, &members, number, 8.0);
            assert_eq!(given(&vocabulary, &table, 8.0), (numbers.clone(), false), "{table:?}");
        }
        assert_eq!(
            Value::Object(table.clone()),
            serde_json::json!({"q": 5, "v": 5, "model.layers.3.mlp.*": 4})
        );
        let everything = vocabulary.matching("*");
        assert!(edited(&vocabulary, &table, &everything, 8.0, 8.0).is_empty());
    }

    #[test]
    fn exceptions_are_laid_over_the_rule() {
        let vocabulary = Vocabulary::new(&report());
        let q = vocabulary.matching("q");
        let layer = vocabulary.matching("model.layers.3.*");
        let first = edited(&vocabulary, &Map::new(), &q, 16.0, 8.0);
        let second = edited(&vocabulary, &first, &layer, 4.0, 8.0);
        assert_eq!(Value::Object(second), serde_json::json!({"q": 16, "model.layers.3.*": 4}));
    }

    #[test]
    fn patterns_for_another_model_stay() {
        let vocabulary = Vocabulary::new(&report());
        let mut elsewhere = Map::new();
        elsewhere.insert("transformer.h.0.*".into(), 4.into());
        let made = edited(&vocabulary, &elsewhere, &vocabulary.matching("model.layers.3.*"), 16.0, 8.0);
        assert_eq!(serde_json::json!({"model.layers.3.*": 16, "transformer.h.0.*": 4}), Value::Object(made));
    }
}
