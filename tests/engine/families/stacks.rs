//! Several adapters on one loaded model: switched, added up, taken away, worked in and out again.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::methods::{self, Adapter, Attach, Member, Merged, Stack};
use engine::models::{FAMILIES, Model};
use engine::nn::{AdapterView, Value};
use engine::weights::read_f32;
use protocol::config::MethodConfig;
use protocol::{Command, Event, ModelRef, ScoreRequest, UserError};
use serde_json::{Value as Json, json};

use super::contract::{ROW, near};
use super::made::{self, Container, Made};
use crate::runs::support::Engine;

fn made() -> Made {
    Made::new(FAMILIES.iter().find(|family| family.id == "llama").unwrap(), Container::Safetensors)
}

/// An adapter with no parameter at zero.
fn adapter(model: &mut Model, kind: &str, params: &Json, seed: usize) -> Arc<dyn Adapter> {
    let params = params.as_object().unwrap().clone();
    let config = MethodConfig { kind: kind.into(), params, ..MethodConfig::default() };
    let context = Attach { seed: seed as u64, learning_rate: 1.0 };
    let mut adapter = methods::attach(model, &config, &context).unwrap().unwrap();
    for (index, param) in adapter.params_mut().iter_mut().enumerate() {
        let wave = |at: usize| ((at * 37 + index * 11 + seed) as f32 * 0.7).sin() * 0.2;
        let noise: Vec<f32> = (0..param.elements()).map(wave).collect();
        let noise = burn::tensor::Tensor::<1>::from_data(noise.as_slice(), &model.device);
        param.value = Value::from_flat(param.value.flat() + noise, &param.shape);
    }
    adapter.into()
}

fn logits(model: &Model, adapter: Option<&dyn AdapterView>) -> Vec<f32> {
    made::logits(model, &ROW, adapter)
}

fn lora(model: &mut Model, seed: usize) -> Arc<dyn Adapter> {
    adapter(model, "lora", &json!({ "rank": 2, "targets": "all-linear" }), seed)
}

fn member(adapter: &Arc<dyn Adapter>, weight: f64) -> Member {
    Member { adapter: adapter.clone(), weight }
}

#[track_caller]
fn alike(got: &[f32], want: &[f32]) {
    assert_eq!(got.len(), want.len());
    got.iter().zip(want).for_each(|(got, want)| near(*got, *want, "a logit"));
}

#[test]
fn adapters_together_say_what_their_merge_says() {
    let mut model = made().load();
    let (a, b) = (lora(&mut model, 1), lora(&mut model, 2));
    let last = adapter(&mut model, "freeze", &json!({ "blocks": 1 }), 3);
    let factors = adapter(&mut model, "ia3", &json!({}), 4);
    for members in [
        vec![member(&a, 1.0), member(&b, 1.0)],
        vec![member(&a, 0.5), member(&b, -1.5)],
        vec![member(&last, 0.25), member(&a, 2.0)],
        vec![member(&a, 1.0), member(&factors, 1.0)],
    ] {
        let stack = Stack::new(&model, members.clone()).unwrap();
        let together = logits(&model, Some(&stack));
        let merged = Merged::into(&mut model, &members).unwrap();
        alike(&logits(&model, None), &together);
        merged.undo(&mut model);
    }
}

#[test]
fn a_task_that_is_added_and_taken_away_leaves_the_base() {
    let mut model = made().load();
    let a = lora(&mut model, 1);
    let base = logits(&model, None);
    let stack = Stack::new(&model, vec![member(&a, 1.0), member(&a, -1.0)]).unwrap();
    alike(&logits(&model, Some(&stack)), &base);
    assert!(logits(&model, Some(a.view())) != base);
}

#[test]
fn one_adapter_in_a_stack_is_itself() {
    let mut model = made().load();
    for (kind, params) in [
        ("lora", json!({ "rank": 2, "dora": true })),
        ("prefix", json!({ "tokens": 3 })),
        ("prompt", json!({ "tokens": 3 })),
        ("adapter", json!({ "form": "pfeiffer", "reduction": 4 })),
        ("bitfit", json!({})),
    ] {
        let alone = adapter(&mut model, kind, &params, 1);
        let stack = Stack::new(&model, vec![member(&alone, 1.0)]).unwrap();
        assert_eq!(logits(&model, Some(&stack)), logits(&model, Some(alone.view())), "{kind}");
    }
}

