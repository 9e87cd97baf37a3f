//! Runs that several devices share. Workers of the CPU stand in for cards.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use engine::models::FAMILIES;
use engine::train::parallel::TRIAL;
use protocol::{MemoryForecast, RunEvent, StopReason, Text, UserError};
use serde_json::{Map, Value as Json};

use super::support::{Engine, Project, Told, stepped};
use crate::desk;
use crate::families::made::{Container, Made};

const SETTINGS: &str = "max_steps = 8\neval_every = 4\nsave_every = 2\nbatch_size = 3\ngradient_accumulation = 2\n\
                        max_grad_norm = 0.5\n";
const LORA: &str = "[method]\nkind = \"lora\"\ntargets = \"all-linear\"\ndropout = 0.1\n";
const TWO: &str = "devices = [\"cpu:0\", \"cpu:1\"]\n";
const THREE: &str = "devices = [\"cpu:0\", \"cpu:1\", \"cpu:2\"]\n";

fn metrics(project: &Project, run: &str) -> Vec<Json> {
    let text = std::fs::read_to_string(project.path(run).join("metrics.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Figures within 1e-4 of their size over eight steps of AdamW, which makes a rounding of a small gradient as large as any
/// step; all that is counted equal.
#[track_caller]
fn near(project: &Project, one: &str, other: &str) {
    let (one, other) = (metrics(project, one), metrics(project, other));
    assert_eq!(one.len(), other.len());
    for (one, other) in one.iter().zip(&other) {
        for key in ["loss", "grad_norm", "eval_loss"] {
            let (Some(want), Some(got)) = (one[key].as_f64(), other[key].as_f64()) else {
                assert_eq!(one[key], other[key]);
                continue;
            };
            assert!((got - want).abs() <= 1e-4 * want.abs(), "{}: {key} {got} is not {want}", one["step"]);
        }
        for key in ["kind", "step", "epoch", "tokens", "lr", "eval_tokens"] {
            assert_eq!(one[key], other[key], "{key}");
        }
        assert_eq!(keys(one), keys(other));
    }
}

fn keys(line: &Json) -> Vec<&String> {
    line.as_object().unwrap().keys().collect()
}

fn forecast(told: &Told) -> MemoryForecast {
    let planned = told.updates.iter().find_map(|update| match update {
        RunEvent::Planned { summary, .. } => Some(summary.forecast.clone()),
        _ => None,
    });
    planned.unwrap()
}

#[test]
fn workers_train_as_one_and_write_what_one_writes() {
    let project = Project::new();
    for (kind, method) in
        [("lora", LORA), ("full", "[method]\nkind = \"full\"\n"), ("ia3", "[method]\nkind = \"ia3\"\n")]
    {
        let one = format!("one-{kind}");
        project.run(&format!("{SETTINGS}{method}"), &one).finished();
        for (count, devices) in [("two", TWO), ("three", THREE)] {
            let run = format!("{count}-{kind}");
            let told = project.run(&format!("{SETTINGS}{devices}{method}"), &run);
            assert_eq!(told.finished().0, StopReason::Completed);
            near(&project, &one, &run);
            for folder in ["", "checkpoints", "checkpoints/step-00000008"] {
                assert_eq!(
                    project.names(&format!("{one}/{folder}")),
                    project.names(&format!("{run}/{folder}"))
                );
            }
        }
    }
    let plan = project.json("two-lora/plan.json");
    assert_eq!(plan["device"], "cpu:0,cpu:1");
    assert_eq!(plan["config"]["train"]["devices"], serde_json::json!(["cpu:0", "cpu:1"]));
}

#[test]
fn a_shared_run_says_what_each_device_does() {
    let project = Project::new();
    let told = project.run(&format!("max_steps = 1\nbatch_size = 5\n{TWO}"), "a");
    let forecast = forecast(&told);
    let devices: Vec<&str> = forecast.devices.iter().map(|part| part.device.as_str()).collect();
    assert_eq!(devices, ["cpu:0", "cpu:1"]);
    let sum: u64 = forecast.devices.iter().map(|part| part.total).sum();
    assert!(sum <= forecast.total && sum + 2 >= forecast.total, "{forecast:?}");
    assert!(forecast.plan[0].en.contains("share of every batch: up to 3 rows"), "{}", forecast.plan[0].en);
    let device = told.updates.iter().find_map(|update| match update {
        RunEvent::Planned { summary, .. } => Some(summary.device.clone()),
        _ => None,
    });
    assert!(device.unwrap().contains("cpu:0, cpu:1"));
}

#[test]
fn packed_and_grouped_rows_are_shared_like_others() {
    let project = Project::new();
    for (kind, settings) in [("grouped", "group_by_length = true\n"), ("packed", "[data]\npacking = true\n")]
    {
        let (train, data) = if kind == "packed" { ("", settings) } else { (settings, "") };
        let (one, two) = (format!("one-{kind}"), format!("two-{kind}"));
        project.run(&format!("{SETTINGS}{train}{data}{LORA}"), &one).finished();
        project.run(&format!("{SETTINGS}{train}{TWO}{data}{LORA}"), &two).finished();
        near(&project, &one, &two);
    }
}

#[test]
fn a_shared_run_is_stopped_paused_and_resumed_bit_for_bit() {
    let project = Project::new();
    let settings = format!("{SETTINGS}{TWO}{LORA}");
    project.run(&settings, "whole").finished();
    let mut engine = Engine::start();
    let told = engine.run(project.start(&settings, "stopped"), |update, control| {
        if stepped(update) == Some(3) {
            control.stop();
        }
    });
    assert_eq!((told.finished().0, told.steps()), (StopReason::Stopped, vec![1, 2, 3]));
    assert_eq!(engine.run(project.resume("stopped"), |_, _| {}).steps(), [4, 5, 6, 7, 8]);
    assert_eq!(project.lines("whole"), project.lines("stopped"));
    let told = engine.run(project.start(&settings, "paused"), |update, control| match update {
        RunEvent::Paused { .. } => control.resume(),
        _ if stepped(update) == Some(5) => control.pause(),
        _ => {}
    });
    assert_eq!(told.finished().0, StopReason::Completed);
    assert_eq!(project.lines("whole"), project.lines("paused"));
}

/// What shall go wrong: in runs of the model in this folder, on this device, in this step (from 0); by a panic or an
/// error.
struct Trap {
    model: PathBuf,
    device: &'static str,
    step: u64,
    panics: bool,
}

static TRAPS: Mutex<Vec<Trap>> = Mutex::new(Vec::new());

fn spring(model: &Path, device: &str, step: u64) -> protocol::Result<()> {
    let mut traps = TRAPS.lock().unwrap();
    let found =
        traps.iter().position(|trap| (trap.model.as_path(), trap.device, trap.step) == (model, device, step));
    let trap = found.map(|at| traps.swap_remove(at));
    drop(traps);
    match trap {
        Some(Trap { panics: true, .. }) => panic!("the card is gone"),
        Some(_) => Err(UserError::failure(Text::fixed("The card is lost", "显卡丢失"))),
        None => Ok(()),
    }
}

#[test]
fn a_worker_that_dies_ends_the_run_and_nothing_is_lost() {
    TRIAL.get_or_init(|| spring);
    let project = Project::new();
    let settings = format!("{SETTINGS}{TWO}{LORA}");
    project.run(&settings, "whole").finished();
    let cases = [("cpu:1", true), ("cpu:1", false), ("cpu:0", true), ("cpu:0", false)];
    for (index, (device, panics)) in cases.into_iter().enumerate() {
        let run = format!("run-{index}");
        let model = project.path("model");
        TRAPS.lock().unwrap().push(Trap { model, device, step: 4, panics });
        let mut engine = Engine::start();
        let told = engine.run(project.start(&settings, &run), |_, _| {});
        let error = told.failed();
        let reason = if panics { "the card is gone" } else { "The card is lost" };
        assert!(error.what.en.contains(device) && error.what.en.contains("step 5"), "{error}");
        assert!(error.what.en.contains(reason) && error.what.zh.contains(device), "{error}");
        assert!(error.mend.as_ref().unwrap().en.contains("--resume"));
        assert_eq!((told.steps(), told.saved()), (vec![1, 2, 3, 4], vec![2, 4]));
        assert_eq!(project.names(&format!("{run}/checkpoints")), ["step-00000002", "step-00000004"]);
        // The same engine goes on.
        let resumed = engine.run(project.resume(&run), |_, _| {});
        assert_eq!((resumed.finished().0, resumed.steps()), (StopReason::Completed, vec![5, 6, 7, 8]));
        assert_eq!(project.lines("whole"), project.lines(&run));
    }
}

#[test]
fn layers_on_two_devices_are_those_of_one_bit_for_bit() {
    let project = Project::new();
    for (kind, method) in [
        ("lora", LORA),
        ("full", "[method]\nkind = \"full\"\n"),
        ("p-tuning-v2", "[method]\nkind = \"p-tuning-v2\"\ntokens = 4\ndropout = 0.1\n"),
        ("nf4", "[method]\nkind = \"lora\"\n[model]\nquantization = \"nf4\"\n"),
    ] {
        let (one, two) = (format!("one-{kind}"), format!("two-{kind}"));
        project.run(&format!("{SETTINGS}{method}"), &one).finished();
        let told = project.run(&format!("{SETTINGS}{TWO}parallel = \"layers\"\n{method}"), &two);
        let blocks: Vec<u64> = forecast(&told).devices.iter().map(|part| part.blocks).collect();
        assert_eq!(blocks.iter().sum::<u64>(), 2, "{blocks:?}");
        assert_eq!(blocks.len(), 2);
        assert_eq!(project.lines(&one), project.lines(&two), "{kind}");
    }
}

/// With too little memory for a whole model each, and enough for a part of it.
#[test]
fn a_budget_spreads_the_layers_by_itself() {
    let project = Project::new();
    let family = FAMILIES.iter().find(|family| family.id == "llama").unwrap();
    let mut deep: Map<String, Json> = serde_json::from_str(family.tiny).unwrap();
    deep.insert("num_hidden_layers".into(), 8.into());
    let made = Made::of(family, &serde_json::to_string(&deep).unwrap(), Container::Safetensors);
    // One row is never cut into pieces, which would change a rounding.
    let settings = |train: &str| {
        let path = made.path();
        format!(
            "max_steps = 4\neval_every = 2\nbatch_size = 1\n{train}[method]\nkind = \"full\"\n[data]\nmax_length = 24\n[model]\npath = {path:?}\n"
        )
    };
    let roomy = project.run(&settings(TWO), "rows");
    assert!(forecast(&roomy).plan[0].en.contains("share of every batch"));
    project.run(&settings(""), "one").finished();
    project.run(&settings(&format!("{TWO}parallel = \"layers\"\n")), "layers").finished();
    let whole = forecast(&roomy).total;
    let mut engine = Engine::start();
    let within = |budget: u64| format!("{TWO}memory_budget = \"{budget}\"\n");
    let budget = (1..200).map(|part| whole / 200 * (200 - part)).find(|budget| {
        let config = desk::config(&settings(&within(*budget)));
        let told = desk::check(&mut engine, &project, &config).forecast.unwrap();
        told.fits && told.plan[0].en.contains("The layers are spread")
    });
    let told = project.run(&settings(&within(budget.unwrap())), "tight");
    let tight = forecast(&told);
    assert!(tight.plan[0].en.contains("The layers are spread"), "{:?}", tight.plan);
    assert!(tight.devices.iter().all(|part| part.total <= budget.unwrap()), "{tight:?}");
    assert_eq!(project.lines("one"), project.lines("tight"));
    assert_eq!(project.lines("one"), project.lines("layers"));
}

#[test]
fn a_run_with_spread_layers_is_resumed_bit_for_bit() {
    let project = Project::new();
    let settings = format!("{SETTINGS}{TWO}parallel = \"layers\"\n{LORA}");
    project.run(&settings, "whole").finished();
    let mut engine = Engine::start();
    engine.run(project.start(&settings, "stopped"), |update, control| {
        if stepped(update) == Some(5) {
            control.stop();
        }
    });
    engine.run(project.resume("stopped"), |_, _| {}).finished();
    assert_eq!(project.lines("whole"), project.lines("stopped"));
}

#[test]
fn devices_that_cannot_share_a_run_are_refused_with_a_way_out() {
    let project = Project::new();
    let refused = |settings: &str, words: &[&str]| {
        let told = project.run(&format!("max_steps = 1\n{settings}"), "refused");
        let text = told.failed().to_string();
        assert!(words.iter().all(|word| text.contains(word)), "{text}");
        assert!(told.failed().mend.is_some() && !project.path("refused").exists(), "{text}");
    };
    refused("devices = [\"cpu:0\", \"cpu:0\"]\n", &["cpu:0", "twice", "train.devices"]);
    refused(&format!("{THREE}parallel = \"layers\"\n"), &["3 devices", "2 layers", "train.parallel"]);
    let large = "memory_budget = \"0.01MB\"\n";
    refused(&format!("{TWO}{large}"), &["train.memory_budget"]);
    refused(&format!("{TWO}{large}parallel = \"layers\"\n"), &["train.memory_budget"]);
}
