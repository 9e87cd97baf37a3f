//! Logits, loss and greedy tokens of every model case, with config.json in both spellings.

use std::path::{Path, PathBuf};

use engine::generate::{Decoding, argmax};
use engine::models::Model;
use engine::nn::Value;
use engine::train::batch_loss;
use serde_json::Value as Json;

use super::{cases, chosen, distance, floats, json, load, slack, values};
use crate::common;

/// Integers of an expected tensor.
pub fn integers(file: &Path, name: &str) -> Vec<i64> {
    let checkpoint = engine::weights::open_file(file).unwrap();
    let bytes = checkpoint.bytes(name).unwrap().into_owned();
    bytes.chunks_exact(8).map(|chunk| i64::from_le_bytes(chunk.try_into().unwrap())).collect()
}

/// CPM-Ant's text sees itself from both sides: held against the reference in `cpm`.
pub fn models() -> impl Iterator<Item = (Json, PathBuf)> {
    cases("model").into_iter().filter(|(entry, _)| entry["model_type"] != "cpmant")
}

#[test]
fn logits_loss_and_greedy_tokens_are_those_of_transformers() {
    let chosen = chosen();
    for (entry, dir) in models() {
        check(&entry, &dir, &load(&dir.join("model"), &chosen.device), slack(&chosen));
    }
}

/// MiniCPM has no class in transformers: its case is of the published code.
#[test]
fn minicpm_is_that_of_its_published_code() {
    let chosen = chosen();
    let Some(dir) = common::golden("seed/minicpm-2b") else { return common::skipped(1, "case of MiniCPM") };
    let index = json(&common::golden("seed/index.json").unwrap());
    let entry =
        index["cases"].as_array().unwrap().iter().find(|entry| entry["case"] == "minicpm-2b").unwrap();
    check(entry, &dir, &load(&dir.join("model"), &chosen.device), slack(&chosen));
}

#[test]
fn the_older_spelling_of_config_json_means_the_same() {
    let chosen = chosen();
    for (entry, dir) in models() {
        let folder = with_config(&dir.join("model"), "config.legacy.json");
        check(&entry, &dir, &load(folder.path(), &chosen.device), slack(&chosen));
    }
}

/// A copy of a model folder whose config is another file of it.
pub fn with_config(folder: &Path, config: &str) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        std::fs::copy(file.path(), copy.path().join(file.file_name())).unwrap();
    }
    std::fs::rename(copy.path().join(config), copy.path().join("config.json")).unwrap();
    copy
}

/// Everything that a case says of a model.
pub fn check(entry: &Json, dir: &Path, model: &Model, slack: f64) {
    let case = &entry["case"];
    let expected = dir.join("expected.safetensors");
    let ids: Vec<u32> = integers(&expected, "input_ids").into_iter().map(|id| id as u32).collect();
    let mask = integers(&expected, "attention_mask");
    let labels: Vec<i32> = integers(&expected, "labels").into_iter().map(|label| label as i32).collect();
    let tolerance = |key: &str| entry["tolerance"][key].as_f64().unwrap() * slack;

    let logits = values(&Value::Vector(model.logits(&ids, 2, None).unwrap().flatten(0, 2)));
    let vocabulary = model.info.vocabulary;
    let got: Vec<f32> = logits
        .chunks(vocabulary)
        .zip(&mask)
        .flat_map(|(row, seen)| row.iter().map(move |logit| if *seen == 1 { *logit } else { 0.0 }))
        .collect();
    let difference = distance(&got, &floats(&expected, "logits"));
    let learned =
        labels.chunks(labels.len() / 2).flat_map(|row| &row[1..]).filter(|label| **label != -100).count();
    let batch = data::Batch {
        rows: 2,
        len: ids.len() / 2,
        ids,
        labels,
        learned: learned as u64,
        ..data::Batch::default()
    };
    let loss = batch_loss(model, None, &batch).unwrap() / learned as f64;
    let wanted = json(&dir.join("expected.json"));
    let want = wanted["loss"].as_f64().unwrap();
    println!("{case}: logits differ by {difference:.2e}, losses by {:.2e}", (loss - want).abs());
    assert!(difference <= tolerance("logits_abs"), "{case}: logits differ by {difference}");
    assert!((loss - want).abs() <= tolerance("loss_abs"), "{case}: loss {loss} is not {want}");
    greedy(entry, model, &wanted["greedy"]);
}

/// With a cache, token by token, and without one.
pub fn greedy(entry: &Json, model: &Model, greedy: &Json) {
    let list = |key: &str| -> Vec<u32> {
        greedy[key].as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect()
    };
    let prompt = list("prompt_ids");
    // The cases of public reference code were made without a cache alone.
    let cached = if greedy["with_cache"].is_null() { "without_cache" } else { "with_cache" };
    let with_cache = list(cached);
    let decoding = Decoding::new(model, None);
    let mut step = None;
    let piece = if model.info.whole_prompt { prompt.len() } else { 1 };
    for ids in prompt.chunks(piece) {
        step = Some(decoding.feed(ids).unwrap());
    }
    let mut got = Vec::new();
    while got.len() < with_cache.len() {
        let next = argmax(&step.take().unwrap().logits);
        got.push(next);
        step = Some(decoding.feed(&[next]).unwrap());
    }
    assert_eq!(got, with_cache, "{}: greedy tokens with a cache", entry["case"]);

    let mut all = prompt.clone();
    for want in list("without_cache") {
        let logits = values(&Value::Vector(model.logits(&all, 1, None).unwrap().flatten(0, 2)));
        let next = argmax(&logits[logits.len() - model.info.vocabulary..]);
        assert_eq!(
            next,
            want,
            "{}: greedy token {} without a cache",
            entry["case"],
            all.len() - prompt.len()
        );
        all.push(next);
    }
}
