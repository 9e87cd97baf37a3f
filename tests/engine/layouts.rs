//! However a step keeps its things, it is the same step: weights that come from the checkpoint block by block, inputs
//! that wait on the host, smaller chunks of the head, micro-batches in pieces.

use std::path::Path;

use burn::tensor::{DType, Device};
use data::{Batch, Example};
use engine::generate::{Decoding, score_rows};
use engine::methods::{self, Attach};
use engine::models::{FAMILIES, Model, ModelFolder};
use engine::nn::Value;
use engine::train::{Layout, Learner, Place, StepSettings, batch_loss};
use engine::weights::read_f32;
use protocol::config::{MethodConfig, TrainConfig};
use protocol::{Control, RunEvent};
use serde_json::Map;

use crate::desk;
use crate::families::made::{Container, Made};
use crate::project::steady_lines;
use crate::runs::support::{Engine, Project, Told};

fn open(dir: &Path, dtype: DType, streamed: usize) -> Model {
    let folder = ModelFolder::open(dir, &Map::new()).unwrap();
    folder.streaming(streamed).load(&Device::flex(), dtype, &mut |_, _| {}).unwrap()
}

fn lora(dropout: f64) -> MethodConfig {
    let mut config = MethodConfig { kind: "lora".into(), ..MethodConfig::default() };
    config.params.insert("targets".into(), "all-linear".into());
    config.params.insert("dropout".into(), dropout.into());
    config
}

fn prefix(dropout: f64) -> MethodConfig {
    let mut config = MethodConfig { kind: "p-tuning-v2".into(), ..MethodConfig::default() };
    config.params.insert("tokens".into(), 4.into());
    config.params.insert("projection".into(), true.into());
    config.params.insert("dropout".into(), dropout.into());
    config
}

fn rows() -> Vec<Example> {
    let row = |row: usize| {
        let ids: Vec<u32> = (0..5 + 3 * row).map(|t| ((row * 31 + t * 7) % 90) as u32).collect();
        Example { labels: ids.iter().map(|id| *id as i32).collect(), ids, ..Example::default() }
    };
    (0..4).map(row).collect()
}

/// Losses of some steps, and what was learned.
fn train(
    model: Model,
    method: &MethodConfig,
    batches: &[Batch],
    layout: Layout,
) -> (Vec<f64>, Vec<Vec<f32>>, Learner) {
    let mut model = model;
    let train = TrainConfig { learning_rate: 1e-2, ..TrainConfig::default() };
    let adapter = methods::attach(&mut model, method, &Attach { seed: 0, learning_rate: 1e-2 }).unwrap();
    let mut learner = Learner::new(model, adapter, engine::optim::build(&train).unwrap());
    let settings = StepSettings::new(&train, layout);
    let control = Control::default();
    let losses = (0..3)
        .map(|step| learner.step(batches, step, 1e-2, &settings, &control).unwrap().unwrap().loss)
        .collect();
    let learned = learner.trained_params().map(|(_, param)| read_f32(&param.value).unwrap()).collect();
    (losses, learned, learner)
}

fn is_elsewhere(model: &Model) -> usize {
    model.params.iter().filter(|(_, param)| matches!(param.value, Value::Elsewhere(_))).count()
}

