//! Steps that several workers share, beside the same steps of one.

mod speed;

use std::path::Path;

use burn::tensor::{DType, Device};
use data::{Batch, Example, IGNORE};
use engine::methods::{self, Attach};
use engine::models::{FAMILIES, Family, ModelFolder};
use engine::train::parallel::{Exchange, Post, Workers};
use engine::train::{Clock, Layout, Learner, StepSettings};
use engine::weights::read_f32;
use protocol::Control;
use protocol::config::{MethodConfig, TrainConfig};
use serde_json::{Map, Value as Json, json};

use crate::families::made::{Container, Made};

const RATE: f64 = 1e-2;
const STEPS: u64 = 3;

fn family(id: &str) -> &'static Family {
    FAMILIES.iter().find(|family| family.id == id).unwrap()
}

pub fn method(kind: &str, params: &Json) -> MethodConfig {
    let params = params.as_object().cloned().unwrap_or_default();
    MethodConfig { kind: kind.into(), params, ..MethodConfig::default() }
}

fn learner(dir: &Path, method: &MethodConfig, train: &TrainConfig) -> Learner {
    let folder = ModelFolder::open(dir, &Map::new()).unwrap();
    let mut model = folder.load(&Device::flex(), DType::F32, &mut |_, _| {}).unwrap();
    let adapter = methods::attach(&mut model, method, &Attach { seed: 0, learning_rate: RATE }).unwrap();
    Learner::new(model, adapter, engine::optim::build(train).unwrap())
}

/// The first worker's learner and `count` workers, each with a learner of its own that was begun otherwise: what they
/// learn from is what they are handed.
pub fn workers(dir: &Path, method: &MethodConfig, train: &TrainConfig, count: usize) -> (Learner, Workers) {
    let first = learner(dir, method, train);
    let post = |index: usize| {
        let (dir, method, train) = (dir.to_owned(), method.clone(), train.clone());
        Post {
            name: format!("cpu:{index}"),
            device: Device::flex(),
            build: Box::new(move || Ok(learner(&dir, &method, &train))),
        }
    };
    let workers = Workers::start("cpu:0", &first, (1..count).map(post).collect(), Exchange::Host).unwrap();
    (first, workers)
}

/// Rows of unequal length, and with unequal shares of labels.
fn rows(count: usize) -> Vec<Example> {
    let row = |row: usize| {
        let ids: Vec<u32> = (0..5 + 3 * (row % 5)).map(|t| ((row * 31 + t * 7) % 90) as u32).collect();
        let hidden = ids.len() * (row % 4) / 5;
        let label = |(at, id): (usize, &u32)| if at < hidden { IGNORE } else { *id as i32 };
        Example { labels: ids.iter().enumerate().map(label).collect(), ids, ..Example::default() }
    };
    (0..count).map(row).collect()
}

/// What some steps came to.
struct Learned {
    losses: Vec<f64>,
    norms: Vec<f64>,
    values: Vec<f32>,
}

fn train(
    made: &Path,
    method: &MethodConfig,
    config: &TrainConfig,
    batches: &[Batch],
    count: usize,
) -> Learned {
    let (mut learner, workers) = workers(made, method, config, count);
    let settings = StepSettings::new(config, Layout::keeping(1));
    let (control, clock) = (Control::default(), Clock::off());
    let step = |step| {
        let at = (step, RATE);
        workers.step(&mut learner, batches, at, &settings, &control, &clock).unwrap().unwrap()
    };
    let results: Vec<_> = (0..STEPS).map(step).collect();
    assert!(results.iter().all(|result| result.applied));
    let values = learner.trained_params().flat_map(|(_, param)| read_f32(&param.value).unwrap()).collect();
    Learned {
        losses: results.iter().map(|result| result.loss).collect(),
        norms: results.iter().map(|result| result.grad_norm).collect(),
        values,
    }
}

