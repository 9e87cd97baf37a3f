//! Checkpoints that are written while the training goes on.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use burn::tensor::{DType, Device};
use data::{Batch, Example};
use engine::methods::{self, Attach, TrainedOn};
use engine::models::{FAMILIES, ModelFolder};
use engine::train::{Layout, Learner, RunState, Snapshot, StepSettings};
use engine::weights::{open_file, read_f32};
use protocol::Control;
use protocol::config::{MethodConfig, TrainConfig};
use serde_json::Map;

use super::support::{Engine, Project, stepped};
use crate::families::made::{Container, Made};

fn learner(made: &Made, kind: &str, train: &TrainConfig) -> Learner {
    let folder = ModelFolder::open(made.path(), &Map::new()).unwrap();
    let mut model = folder.load(&Device::flex(), DType::F32, &mut |_, _| {}).unwrap();
    let method = MethodConfig { kind: kind.into(), ..MethodConfig::default() };
    let adapter = methods::attach(&mut model, &method, &Attach { seed: 0, learning_rate: 1e-2 }).unwrap();
    Learner::new(model, adapter, engine::optim::build(train).unwrap())
}

fn trained(learner: &Learner) -> Vec<Vec<f32>> {
    learner.trained_params().map(|(_, param)| read_f32(&param.value).unwrap()).collect()
}

/// Tensors of a file, whatever they are called, from the smallest on.
fn sorted(mut tensors: Vec<Vec<f32>>) -> Vec<Vec<f32>> {
    tensors.sort_by(|a, b| a.partial_cmp(b).unwrap());
    tensors
}

fn tensors(file: &Path) -> Vec<Vec<f32>> {
    let file = open_file(file).unwrap();
    let names: Vec<String> = file.names().map(|name| name.to_string()).collect();
    names.iter().map(|name| file.read_f32(name).unwrap()).collect()
}

/// A step goes through the model while its values are written somewhere else; its update waits for that.
#[test]
fn what_is_written_is_of_its_step_and_the_next_update_waits_for_it() {
    let family = FAMILIES.iter().find(|family| family.id == "llama").unwrap();
    let (made, train) = (Made::new(family, Container::Sharded), TrainConfig::default());
    let ids: Vec<u32> = (0..12).map(|t| t * 7 % 90).collect();
    let row = Example { labels: ids.iter().map(|id| *id as i32).collect(), ids, ..Example::default() };
    let batch = [Batch::collate(&[row], 0).unwrap()];
    for (kind, file) in [("full", "trained.safetensors"), ("lora", "adapter/adapter_model.safetensors")] {
        let mut learner = learner(&made, kind, &train);
        let settings = StepSettings::new(&train, Layout::keeping(0));
        let step = |learner: &mut Learner, step| {
            learner.step(&batch, step, 1e-2, &settings, &Control::default()).unwrap().unwrap()
        };
        step(&mut learner, 0);
        let before = trained(&learner);
        let snapshot = Snapshot::of(&mut learner, &RunState::default(), "base".into(), TrainedOn::default());
        assert_eq!(snapshot.device_bytes(), 0, "the values are where they can be read");
        let (dir, is_begun) = (tempfile::tempdir().unwrap(), AtomicBool::new(false));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(300));
                is_begun.store(true, Ordering::Release);
                snapshot.write(dir.path()).unwrap();
            });
            step(&mut learner, 1);
            assert!(is_begun.load(Ordering::Acquire), "{kind}: the update did not wait");
            assert_ne!(before, trained(&learner), "{kind}: the step changed nothing");
        });
        assert_eq!(sorted(tensors(&dir.path().join(file))), sorted(before), "{kind}");
        assert!(!tensors(&dir.path().join("optimizer.safetensors")).is_empty());
    }
}

#[test]
fn a_checkpoint_that_cannot_be_written_ends_the_run_and_says_why() {
    let project = Project::new();
    let folder = project.path("a").join("checkpoints");
    let told = Engine::start().run(project.start("max_steps = 6\nsave_every = 1\n", "a"), |update, _| {
        if stepped(update) == Some(3) {
            // Its thread waits for nobody.
            while !folder.join("step-00000002").exists() {
                std::thread::sleep(Duration::from_millis(5));
            }
            std::fs::rename(&folder, project.path("away")).unwrap();
            std::fs::write(&folder, "in the way").unwrap();
        }
    });
    let error = told.failed();
    assert!(error.place.file.as_deref().is_some_and(|file| file.starts_with(&folder)), "{error:?}");
    assert!(told.steps().last().is_some_and(|last| (3..=5).contains(last)), "{:?}", told.steps());
}
