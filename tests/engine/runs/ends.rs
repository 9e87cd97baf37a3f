//! Runs that nobody disturbs: what they leave, and how they end.

use protocol::{MetricsLine, RunEvent, StopReason};

use super::support::{Engine, Project, Told, WORSE, WORSE_DATA, stepped};
use crate::project::run_file;

#[test]
fn a_lora_run_leaves_what_the_contract_says() {
    let project = Project::new();
    let settings =
        "epochs = 1.5\neval_every = 4\nsave_every = 5\nseed = 7\n[method]\nkind = \"lora\"\nrank = 4\n";
    let told = project.run(settings, "runs/a");
    let (reason, result) = told.finished();
    assert_eq!(reason, StopReason::Completed);
    assert_eq!(result, project.path("runs/a/adapter"));
    // 17 rows to train on, 9 batches an epoch, 14 steps in one and a half.
    assert_eq!(told.steps(), (1..=14).collect::<Vec<_>>());
    assert_eq!(told.saved(), [5, 10, 14]);

    assert_eq!(std::fs::read_to_string(project.path("runs/a/run.toml")).unwrap(), run_file(settings));
    let plan = project.json("runs/a/plan.json");
    for key in ["version", "config", "model_sha256", "data_files", "template_sha256", "dtype", "device"] {
        assert!(!plan[key].is_null(), "plan.json lacks {key}");
    }
    assert_eq!((plan["total_steps"].as_u64(), plan["train_rows"].as_u64()), (Some(14), Some(17)));

    let text = std::fs::read_to_string(project.path("runs/a/metrics.jsonl")).unwrap();
    let mut step = 0;
    for line in text.lines() {
        match serde_json::from_str(line).unwrap() {
            MetricsLine::Step(metrics) => {
                step += 1;
                assert_eq!(metrics.step, step);
                assert!((metrics.epoch - step as f64 / 9.0).abs() < 1e-9, "{line}");
                assert!(metrics.loss > 0.0 && metrics.grad_norm > 0.0 && metrics.tokens > 0, "{line}");
            }
            MetricsLine::Sample { sample, .. } => panic!("nobody asked for {sample:?}"),
            MetricsLine::Eval { eval, .. } => assert_eq!(eval.step, step, "an evaluation follows its step"),
        }
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        if line["kind"] == "eval" {
            assert!(line["eval_loss"].is_number());
        } else {
            for key in ["step", "epoch", "tokens", "loss", "lr", "grad_norm", "tokens_per_s", "mem_bytes"] {
                assert!(line[key].is_number(), "{key} in {line}");
            }
        }
    }
    assert_eq!(step, 14);
    assert_eq!(text.matches("\"kind\":\"eval\"").count(), 4, "after 4, 8, 12 and the last step");

    // keep_checkpoints is 2 unless told otherwise.
    assert_eq!(project.names("runs/a/checkpoints"), ["step-00000010", "step-00000014"]);
    let manifest = project.json("runs/a/checkpoints/step-00000014/manifest.json");
    assert_eq!(manifest["step"], 14);
    for file in manifest["files"].as_array().unwrap() {
        let path = project.path("runs/a/checkpoints/step-00000014").join(file["name"].as_str().unwrap());
        assert_eq!(engine::files::sha256_file(&path).unwrap(), file["sha256"].as_str().unwrap());
    }
    assert_eq!(
        project.names("runs/a/adapter"),
        ["README.md", "adapter_config.json", "adapter_model.safetensors", "emberwright.json"]
    );
    let card = std::fs::read_to_string(project.path("runs/a/adapter/README.md")).unwrap();
    for word in ["lora", plan["model_sha256"].as_str().unwrap(), "data.jsonl"] {
        assert!(card.contains(word), "{word} is not in the card:\n{card}");
    }
}

