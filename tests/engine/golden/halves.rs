//! The plan of a GPU on any device: frozen weights and activations in bf16 or f16, everything trained in f32.
//! bf16 has eight bits of mantissa, so what is held is that nothing is misread or lost, not the last digits.

use burn::tensor::DType;
use data::Batch;
use engine::methods::{self, Attach, METHODS};
use engine::nn::Value;
use engine::optim::{self, Schedule};
use engine::train::{Layout, Learner, LossScaler, StepSettings};
use protocol::Control;
use protocol::config::{LossScale, MethodConfig, TrainConfig};

use super::methods::{all, expected_logits, logits, train_config};
use super::{chosen, distance, floats, load_in, values};
use crate::common;
use crate::exports::merge;

/// Of the distance between the lowest and the highest logit.
const LOGITS: f64 = 0.03;
/// Of a step's loss.
const LOSSES: f64 = 0.03;
/// What a model may compute in beside f32.
const HALVES: [DType; 2] = [DType::BF16, DType::F16];

/// From the lowest to the highest.
fn range(numbers: &[f32]) -> f64 {
    let ends = |(low, high): (f32, f32), it: &f32| (low.min(*it), high.max(*it));
    let (low, high) = numbers.iter().fold((f32::MAX, f32::MIN), ends);
    f64::from(high - low)
}

/// The largest difference, as a part of the range of what is expected.
fn off(got: &[f32], want: &[f32]) -> f64 {
    distance(got, want) / range(want)
}

fn dtype_of(value: &Value) -> Option<DType> {
    match value {
        Value::Vector(vector) => Some(vector.dtype()),
        Value::Matrix(matrix) => Some(matrix.dtype()),
        Value::Packed(_) | Value::Elsewhere(_) | Value::Absent => None,
    }
}

#[test]
fn logits_of_every_model_are_near_those_of_f32() {
    for dtype in HALVES {
        logits_in(dtype);
    }
}

fn logits_in(dtype: DType) {
    let chosen = chosen();
    for (entry, dir) in super::models::models() {
        let model = load_in(&dir.join("model"), &chosen.device, dtype);
        let stored: Vec<_> = model.params.iter().filter_map(|(_, param)| dtype_of(&param.value)).collect();
        assert!(!stored.is_empty() && stored.iter().all(|stored| *stored == dtype), "{}", entry["case"]);
        let expected = dir.join("expected.safetensors");
        let ids = super::models::integers(&expected, "input_ids");
        let mask = super::models::integers(&expected, "attention_mask");
        let ids: Vec<u32> = ids.into_iter().map(|id| id as u32).collect();
        let all = values(&Value::Vector(model.logits(&ids, 2, None).unwrap().flatten(0, 2)));
        let want = floats(&expected, "logits");
        let width = model.info.vocabulary;
        let rows = all.chunks(width).zip(want.chunks(width)).zip(&mask).filter(|(_, seen)| **seen == 1);
        let range = range(&want);
        let off: Vec<f64> = rows.map(|((got, want), _)| distance(got, want) / range).collect();
        let (near, far): (Vec<f64>, Vec<f64>) = off.iter().partition(|off| **off <= LOGITS);
        let worst = near.iter().copied().fold(0.0, f64::max) * 100.0;
        println!("{}: logits in {dtype:?} are off by {worst:.2} % of their range", entry["case"]);
        // Which expert a token gets, where two are as good as equal, is decided by a rounding.
        let undecided = if model.params.iter().any(|(_, param)| param.name.contains(".experts.")) {
            off.len() / 20
        } else {
            0
        };
        assert!(
            far.len() <= undecided,
            "{}: logits in {dtype:?} are off by {far:.3?} of their range",
            entry["case"]
        );
    }
}

#[test]
fn twelve_steps_with_f32_adapters_go_where_those_of_f32_go() {
    for dtype in HALVES {
        twelve_steps_in(dtype);
    }
}