fn sgd() -> TrainConfig {
    // What is learned is proportional to the gradients: one that differs shows.
    TrainConfig { learning_rate: RATE, optimizer: "sgd".into(), ..TrainConfig::default() }
}

/// Losses and norms within 2e-6 of their size, values within 2e-6: the order of a sum in f32.
#[track_caller]
fn near(one: &Learned, other: &Learned, what: &str) {
    for (key, one, other) in [("loss", &one.losses, &other.losses), ("norm", &one.norms, &other.norms)] {
        for (step, (one, other)) in one.iter().zip(other).enumerate() {
            assert!((one - other).abs() <= 2e-6 * one.abs(), "{what}, step {step}: {key} {one} and {other}");
        }
    }
    let far =
        one.values.iter().zip(&other.values).map(|(one, other)| (one - other).abs()).fold(0.0, f32::max);
    assert!(one.values.len() == other.values.len() && far <= 2e-6, "{what}: values differ by {far}");
}

fn some_methods() -> [MethodConfig; 5] {
    [
        method("lora", &json!({ "targets": "all-linear" })),
        method("lora", &json!({ "targets": "all-linear", "dropout": 0.3 })),
        method("full", &json!({})),
        method("p-tuning-v2", &json!({ "tokens": 4, "projection": true, "dropout": 0.2 })),
        method("dora", &json!({ "targets": "all-linear" })),
    ]
}

#[test]
fn two_and_three_workers_learn_what_one_learns() {
    let made = Made::new(family("llama"), Container::Safetensors);
    let (first, second) = (rows(7), rows(4));
    let joined = [Batch::collate(&first, 0).unwrap(), Batch::collate(&second, 0).unwrap()];
    for method in some_methods() {
        let whole = train(made.path(), &method, &sgd(), &joined, 1);
        for count in [2, 3] {
            let shared: Vec<Batch> = [&first, &second]
                .into_iter()
                .flat_map(|rows| Batch::pieces(rows, None, 0, count).unwrap())
                .collect();
            assert!(shared.len() > joined.len());
            let other = train(made.path(), &method, &sgd(), &shared, count);
            near(&whole, &other, &format!("{} {:?}, {count} workers", method.kind, method.params));
        }
    }
}

/// A sum of two is the same in either order: then not a bit differs, with whichever optimizer.
#[test]
fn two_micro_batches_on_two_workers_are_exactly_those_of_one() {
    let made = Made::new(family("llama"), Container::Safetensors);
    let batches = [Batch::collate(&rows(3), 0).unwrap(), Batch::collate(&rows(5), 0).unwrap()];
    let config = TrainConfig { learning_rate: RATE, ..TrainConfig::default() };
    for method in some_methods() {
        let [one, two] = [1, 2].map(|count| train(made.path(), &method, &config, &batches, count));
        assert_eq!((one.losses, one.norms), (two.losses, two.norms), "{}", method.kind);
        assert!(one.values == two.values, "{}: values differ", method.kind);
    }
}

#[test]
fn fewer_rows_than_workers_leave_some_without_work() {
    let made = Made::new(family("llama"), Container::Safetensors);
    let method = method("full", &json!({}));
    for count in [1, 2] {
        let rows = rows(count);
        let whole = train(made.path(), &method, &sgd(), &[Batch::collate(&rows, 0).unwrap()], 1);
        let pieces = Batch::pieces(&rows, None, 0, 3).unwrap();
        assert_eq!(pieces.len(), count);
        near(&whole, &train(made.path(), &method, &sgd(), &pieces, 3), &format!("{count} rows"));
    }
}

#[test]
fn rows_of_several_texts_are_shared_like_others() {
    let made = Made::new(family("llama"), Container::Safetensors);
    let (rows, counts) = (rows(8), [3, 1, 2, 2]);
    let whole = [Batch::packed(&rows, &counts, 0).unwrap()];
    let pieces = Batch::pieces(&rows, Some(&counts), 0, 3).unwrap();
    for method in some_methods() {
        let one = train(made.path(), &method, &sgd(), &whole, 1);
        near(&one, &train(made.path(), &method, &sgd(), &pieces, 3), &method.kind);
    }
}