#[test]
fn weights_that_stay_with_the_checkpoint_give_the_same_numbers() {
    let batch = Batch::collate(&rows(), 0).unwrap();
    for family in FAMILIES {
        let made = Made::new(family, Container::Sharded);
        for (dtype, part) in [(DType::F32, 1), (DType::BF16, 2)] {
            let dense = open(made.path(), dtype, 0);
            let blocks = dense.info.num_layers.div_ceil(part);
            let streamed = open(made.path(), dtype, blocks);
            assert!(is_elsewhere(&streamed) > 0 && is_elsewhere(&dense) == 0, "{}", family.id);
            if dense.decoder.takes_prompt() {
                let scores =
                    |model: &Model| score_rows(model, None, &[vec![3, 4, 5, 6, 7], vec![8, 9]]).unwrap();
                assert_eq!(
                    format!("{:?}", scores(&streamed)),
                    format!("{:?}", scores(&dense)),
                    "{}",
                    family.id
                );
                let said = |model: &Model| {
                    let decoding = Decoding::new(model, None);
                    [decoding.feed(&[3, 4, 5]).unwrap().logits, decoding.feed(&[6]).unwrap().logits]
                };
                assert_eq!(said(&streamed), said(&dense), "{}", family.id);
                assert_eq!(
                    batch_loss(&streamed, None, &batch).unwrap(),
                    batch_loss(&dense, None, &batch).unwrap(),
                    "{}",
                    family.id
                );
            }
            let batches = std::slice::from_ref(&batch);
            let layout = Layout::keeping(0);
            let (losses, learned, learner) =
                train(streamed, &lora(0.1), batches, Layout { streamed: blocks, ..layout });
            let (dense_losses, dense_learned, _) = train(dense, &lora(0.1), batches, layout);
            assert_eq!((losses, learned), (dense_losses, dense_learned), "{} {dtype:?}", family.id);
            assert!(is_elsewhere(&learner.model) > 0, "{} came to stay", family.id);
        }
    }
}

/// What trains a matrix takes it to the device.
#[test]
fn a_matrix_that_is_trained_is_on_the_device() {
    let family = FAMILIES.iter().find(|family| family.id == "llama").unwrap();
    let made = Made::new(family, Container::Safetensors);
    let batch = Batch::collate(&rows(), 0).unwrap();
    let full = MethodConfig { kind: "full".into(), ..MethodConfig::default() };
    let run = |streamed| {
        train(
            open(made.path(), DType::F32, streamed),
            &full,
            std::slice::from_ref(&batch),
            Layout::keeping(1),
        )
    };
    let ((losses, learned, learner), (same, as_well, _)) = (run(99), run(0));
    assert_eq!((losses, learned), (same, as_well));
    assert_eq!(is_elsewhere(&learner.model), 0);
}

#[test]
fn inputs_that_wait_on_the_host_change_no_number() {
    for name in ["llama", "gpt2", "chatglm"] {
        let family = FAMILIES.iter().find(|family| family.id == name).unwrap();
        let made = Made::new(family, Container::Safetensors);
        let batch = [Batch::collate(&rows(), 0).unwrap()];
        for (kept, dtype) in [(0, DType::F32), (1, DType::F32), (0, DType::BF16)] {
            let run = |inputs| {
                let layout = Layout { inputs, ..Layout::keeping(kept) };
                let (losses, learned, _) = train(open(made.path(), dtype, 0), &lora(0.0), &batch, layout);
                (losses, learned)
            };
            assert_eq!(run(Place::Host), run(Place::Device), "{name} {kept} {dtype:?}");
        }
    }
}

/// With a graph from the forward pass or a second one, and inputs on the device or the host.
#[test]
fn a_block_that_is_computed_again_draws_the_masks_that_it_drew() {
    for name in ["llama", "gpt2", "chatglm", "chatglm-6b"] {
        let family = FAMILIES.iter().find(|family| family.id == name).unwrap();
        let made = Made::new(family, Container::Safetensors);
        let batches = [Batch::collate(&rows(), 0).unwrap(), Batch::collate(&rows(), 0).unwrap()];
        let moved = Layout { inputs: Place::Host, ..Layout::keeping(0) };
        for method in [lora, prefix] {
            // What is kept is doubled in bf16: Flex does not round its products alike in every place.
            for (dtype, rate) in [(DType::F32, 0.4), (DType::BF16, 0.5)] {
                let run = |rate, layout| {
                    let model = open(made.path(), dtype, 0);
                    let (losses, learned, learner) = train(model, &method(rate), &batches, layout);
                    let view = learner.adapter.as_deref().map(engine::methods::Adapter::view);
                    (losses, learned, batch_loss(&learner.model, view, &batches[0]).unwrap())
                };
                let again = run(rate, Layout::keeping(0));
                for layout in [Layout::keeping(1), Layout::keeping(2), moved] {
                    assert!(run(rate, layout) == again, "{name} {dtype:?} {layout:?}: other masks");
                }
                assert_ne!(run(0.0, moved).0, again.0, "{name} {dtype:?}: no dropout");
            }
        }
    }
}

