//! Models whose families have no class in transformers, against the reference code that published them; LoRA on
//! Baichuan's fused matrix against PEFT, and P-tuning v2 as ChatGLM's own code does it.

use std::path::{Path, PathBuf};

use burn::tensor::DType;
use data::Batch;
use engine::generate::{Decoding, argmax};
use engine::methods::load_adapter;
use engine::models::{FAMILIES, Model, ModelFolder};
use engine::nn::Value;
use engine::train::batch_loss;
use serde_json::{Map, Value as Json, json};

use super::methods::{self, Case};
use super::models::{greedy, integers};
use super::{chosen, distance, floats, json, slack, values};
use crate::common;

/// Index entries of a kind that `wanted` says are testable, with the case's folder; tells what is left out.
fn cases(kind: &str, wanted: impl Fn(&Json) -> bool) -> Vec<(Json, PathBuf)> {
    let index = json(&common::golden("seed/index.json").unwrap());
    let mut found = Vec::new();
    let mut missing = 0;
    for entry in index["cases"].as_array().unwrap().iter().filter(|entry| entry["kind"] == kind) {
        let name = entry["case"].as_str().unwrap();
        if !wanted(entry) {
            println!("NOT RUN: {name} (tested elsewhere, or not built)");
            continue;
        }
        match common::golden(&format!("seed/{name}")) {
            Some(dir) => found.push((entry.clone(), dir)),
            None => missing += 1,
        }
    }
    common::skipped(missing, &format!("seed cases of kind {kind}"));
    found
}

/// CPM's rows are no plain ids.
fn known(entry: &Json) -> bool {
    let name = entry["model_type"].as_str().unwrap();
    !name.starts_with("cpm") && FAMILIES.iter().any(|family| family.model_types.contains(&name))
}

/// The expected rows of a case without their padding.
struct Rows {
    ids: Vec<Vec<u32>>,
    labels: Vec<Vec<i32>>,
    /// One after the other.
    logits: Vec<f32>,
}

impl Rows {
    fn read(expected: &Path, vocabulary: usize) -> Self {
        let seen = integers(expected, mask_of(expected));
        let (ids, labels) = (integers(expected, "input_ids"), integers(expected, "labels"));
        let len = ids.len() / 2;
        let kept = |row: usize| (row * len..(row + 1) * len).filter(|index| seen[*index] == 1);
        let all = floats(expected, "logits");
        let logit_row = |index: usize| &all[index * vocabulary..(index + 1) * vocabulary];
        Self {
            ids: (0..2).map(|row| kept(row).map(|index| ids[index] as u32).collect()).collect(),
            labels: (0..2).map(|row| kept(row).map(|index| labels[index] as i32).collect()).collect(),
            logits: (0..2).flat_map(kept).flat_map(logit_row).copied().collect(),
        }
    }

    /// Both rows, padded on the right.
    fn batch(&self, pad: u32) -> Batch {
        let example = |row: usize| data::Example {
            ids: self.ids[row].clone(),
            labels: self.labels[row].clone(),
            ..data::Example::default()
        };
        Batch::collate(&[example(0), example(1)], pad).unwrap()
    }
}

/// Logits of a padded batch at its real tokens.
fn logits_of(model: &Model, batch: &Batch) -> Vec<f32> {
    let all = values(&Value::Vector(model.logits(&batch.ids, batch.rows, None).unwrap().flatten(0, 2)));
    let vocabulary = model.info.vocabulary;
    let row = |(index, length): (usize, &u32)| {
        let start = index * batch.len * vocabulary;
        all[start..start + *length as usize * vocabulary].to_vec()
    };
    batch.lengths.iter().enumerate().flat_map(row).collect()
}

fn load(dir: &Path, hints: &Map<String, Json>) -> Model {
    ModelFolder::open(dir, hints).unwrap().load(&chosen().device, DType::F32, &mut |_, _| {}).unwrap()
}

#[test]
fn logits_loss_and_greedy_tokens_are_those_of_the_reference_code() {
    for (entry, dir) in cases("model", known) {
        let wanted = json(&dir.join("expected.json"));
        let hints = wanted["hints"].as_object().unwrap();
        check_model(&entry, &wanted, &dir, &load(&dir.join("model"), hints));
        if dir.join("model_hf").exists() && FAMILIES.iter().any(|family| family.id == "glm") {
            check_model(&entry, &wanted, &dir, &load(&dir.join("model_hf"), &Map::new()));
        }
    }
}

fn check_model(entry: &Json, wanted: &Json, dir: &Path, model: &Model) {
    let name = entry["case"].as_str().unwrap();
    let tolerance = |key: &str| entry["tolerance"][key].as_f64().unwrap() * slack(&chosen());
    let rows = Rows::read(&dir.join("expected.safetensors"), model.info.vocabulary);
    // Padding is nothing that a model may see: any token will do.
    let batch = rows.batch(wanted["pad_id"].as_u64().unwrap() as u32);
    let off = distance(&logits_of(model, &batch), &rows.logits);
    let single: Vec<f32> = rows
        .ids
        .iter()
        .flat_map(|ids| values(&Value::Vector(model.logits(ids, 1, None).unwrap().flatten(0, 2))))
        .collect();
    let alone = distance(&single, &rows.logits);
    let loss = batch_loss(model, None, &batch).unwrap() / batch.learned as f64;
    let loss_off = (loss - wanted["loss"].as_f64().unwrap()).abs();
    // Rows arranged alike share their tables.
    let twice = [rows.ids[0].clone(), rows.ids[0].clone()].concat();
    let twice = values(&Value::Vector(model.logits(&twice, 2, None).unwrap().flatten(0, 2)));
    let (first, second) = twice.split_at(twice.len() / 2);
    let alike = distance(first, second).max(distance(first, &single[..first.len()]));
    assert!(alike <= tolerance("logits_abs"), "{name}: the same row twice differs by {alike}");
    println!("{name}: logits differ by {off:.2e}, row by row {alone:.2e}, losses by {loss_off:.2e}");
    assert!(off.max(alone) <= tolerance("logits_abs"), "{name}: logits differ by {off}, row by row {alone}");
    assert!(loss_off <= tolerance("loss_abs"), "{name}: loss {loss}");
    greedy(entry, model, &wanted["greedy"]);
}

