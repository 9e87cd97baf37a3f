//! The plan of a GPU on any device: frozen weights and activations in bf16, everything trained in f32.
//! bf16 has eight bits of mantissa, so what is held is that nothing is misread or lost, not the last digits.

use burn::tensor::{DType, FloatDType};
use data::Batch;
use engine::methods::Adapter;
use engine::models::Model;
use engine::nn::Value;
use engine::optim::Schedule;
use engine::train::StepSettings;
use protocol::Control;

use super::methods::{all, logits, train_config};
use super::{chosen, distance, floats, load_in, values};

/// Of the distance between the lowest and the highest logit.
const LOGITS: f64 = 0.03;
/// Of a step's loss.
const LOSSES: f64 = 0.03;

/// The largest difference, as a part of the range of what is expected.
fn off(got: &[f32], want: &[f32]) -> f64 {
    let (low, high) = want.iter().fold((f32::MAX, f32::MIN), |(low, high), it| (low.min(*it), high.max(*it)));
    distance(got, want) / f64::from(high - low)
}

fn dtype_of(value: &Value) -> Option<DType> {
    match value {
        Value::Vector(vector) => Some(vector.dtype()),
        Value::Matrix(matrix) => Some(matrix.dtype()),
        Value::Packed(_) | Value::Absent => None,
    }
}

#[test]
fn logits_of_every_model_are_near_those_of_f32() {
    let chosen = chosen();
    for (entry, dir) in super::models::models() {
        let model = load_in(&dir.join("model"), &chosen.device, DType::BF16);
        let stored: Vec<_> = model.params.iter().filter_map(|(_, param)| dtype_of(&param.value)).collect();
        assert!(!stored.is_empty() && stored.iter().all(|dtype| *dtype == DType::BF16), "{}", entry["case"]);
        let expected = dir.join("expected.safetensors");
        let ids = super::models::integers(&expected, "input_ids");
        let mask = super::models::integers(&expected, "attention_mask");
        let ids: Vec<u32> = ids.into_iter().map(|id| id as u32).collect();
        let all = values(&Value::Vector(model.logits(&ids, 2, None).unwrap().flatten(0, 2)));
        let want = floats(&expected, "logits");
        let seen = |all: &[f32]| -> Vec<f32> {
            let rows = all.chunks(model.info.vocabulary).zip(&mask).filter(|(_, seen)| **seen == 1);
            rows.flat_map(|(row, _)| row.to_vec()).collect()
        };
        let off = off(&seen(&all), &seen(&want));
        println!("{}: logits in bf16 are off by {:.2} % of their range", entry["case"], off * 100.0);
        assert!(off <= LOGITS, "{}: logits are off by {off:.3} of their range", entry["case"]);
    }
}

#[test]
fn twelve_steps_with_f32_adapters_go_where_those_of_f32_go() {
    for case in all().into_iter().filter(|case| !case.is_full()) {
        let config = train_config(&case.train["hyperparameters"]);
        let schedule = Schedule::new(&config, 12).unwrap();
        let mut learner = case.learner_in("initial", DType::BF16);
        let mut worst = 0f64;
        for (index, step) in case.train["steps"].as_array().unwrap().iter().enumerate() {
            let batches: Vec<Batch> =
                step["micro_batches"].as_array().unwrap().iter().map(super::methods::batch_of).collect();
            let settings = StepSettings::new(&config, index % 3);
            let lr = schedule.rate(index as u64);
            let got =
                learner.step(&batches, index as u64, lr, &settings, &Control::default()).unwrap().unwrap();
            let want = case.expected["steps"][index]["loss"].as_f64().unwrap();
            assert!(got.applied, "{}: step {index} is finite", case.name);
            worst = worst.max((got.loss - want).abs() / want);
        }
        case.check("losses in bf16 (relative)", worst, LOSSES);
        for (_, param) in learner.trained_params() {
            assert_eq!(
                dtype_of(&param.value),
                Some(DType::F32),
                "{}: {} is trained in f32",
                case.name,
                param.name
            );
        }
        let file = case.dir.join("expected.safetensors");
        let eval = &case.train["eval"];
        let got = logits(&learner.model, learner.adapter.as_deref(), eval);
        case.check(
            "final logits in bf16 (of their range)",
            off(&got, &floats(&file, "logits_final")),
            LOGITS,
        );

        let (mut model, adapter) = (learner.model, learner.adapter.unwrap());
        merge(&mut model, adapter.as_ref());
        let got = logits(&model, None, eval);
        let want = floats(&case.dir.join("merged_expected.safetensors"), "logits_final_merged");
        case.check("merged logits in bf16 (of their range)", off(&got, &want), LOGITS);
    }
}

/// As an export does it: in f32, then rounded to what the model stores.
fn merge(model: &mut Model, adapter: &dyn Adapter) {
    let ids: Vec<_> = model.params.iter().map(|(id, _)| id).collect();
    for id in ids {
        let value = model.params.get(id).value.clone().cast(FloatDType::F32);
        if let Some(merged) = adapter.merged(id, &value) {
            model.params.get_mut(id).value = merged.cast(FloatDType::BF16);
        }
    }
}