fn twelve_steps_in(dtype: DType) {
    for case in all().into_iter().filter(|case| !case.is_full()) {
        let config = train_config(&case.train["hyperparameters"]);
        let schedule = Schedule::new(&config, 12).unwrap();
        let mut learner = case.learner_in("initial", dtype);
        let mut scaler = LossScaler::of(LossScale::Dynamic, dtype);
        assert_eq!(scaler.map(|scaler| scaler.scale()), (dtype == DType::F16).then_some(32_768.0));
        let mut worst = 0f64;
        for (index, step) in case.train["steps"].as_array().unwrap().iter().enumerate() {
            let batches: Vec<Batch> =
                step["micro_batches"].as_array().unwrap().iter().map(super::methods::batch_of).collect();
            let lr = schedule.rate(index as u64);
            // What overflows comes again at half the scale, as in a run.
            let got = loop {
                let mut settings = StepSettings::new(&config, Layout::keeping(index % 3));
                settings.loss_scale = scaler.map_or(1.0, |scaler| scaler.scale());
                let control = Control::default();
                let got = learner.step(&batches, index as u64, lr, &settings, &control).unwrap().unwrap();
                if !scaler.as_mut().is_some_and(|scaler| scaler.hear(got.applied)) {
                    break got;
                }
            };
            let want = case.expected["steps"][index]["loss"].as_f64().unwrap();
            assert!(got.applied, "{}: step {index} is finite", case.name);
            worst = worst.max((got.loss - want).abs() / want);
        }
        case.check(&format!("losses in {dtype:?} (relative)"), worst, LOSSES);
        for (_, param) in learner.trained_params() {
            assert_eq!(
                dtype_of(&param.value),
                Some(DType::F32),
                "{}: {} is trained in f32",
                case.name,
                param.name
            );
        }
        let eval = &case.train["eval"];
        let got = logits(&learner.model, learner.adapter.as_deref(), eval);
        case.check(
            &format!("final logits in {dtype:?} (of their range)"),
            off(&got, &expected_logits(&case, "logits_final")),
            LOGITS,
        );

        let (mut model, adapter) = (learner.model, learner.adapter.unwrap());
        if adapter.not_mergeable().is_some() {
            continue;
        }
        merge(&mut model, adapter.as_ref());
        let got = logits(&model, None, eval);
        let merged = case.dir.join("merged_expected.safetensors");
        // Where nothing is said of the merged model, it has to do what the adapter did.
        let want = match merged.exists() {
            true => floats(&merged, "logits_final_merged"),
            false => expected_logits(&case, "logits_final"),
        };
        case.check(&format!("merged logits in {dtype:?} (of their range)"), off(&got, &want), LOGITS);
    }
}

/// Every method, and LoRA with every kind of parameter that it can train.
fn all_methods() -> Vec<MethodConfig> {
    let plain =
        METHODS.iter().map(|method| MethodConfig { kind: method.id.into(), ..MethodConfig::default() });
    let everything = serde_json::json!({
        "targets": ["q", "down"], "dora": true, "bias": "all", "modules_to_save": ["norm", "embed_tokens"]
    });
    let params = everything.as_object().unwrap().clone();
    plain.chain([MethodConfig { kind: "lora".into(), params, ..MethodConfig::default() }]).collect()
}

/// Master weights: an update far below what bf16 resolves is kept.
#[test]
fn everything_trained_is_f32_before_and_after_an_update() {
    let base =
        common::golden("llama-mha-untied").unwrap_or_else(|| common::golden("llama-gqa-llama3").unwrap());
    for (dtype, method) in
        HALVES.into_iter().flat_map(|dtype| all_methods().into_iter().map(move |m| (dtype, m)))
    {
        let train = TrainConfig { learning_rate: 1e-6, ..TrainConfig::default() };
        let mut model = load_in(&base.join("model"), &chosen().device, dtype);
        let adapter = methods::attach(&mut model, &method, &Attach { seed: 0, learning_rate: 1e-6 }).unwrap();
        let optimizer = optim::build(&train).unwrap();
        let mut learner = Learner::new(model, adapter, optimizer);
        let trained = |learner: &Learner| -> Vec<(String, Option<DType>, Vec<f32>)> {
            let params = learner.trained_params();
            params
                .map(|(_, param)| (param.name.clone(), dtype_of(&param.value), values(&param.value)))
                .collect()
        };
        let before = trained(&learner);
        let ids: Vec<u32> = (1..13).collect();
        let labels = ids.iter().map(|id| *id as i32).collect();
        let batch = Batch { rows: 1, len: 12, ids, labels, learned: 11, ..Batch::default() };
        let mut settings = StepSettings::new(&train, Layout::keeping(1));
        settings.loss_scale = if dtype == DType::F16 { 1024.0 } else { 1.0 };
        // With B at zero, LoRA's first update leaves A as it is.
        for step in 0..3 {
            let batches = std::slice::from_ref(&batch);
            let told = learner.step(batches, step, 1e-6, &settings, &Control::default()).unwrap().unwrap();
            assert!(told.applied, "{} in {dtype:?}", method.kind);
        }
        let after = trained(&learner);
        assert!(!after.is_empty());
        let mut moved = 0;
        for ((name, first, old), (_, second, new)) in before.iter().zip(&after) {
            assert_eq!((first, second), (&Some(DType::F32), &Some(DType::F32)), "{}: {name}", method.kind);
            // What begins at zero has no smallest step.
            let finest = |(old, new): &(&f32, &f32)| {
                old != new && (**old == 0.0 || (*old - *new).abs() < old.abs() / 512.0)
            };
            moved += old.iter().zip(new).filter(finest).count();
        }
        assert!(moved > 0, "{} in {dtype:?}: no update below what bf16 resolves", method.kind);
    }
}