/// The keys of config.json say the same as the hints.
#[test]
fn a_variant_is_known_without_hints() {
    for (entry, dir) in cases("model", known) {
        let wanted = json(&dir.join("expected.json"));
        let hinted = ModelFolder::open(&dir.join("model"), wanted["hints"].as_object().unwrap()).unwrap();
        let plain = ModelFolder::open(&dir.join("model"), &Map::new()).unwrap();
        assert_eq!(plain.info, hinted.info, "{}", entry["case"]);
    }
}

/// The method cases of one kind, put into the shape of those made with transformers.
fn method_cases(start: &str) -> Vec<Case> {
    let wanted = |entry: &Json| entry["case"].as_str().unwrap().starts_with(start);
    cases("method", wanted).into_iter().filter_map(method_case).collect()
}

fn method_case((mut entry, dir): (Json, PathBuf)) -> Option<Case> {
    let mut train = json(&dir.join("train.json"));
    let mut expected = json(&dir.join("expected.json"));
    let Some(base) = common::golden(&format!("seed/{}", train["base"].as_str().unwrap())) else {
        common::skipped(1, "seed cases whose base is missing");
        return None;
    };
    expected["eval_loss_before"] = expected["eval_loss_initial"].clone();
    expected["eval_loss_after"] = expected["eval_loss_final"].clone();
    let tolerance = entry["tolerance"].as_object_mut().unwrap();
    tolerance.insert("eval_loss_abs".into(), tolerance["loss_abs"].clone());
    tolerance.insert("merged_logits_abs".into(), tolerance["logits_final_abs"].clone());
    tolerance.insert("final_tensors_excluded_elements".into(), json!([]));
    assert_eq!(tolerance["final_tensors_not_comparable"], json!([]));
    train["eval"] = eval_batch(&base.join("expected.safetensors"));
    let steps = train["steps"].as_array().unwrap().len();
    let groups = json!([]);
    train.as_object_mut().unwrap().entry("parameter_groups").or_insert(groups);
    Some(Case {
        name: entry["case"].as_str().unwrap().to_owned(),
        dir,
        base: base.join("model"),
        entry,
        train,
        expected,
        steps,
        quantization: None,
    })
}

/// Evaluated is what the base case computed with, its padding moved to the right.
fn eval_batch(expected: &Path) -> Json {
    let seen = rows_of(expected, mask_of(expected));
    let left: Vec<usize> = seen.iter().map(|row| row.iter().position(|seen| *seen == 1).unwrap()).collect();
    let moved = |name: &str| {
        let mut rows = rows_of(expected, name);
        rows.iter_mut().zip(&left).for_each(|(row, left)| row.rotate_left(*left));
        rows
    };
    let mask = moved(mask_of(expected));
    json!({ "input_ids": moved("input_ids"), "attention_mask": mask, "labels": moved("labels"), "left": left })
}

fn rows_of(expected: &Path, name: &str) -> Vec<Vec<i64>> {
    let all = integers(expected, name);
    all.chunks(all.len() / 2).map(<[i64]>::to_vec).collect()
}

/// ChatGLM-6B's `attention_mask` is a matrix of what is hidden.
fn mask_of(expected: &Path) -> &'static str {
    let file = engine::weights::open_file(expected).unwrap();
    if file.contains("visible") { "visible" } else { "attention_mask" }
}

#[test]
fn lora_on_a_fused_matrix_trains_as_with_peft() {
    method_cases("method-lora").iter().for_each(methods::trains);
}

#[test]
fn gradients_of_lora_on_a_fused_matrix_are_those_of_torch() {
    method_cases("method-lora").iter().for_each(methods::has_gradients);
}

#[test]
fn an_adapter_on_a_fused_matrix_is_read_and_written_the_same() {
    method_cases("method-lora").iter().for_each(methods::survives_a_round_trip);
}

#[test]
fn a_prefix_of_chatglm_trains_as_with_its_own_code() {
    method_cases("method-ptuning-v2").iter().for_each(methods::trains);
}

#[test]
fn gradients_of_a_prefix_are_those_of_torch() {
    method_cases("method-ptuning-v2").iter().for_each(methods::has_gradients);
}

/// With the prefix in the cache.
#[test]
fn answers_behind_a_prefix_are_those_of_its_own_code() {
    for case in method_cases("method-ptuning-v2") {
        let model = load(&case.base, &Map::new());
        let adapter = load_adapter(&case.dir.join("final"), &model).unwrap();
        let wanted = &case.expected["greedy_final"];
        let ids = |key: &str| -> Vec<u32> {
            wanted[key].as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect()
        };
        let decoding = Decoding::new(&model, Some(adapter.view()));
        let mut step = decoding.feed(&ids("prompt_ids")).unwrap();
        for want in ids("without_cache") {
            assert_eq!(argmax(&step.logits), want, "{}", case.name);
            step = decoding.feed(&[want]).unwrap();
        }
    }
}