#[test]
fn a_full_run_lowers_the_loss_and_leaves_a_model() {
    let project = Project::new();
    let told = project.run("epochs = 4\neval_every = 9\n[method]\nkind = \"full\"\n", "full");
    let (reason, result) = told.finished();
    assert_eq!((reason, result), (StopReason::Completed, project.path("full/model")));
    let names = project.names("full/model");
    for name in ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "README.md"] {
        assert!(names.iter().any(|found| found == name), "{name} is missing: {names:?}");
    }
    let losses: Vec<f64> = told
        .updates
        .iter()
        .filter_map(|update| match update {
            RunEvent::Evaluated { eval } => Some(eval.eval_loss),
            _ => None,
        })
        .collect();
    assert!(losses.last() < losses.first(), "{losses:?}");
    // The written model is the trained one: trained on from there, its first loss is that of a trained one.
    let settings = "max_steps = 1\n[method]\nkind = \"full\"\n";
    let again = project.run(settings, "fresh");
    std::fs::rename(project.path("model"), project.path("base")).unwrap();
    std::fs::rename(project.path("full/model"), project.path("model")).unwrap();
    let on = project.run(settings, "on");
    let first = |told: &Told| match &told.updates.iter().find(|update| stepped(update).is_some()) {
        Some(RunEvent::Stepped { steps, .. }) => steps[0].loss,
        _ => panic!("no step"),
    };
    assert!(first(&on) < first(&again) - 1.0, "{} and {}", first(&on), first(&again));
}

#[test]
fn save_now_saves_after_the_step() {
    let project = Project::new();
    let told =
        Engine::start().run(project.start("max_steps = 6\nsave_every = 0\n", "a"), |update, control| {
            if stepped(update) == Some(3) {
                control.save_now();
            }
        });
    assert_eq!(told.finished().0, StopReason::Completed);
    assert_eq!(told.saved(), [3, 6], "once, and at the end");
}

#[test]
fn a_run_without_improvement_ends_early() {
    let project = Project::new();
    project.teach_the_wrong_thing();
    let told = project.run(&format!("{WORSE}early_stop_patience = 3\n{WORSE_DATA}"), "a");
    assert_eq!(told.finished().0, StopReason::EarlyStopped);
    let evals: Vec<(u64, bool)> = told
        .updates
        .iter()
        .filter_map(|update| match update {
            RunEvent::Evaluated { eval } => Some((eval.step, eval.best)),
            _ => None,
        })
        .collect();
    let last_best = evals.iter().rposition(|(_, best)| *best).unwrap();
    assert_eq!(evals.len() - 1 - last_best, 3, "{evals:?}");
    assert!(*told.steps().last().unwrap() < 40);
    assert!(project.path("a/adapter/adapter_model.safetensors").exists());
}

#[test]
fn the_best_checkpoint_is_kept_and_ends_the_run() {
    let project = Project::new();
    project.teach_the_wrong_thing();
    let told = project.run(&format!("{WORSE}keep_best = true\nkeep_checkpoints = 1\n{WORSE_DATA}"), "a");
    let (reason, result) = told.finished();
    assert_eq!(reason, StopReason::Completed);
    let best = told.updates.iter().rev().find_map(|update| match update {
        RunEvent::Evaluated { eval } if eval.best => Some(eval.step),
        _ => None,
    });
    let best = best.unwrap();
    assert!(best < 40, "this test wants a run that gets worse");
    let name = format!("step-{best:08}");
    assert_eq!(project.names("a/checkpoints"), [name.as_str(), "step-00000040"]);
    let weights = |dir: std::path::PathBuf| std::fs::read(dir.join("adapter_model.safetensors")).unwrap();
    assert!(weights(result.clone()) == weights(project.path("a/checkpoints").join(&name).join("adapter")));
    assert!(weights(result) != weights(project.path("a/checkpoints/step-00000040/adapter")));
    assert!(told.notices().iter().any(|text| text.contains(&format!("step {best}"))), "{:?}", told.notices());
}
