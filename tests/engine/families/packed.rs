//! Several texts in one row: each says and learns what it does alone, in every family; against transformers.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::{DType, Device};
use data::{Batch, Example, Spans};
use engine::models::{FAMILIES, Family, Model, ModelFolder, PassOptions, Rows};
use engine::nn::{AdapterView, Gradients, ParamId, Value};
use engine::train::{Backward, Clock, Layout};
use engine::weights::{open_file, read_f32};
use protocol::Control;
use serde_json::{Map, Value as Json, json};

use super::contract::near;
use super::made::{Container, Made};
use crate::common;

/// As [`Made`]'s template writes them: prompts and answers of different lengths. With a window of five tokens, some look
/// back as far as it goes.
fn texts() -> Vec<Example> {
    let text = |ids: &[u32], prompt: usize| {
        let labels = ids.iter().enumerate().map(|(at, id)| if at < prompt { -100 } else { *id as i32 });
        Example { ids: ids.to_vec(), labels: labels.collect(), ..Example::default() }
    };
    vec![
        text(&[10, 5, 6, 11, 90, 91, 7, 8, 2], 6),
        text(&[10, 6, 11, 90, 91, 8, 2], 0),
        text(&[10, 5, 5, 6, 7, 8, 9, 11, 90, 91, 7, 7, 8, 4, 2], 10),
        text(&[10, 4], 1),
    ]
}

/// Loss and gradients of the batches together.
fn learned(
    model: &Model,
    adapter: Option<&dyn AdapterView>,
    batches: &[Batch],
) -> (f64, BTreeMap<ParamId, Vec<f32>>) {
    let mut gradients = Gradients::new();
    let control = Control::default();
    let layout = Layout::keeping(1);
    let backward =
        Backward { model, adapter, dropout: None, layout, control: &control, clock: &Clock::off() };
    let loss = |batch| {
        let loss = backward.run(batch, 0.1, &mut gradients).unwrap().unwrap();
        f64::from(read_f32(&Value::Vector(loss)).unwrap()[0])
    };
    let loss = batches.iter().map(loss).sum();
    let gradients = gradients.into_iter();
    (loss, gradients.map(|(id, gradient)| (id, read_f32(&Value::Vector(gradient)).unwrap())).collect())
}

/// How far gradients are from each other at most. An expert whom only padding asks has gradients of 0 in one of them.
fn apart(some: &BTreeMap<ParamId, Vec<f32>>, others: &BTreeMap<ParamId, Vec<f32>>) -> f32 {
    let of = |id: &ParamId| {
        let (some, others) = (some.get(id), others.get(id));
        let count = some.or(others).map_or(0, Vec::len);
        let value = |gradient: Option<&Vec<f32>>, at: usize| gradient.map_or(0.0, |values| values[at]);
        (0..count).fold(0f32, |most, at| most.max((value(some, at) - value(others, at)).abs()))
    };
    some.keys().chain(others.keys()).map(of).fold(0f32, f32::max)
}

/// Loss and gradients of rows of several texts are those of each text alone.
pub fn learns_as_alone(model: &Model, adapter: Option<&dyn AdapterView>, name: &str) {
    if !model.decoder.packs() {
        assert_eq!(model.family.id, "cpmant", "its soft prompt reads the text");
        return;
    }
    let texts = texts();
    let alone: Vec<Batch> =
        texts.iter().map(|text| Batch::collate(std::slice::from_ref(text), 0).unwrap()).collect();
    // No row is so long that padding stretches a rotary embedding.
    let together = Batch::packed(&texts, &[2, 2], 0).unwrap();
    assert_eq!(together.learned, alone.iter().map(|batch| batch.learned).sum::<u64>());
    let (want, wanted) = learned(model, adapter, &alone);
    let (got, found) = learned(model, adapter, std::slice::from_ref(&together));
    assert!((got - want).abs() <= 1e-5 * want.abs(), "{name}: a loss of {got} is not {want}");
    // Against the largest of all: some gradients are 0 but for rounding.
    let scale = wanted.values().flatten().fold(0f32, |most, it| most.max(it.abs()));
    let off = apart(&wanted, &found);
    assert!(off <= 2e-5 * scale, "{name}: gradients differ by {off:e} of {scale}");
    // What the equality is worth: texts that see each other learn something else.
    let (mixed, mixture) = learned(model, adapter, &[Batch { spans: None, ..together }]);
    let off = apart(&wanted, &mixture);
    assert!(
        off > 1e-3 * scale || (mixed - want).abs() > 1e-4 * want,
        "{name}: {mixed} and {want}, gradients off by {off:e} of {scale}"
    );
}

/// Members whose attention is of another kind than that of their family's tiny model.
fn members(family: &Family) -> Vec<Json> {
    match family.id {
        "mistral" | "mixtral" | "phi3" | "starcoder2" => vec![json!({ "sliding_window": 5 })],
        "baichuan" => vec![json!({ "position": "alibi" })],
        "falcon" => vec![json!({ "alibi": true })],
        "gemma2" | "gemma3" => vec![json!({ "sliding_window": 3 })],
        "llama" => {
            let long = json!({ "rope_type": "longrope", "short_factor": [1.0, 1.1, 1.2, 1.3],
                "long_factor": [1.0, 2.0, 4.0, 8.0], "original_max_position_embeddings": 8 });
            vec![
                json!({ "rope_scaling": { "rope_type": "dynamic", "factor": 2.0 }, "max_position_embeddings": 8 }),
                json!({ "rope_scaling": long }),
            ]
        }
        _ => Vec::new(),
    }
}