/// What they learned among it: each has the new values.
#[test]
fn batches_that_are_shared_have_the_losses_of_one() {
    let made = Made::new(family("llama"), Container::Safetensors);
    let all = rows(7);
    let batches: Vec<Batch> = all.chunks(3).map(|rows| Batch::collate(rows, 0).unwrap()).collect();
    for method in some_methods() {
        let losses = |count: usize| -> Vec<f64> {
            let (mut learner, workers) = workers(made.path(), &method, &sgd(), count);
            let settings = StepSettings::new(&sgd(), Layout::keeping(1));
            let (control, clock) = (Control::default(), Clock::off());
            let loss = |learner: &Learner| -> Vec<f64> {
                let rounds = batches.chunks(count);
                rounds.flat_map(|round| workers.losses(learner, round, 1 << 20).unwrap()).collect()
            };
            let mut found = loss(&learner);
            workers.step(&mut learner, &batches, (0, RATE), &settings, &control, &clock).unwrap().unwrap();
            found.extend(loss(&learner));
            found
        };
        let one = losses(1);
        assert!(one.len() == 6 && one[..3] != one[3..], "{}: {one:?}", method.kind);
        for count in [2, 3] {
            for (one, other) in one.iter().zip(losses(count)) {
                assert!(
                    (one - other).abs() <= 2e-6 * one,
                    "{}, {count} workers: {one} and {other}",
                    method.kind
                );
            }
        }
    }
}

/// Experts that no token of a share goes through among them.
#[test]
fn every_family_can_be_shared() {
    let rows = rows(4);
    let whole = [Batch::collate(&rows, 0).unwrap()];
    let pieces = Batch::pieces(&rows, None, 0, 2).unwrap();
    for family in FAMILIES {
        let made = Made::new(family, Container::Safetensors);
        let method = method("lora", &json!({ "targets": "all-linear" }));
        let one = train(made.path(), &method, &sgd(), &whole, 1);
        near(&one, &train(made.path(), &method, &sgd(), &pieces, 2), family.id);
    }
}

#[test]
fn a_stop_is_heard_by_all_and_changes_nothing() {
    let made = Made::new(family("llama"), Container::Safetensors);
    let method = method("full", &json!({}));
    let (mut learner, workers) = workers(made.path(), &method, &sgd(), 2);
    let before: Vec<_> = learner.trained_params().map(|(_, param)| read_f32(&param.value).unwrap()).collect();
    let settings = StepSettings::new(&sgd(), Layout::keeping(1));
    let (control, clock) = (Control::default(), Clock::off());
    control.stop();
    let batches = Batch::pieces(&rows(4), None, 0, 2).unwrap();
    let mut step = |control: &Control| {
        workers.step(&mut learner, &batches, (0, RATE), &settings, control, &clock).unwrap()
    };
    assert!(step(&control).is_none());
    control.reset();
    assert!(step(&control).is_some(), "they go on afterwards");
    drop(workers);
    let after: Vec<_> = learner.trained_params().map(|(_, param)| read_f32(&param.value).unwrap()).collect();
    assert_ne!(before, after);
}

#[test]
fn a_worker_that_cannot_begin_names_its_device() {
    let made = Made::new(family("llama"), Container::Safetensors);
    let config = sgd();
    let first = learner(made.path(), &method("lora", &json!({})), &config);
    let build: engine::train::parallel::Build = Box::new(|| panic!("no room on the card"));
    let post = Post { name: "cpu:1".into(), device: Device::flex(), build };
    let error = Workers::start("cpu:0", &first, vec![post], Exchange::Host).err().unwrap();
    assert!(error.what.en.contains("cpu:1") && error.what.en.contains("no room on the card"), "{error}");
    assert!(error.what.zh.contains("cpu:1") && error.mend.is_some());
}
