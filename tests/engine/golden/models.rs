//! Logits, loss and greedy tokens of every model case.

use engine::generate::{Decoding, argmax};
use engine::models::Model;
use engine::nn::Value;
use engine::train::batch_loss;
use serde_json::Value as Json;

use super::{cases, chosen, distance, floats, json, load, slack, values};

/// Integers of an expected tensor.
pub fn integers(file: &std::path::Path, name: &str) -> Vec<i64> {
    let checkpoint = engine::weights::open_file(file).unwrap();
    let bytes = checkpoint.bytes(name).unwrap().into_owned();
    bytes.chunks_exact(8).map(|chunk| i64::from_le_bytes(chunk.try_into().unwrap())).collect()
}

#[test]
fn logits_loss_and_greedy_tokens_are_those_of_transformers() {
    let chosen = chosen();
    for (entry, dir) in cases("model") {
        let model = load(&dir.join("model"), &chosen.device);
        let expected = dir.join("expected.safetensors");
        let ids: Vec<u32> = integers(&expected, "input_ids").into_iter().map(|id| id as u32).collect();
        let mask = integers(&expected, "attention_mask");
        let labels: Vec<i32> = integers(&expected, "labels").into_iter().map(|label| label as i32).collect();
        let tolerance = |key: &str| entry["tolerance"][key].as_f64().unwrap() * slack(&chosen);

        let logits = values(&Value::Vector(model.logits(&ids, 2, None).unwrap().flatten(0, 2)));
        let vocabulary = model.info.vocabulary;
        let got: Vec<f32> = logits
            .chunks(vocabulary)
            .zip(&mask)
            .flat_map(|(row, seen)| row.iter().map(move |logit| if *seen == 1 { *logit } else { 0.0 }))
            .collect();
        let difference = distance(&got, &floats(&expected, "logits"));
        println!("{}: logits differ by {difference:.2e}", entry["case"]);
        assert!(difference <= tolerance("logits_abs"), "{}: logits differ by {difference}", entry["case"]);

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
        let loss = batch_loss(&model, None, &batch).unwrap() / learned as f64;
        let wanted = json(&dir.join("expected.json"));
        let want = wanted["loss"].as_f64().unwrap();
        assert!((loss - want).abs() <= tolerance("loss_abs"), "{}: loss {loss} is not {want}", entry["case"]);
        greedy(&entry, &model, &wanted["greedy"]);
    }
}

/// With a cache, token by token, and without one.
fn greedy(entry: &Json, model: &Model, greedy: &Json) {
    let list = |key: &str| -> Vec<u32> {
        greedy[key].as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect()
    };
    let prompt = list("prompt_ids");
    let with_cache = list("with_cache");
    let decoding = Decoding::new(model, None);
    let mut step = None;
    for id in &prompt {
        step = Some(decoding.feed(&[*id]).unwrap());
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