#[test]
fn texts_of_one_row_learn_as_alone_in_every_family() {
    for family in FAMILIES {
        for changes in std::iter::once(json!({})).chain(members(family)) {
            let mut config: Map<String, Json> = serde_json::from_str(family.tiny).unwrap();
            config.extend(changes.as_object().unwrap().clone());
            let config = Json::Object(config).to_string();
            let mut model = Made::of(family, &config, Container::Safetensors).load();
            model.params.iter_mut().for_each(|param| param.trainable = true);
            learns_as_alone(&model, None, &format!("{} with {changes}", family.id));
        }
    }
}

/// Log-probabilities of the tokens of each row, by position.
fn logprobs(model: &Model, ids: &[u32], spans: &Spans) -> Vec<Vec<f32>> {
    let rows = Rows { spans: Some(spans), ..Rows::fresh(ids, spans.rows()) };
    let positions = model.positions(&rows, None).unwrap();
    let pass = model.pass(&positions, PassOptions::default());
    let hidden = model.hidden(&pass, model.ids(ids, rows.rows).unwrap());
    let logits = model.decoder.head(&pass, model.decoder.final_norm(&pass, hidden));
    let [batch, time, width] = logits.dims();
    let logits = read_f32(&Value::Vector(logits.flatten(0, 2))).unwrap();
    let told = |row: usize, at: usize| {
        let given = &logits[(row * time + at) * width..][..width];
        let sum: f64 = given.iter().map(|logit| f64::from(*logit).exp()).sum();
        given[ids[row * time + at + 1] as usize] - sum.ln() as f32
    };
    (0..batch).map(|row| (0..time - 1).map(|at| told(row, at)).collect()).collect()
}

fn load(dir: &Path) -> Model {
    let folder = ModelFolder::open(dir, &Map::new()).unwrap();
    folder.load(&Device::flex(), DType::F32, &mut |_, _| {}).unwrap()
}

/// `tests/reference/make_packed.py`
#[test]
fn texts_of_one_row_say_what_transformers_does() {
    let reference = common::root().join("tests/fixtures/reference");
    let told = std::fs::read_to_string(reference.join("packed.json")).unwrap();
    let told: Json = serde_json::from_str(&told).unwrap();
    let lengths: Vec<Vec<u32>> = serde_json::from_value(told["texts"].clone()).unwrap();
    let spans = Spans::packed(lengths.iter().map(Vec::as_slice));
    let mut flattened = 0;
    for (name, case) in told["cases"].as_object().unwrap() {
        let dir = reference.join("families").join(name);
        let expected = open_file(&dir.join("expected.safetensors")).unwrap();
        let ids = expected.bytes("input_ids").unwrap();
        let ids: Vec<u32> =
            ids.chunks_exact(8).map(|id| i64::from_le_bytes(id.try_into().unwrap()) as u32).collect();
        let rows: Vec<Vec<Option<f32>>> = serde_json::from_value(case["logprobs"].clone()).unwrap();
        for (got, want) in logprobs(&load(&dir), &ids, &spans).iter().zip(&rows) {
            let pairs = got.iter().zip(&want[1..]).filter_map(|(got, want)| Some((got, (*want)?)));
            pairs.for_each(|(got, want)| near(*got, want, name));
        }
        flattened += usize::from(case["flattened"] == true);
    }
    assert!(flattened >= 20, "transformers packs {flattened} of them itself");
}

/// A row of a batch that is padded on the left says what it says alone, with and without a cache.
#[test]
fn padding_on_the_left_changes_nothing() {
    for family in FAMILIES {
        let model = Made::new(family, Container::Safetensors).load();
        let long: Vec<u32> = vec![10, 5, 6, 7, 8, 9, 4, 3, 7];
        let short: Vec<u32> = vec![10, 9, 5, 4, 7];
        let padding = long.len() - short.len();
        let spans = Spans::left_padded(&[0, padding]);
        let ids: Vec<u32> = long.iter().chain(&vec![0; padding]).chain(&short).copied().collect();
        let lead = model.decoder.lead();
        let logits = |ids: &[u32], rows: usize, spans: Option<&Spans>| {
            let asked = Rows { spans, ..Rows::fresh(ids, rows) };
            let positions = model.positions(&asked, None).unwrap();
            let pass = model.pass(&positions, PassOptions::default());
            let hidden = model.hidden(&pass, model.ids(ids, rows).unwrap());
            let hidden = hidden.narrow(1, lead, ids.len() / rows);
            let logits = model.decoder.head(&pass, model.decoder.final_norm(&pass, hidden));
            read_f32(&Value::Vector(logits.flatten(0, 2))).unwrap()
        };
        let all = logits(&ids, 2, Some(&spans));
        let width = model.info.vocabulary;
        for (row, text) in [&long, &short].into_iter().enumerate() {
            let alone = logits(text, 1, None);
            let end = (row + 1) * long.len() * width;
            let got = &all[end - text.len() * width..end];
            got.iter().zip(&alone).for_each(|(got, want)| near(*got, *want, family.id));
        }
    }
}
