//! BLEU, ROUGE and words against the Python packages' (tests/reference/make_metrics.py).

use std::path::Path;

use data::metrics::{BleuCounts, Rouge, bleu4_of_characters, chinese, jieba, mteval};
use data::sources;
use serde_json::Value;

use crate::common;

/// The packages' sums run in another order.
const CLOSE: f64 = 1e-9;

fn fixture(name: &str) -> Value {
    let path = common::root().join("tests/fixtures/reference/metrics").join(name);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

/// Figures of pairs (answer, reference) against those that were written down.
fn check(pairs: &[(String, String)], told: &Value, what: &str) {
    let expected = told["pairs"].as_array().unwrap();
    assert_eq!(pairs.len(), expected.len());
    for (index, ((answer, reference), expected)) in pairs.iter().zip(expected).enumerate() {
        let Rouge { one, two, l } = Rouge::chinese(answer, reference);
        let ours = [one, two, l, bleu4_of_characters(answer, reference)];
        // Both are rounded to four places.
        assert_eq!(ours.to_vec(), numbers(&expected["chatglm"]), "{what}, pair {index}");
        let Rouge { one, two, l } = Rouge::latin(answer, reference);
        for (ours, theirs) in [one, two, l].iter().zip(numbers(&expected["latin"])) {
            assert!((ours - theirs).abs() < CLOSE, "{what}, pair {index}: {ours} {theirs}");
        }
    }
    let corpus = |words: fn(&str) -> Vec<String>| {
        let mut sums = vec![0.0; BleuCounts::NUMBERS];
        for (answer, reference) in pairs {
            let counts = BleuCounts::of(&words(answer), &words(reference)).numbers();
            sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        }
        BleuCounts::of_numbers(&sums).corpus()
    };
    for (name, ours) in [("13a", corpus(mteval)), ("zh", corpus(chinese))] {
        let theirs = told["corpus"][name].as_f64().unwrap();
        assert!((ours - theirs).abs() < CLOSE, "{what}, sacreBLEU {name}: {ours} {theirs}");
    }
}

#[test]
fn figures_of_our_own_texts_are_those_of_the_packages() {
    let told = fixture("own.json");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let pairs: Vec<_> = told["pairs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|pair| (text(&pair["answer"]), text(&pair["reference"])))
        .collect();
    for ((answer, _), pair) in pairs.iter().zip(told["pairs"].as_array().unwrap()) {
        let words: Vec<String> = pair["words"].as_array().unwrap().iter().map(text).collect();
        assert_eq!(jieba(answer), words, "{answer}");
    }
    check(&pairs, &told, "own texts");
}

#[test]
fn figures_of_real_rows_are_those_of_the_packages() {
    let told = fixture("real.json");
    let mut missing = 0;
    for file in told.as_array().unwrap() {
        let name = file["file"].as_str().unwrap();
        match common::shared(&format!("realdata/{name}")) {
            Some(path) => check(&pairs(&path, file), file, name),
            None => missing += 1,
        }
    }
    common::skipped(missing, "real files with pairs of answers");
}

/// As the script mixes them: two thirds of a row and a third of the next one, against the row.
fn pairs(path: &Path, file: &Value) -> Vec<(String, String)> {
    let rows = sources::open(path, &data::Silent).unwrap();
    let text = |index: usize| -> Vec<char> {
        let row = rows.get(index).unwrap();
        row.fields().unwrap()[file["field"].as_str().unwrap()].as_str().unwrap().chars().collect()
    };
    let pair = |index: &Value| {
        let index = index.as_u64().unwrap() as usize;
        let (reference, other) = (text(index), text(index + 1));
        let answer = reference[..reference.len() * 2 / 3].iter().chain(&other[..other.len() / 3]);
        (answer.collect(), reference.iter().collect())
    };
    file["rows"].as_array().unwrap().iter().map(pair).collect()
}