#[test]
fn prefixes_and_prompts_stand_one_behind_the_other() {
    let mut model = made().load();
    let front = adapter(&mut model, "prefix", &json!({ "tokens": 3 }), 1);
    let more = adapter(&mut model, "prefix", &json!({ "tokens": 2 }), 2);
    let beside = lora(&mut model, 3);
    let members = vec![member(&front, 1.0), member(&more, 1.0), member(&beside, 0.5)];
    let stack = Stack::new(&model, members).unwrap();
    assert_eq!(stack.prefix().unwrap().tokens(), 5);
    let together = logits(&model, Some(&stack));
    assert!(together.iter().all(|logit| logit.is_finite()));
    assert!(together != logits(&model, Some(front.view())));
    let weighed = Stack::new(&model, vec![member(&front, 0.5)]);
    assert!(weighed.is_err_and(|err| err.to_string().contains("cannot be weighed")));
    assert!(Merged::into(&mut model, &[member(&front, 1.0)]).is_err());
}

#[test]
fn what_was_merged_is_taken_out_bit_for_bit() {
    let mut model = made().load();
    let values = |model: &Model| -> Vec<Vec<f32>> {
        model.params.iter().map(|(_, param)| read_f32(&param.value).unwrap()).collect()
    };
    let before = values(&model);
    let members = [member(&lora(&mut model, 1), 0.3), member(&lora(&mut model, 2), 7.0)];
    for _ in 0..3 {
        let merged = Merged::into(&mut model, &members).unwrap();
        assert!(values(&model) != before);
        merged.undo(&mut model);
        assert_eq!(values(&model), before);
    }
}

/// Log-probabilities of [`ROW`], as the worker says them.
fn scores(engine: &mut Engine, dir: &Path, model: ModelRef) -> Result<Vec<f64>, UserError> {
    let (input, output) = (dir.join("in.jsonl"), dir.join("out.jsonl"));
    std::fs::write(&input, json!({ "ids": ROW }).to_string()).unwrap();
    let score = ScoreRequest { model, input, output: output.clone() };
    engine.ask(
        |request| Command::Score { request, score },
        |event| match event {
            Event::Scored { .. } => Some(Ok(())),
            Event::Failed { error, .. } => Some(Err(*error)),
            _ => None,
        },
    )?;
    let row: Json = serde_json::from_str(std::fs::read_to_string(&output).unwrap().trim()).unwrap();
    Ok(row["logprobs"].as_array().unwrap().iter().filter_map(Json::as_f64).collect())
}

#[test]
fn the_worker_switches_weighs_merges_and_unmerges() {
    let made = made();
    let mut model = made.load();
    let dirs: Vec<PathBuf> = (1..3)
        .map(|seed| {
            let dir = made.path().join(format!("adapter-{seed}"));
            std::fs::create_dir(&dir).unwrap();
            lora(&mut model, seed).save(&dir, "base").unwrap();
            dir
        })
        .collect();
    let mut engine = Engine::start();
    let plain = ModelRef { path: made.path().into(), dtype: "f32".into(), ..ModelRef::default() };
    let with = |adapters: &[PathBuf], weights: &[f64], merged: bool| ModelRef {
        adapters: adapters.to_vec(),
        weights: weights.to_vec(),
        merged,
        ..plain.clone()
    };
    let mut ask = |model: ModelRef| scores(&mut engine, made.path(), model);
    let base = ask(plain.clone()).unwrap();
    let one = ask(with(&dirs[..1], &[], false)).unwrap();
    let both = ask(with(&dirs, &[1.0, 0.5], false)).unwrap();
    assert!(one != base && both != one);
    let near_all = |got: &[f64], want: &[f64]| {
        got.iter().zip(want).for_each(|(got, want)| near(*got as f32, *want as f32, "a log-probability"));
    };
    near_all(&ask(with(&dirs[..1], &[], true)).unwrap(), &one);
    near_all(&ask(with(&dirs, &[1.0, 0.5], true)).unwrap(), &both);
    // Nothing of the merges is left, to the last bit.
    assert_eq!(ask(with(&dirs, &[1.0, 0.5], false)).unwrap(), both);
    assert_eq!(ask(plain.clone()).unwrap(), base);
    let refused = ask(with(&dirs, &[1.0], false)).unwrap_err();
    assert!(refused.to_string().contains("1 weights for 2 adapters"), "{refused}");
}