/// Dropout included: a row's mask is its own, in whatever batch it comes.
#[test]
fn pieces_and_chunks_change_no_more_than_the_rounding() {
    for method in [lora(0.3), prefix(0.3)] {
        pieces_and_chunks_change_little(&method);
    }
}

fn pieces_and_chunks_change_little(method: &MethodConfig) {
    let family = FAMILIES.iter().find(|family| family.id == "llama").unwrap();
    let made = Made::new(family, Container::Safetensors);
    let run = |pieces, head_chunk| {
        let batches: Vec<Batch> =
            (0..2).flat_map(|_| Batch::pieces(&rows(), None, 0, pieces).unwrap()).collect();
        let layout = Layout { head_chunk, ..Layout::keeping(1) };
        let (losses, learned, _) = train(open(made.path(), DType::F32, 0), method, &batches, layout);
        (losses, learned.concat())
    };
    let (losses, learned) = run(1, engine::train::CHUNK_BYTES);
    // 16 rows of logits at a time.
    for (pieces, chunk) in [(2, engine::train::CHUNK_BYTES), (4, engine::train::CHUNK_BYTES), (1, 1), (3, 1)]
    {
        let (other, as_learned) = run(pieces, chunk);
        for (one, other) in losses.iter().zip(&other) {
            assert!((one - other).abs() < 1e-5 * one.abs(), "{pieces} pieces: {one} and {other}");
        }
        let far = learned.iter().zip(&as_learned).map(|(one, other)| (one - other).abs()).fold(0.0, f32::max);
        assert!(far < 2e-3, "{pieces} pieces, chunks of {chunk}: {far}");
    }
}

fn forecast(told: &Told) -> protocol::MemoryForecast {
    let planned = told.updates.iter().find_map(|update| match update {
        RunEvent::Planned { summary, .. } => Some(summary.forecast.clone()),
        _ => None,
    });
    planned.unwrap()
}

/// From the run file to the metrics: the run says what it does, and what it took.
#[test]
fn a_run_within_a_small_budget_reads_its_weights_as_it_goes() {
    let project = Project::new();
    let family = FAMILIES.iter().find(|family| family.id == "llama").unwrap();
    let mut deep: Map<String, serde_json::Value> = serde_json::from_str(family.tiny).unwrap();
    // Two blocks are on the device at any time.
    deep.insert("num_hidden_layers".into(), 8.into());
    let made = Made::of(family, &serde_json::to_string(&deep).unwrap(), Container::Safetensors);
    let settings = &format!(
        "max_steps = 4\neval_every = 2\n[method]\nkind = \"lora\"\nrank = 2\n[data]\nmax_length = 24\n[model]\npath = {:?}\n",
        made.path()
    );
    let roomy = project.run(settings, "roomy");
    let whole = forecast(&roomy);
    assert_eq!(whole.streamed, 0);
    let mut engine = Engine::start();
    let found = (1..200).map(|part| whole.total / 200 * (200 - part)).find(|budget| {
        let config = desk::config(&format!("memory_budget = \"{budget}\"\n{settings}"));
        desk::check(&mut engine, &project, &config).forecast.unwrap().streamed > 0
    });
    let tight = project.run(&format!("memory_budget = \"{}\"\n{settings}", found.unwrap()), "tight");
    let told = forecast(&tight);
    assert!(told.streamed > 0 && told.weights < whole.weights && told.total < whole.total, "{told:?}");
    let said: Vec<String> = told.plan.iter().map(|line| line.en.to_string()).collect();
    assert!(said.iter().any(|line| line.contains("read their weights") && line.contains(" s")), "{said:?}");
    assert!(told.plan.iter().all(|line| line.zh.chars().any(|c| c > '\u{2e80}')), "{:?}", told.plan);
    assert_eq!(steady_lines(&project.path("roomy")), steady_lines(&project.path("tight")));
    let protocol::Outcome::Finished { peak_bytes, .. } = tight.outcome else { panic!("{:?}", tight.outcome) };
    assert!(peak_bytes < 4 << 30, "{peak_bytes}");
}
