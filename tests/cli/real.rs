//! A model that was really trained, and data that people really use; read where they are at hand.

#![expect(clippy::print_stdout, reason = "a test says what it did not run, and what it saw")]

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::program::Program;

/// A path in the folder of large fixtures, or None with a word about what is not run.
fn shared(path: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let named = std::env::var_os("EMBERWRIGHT_SHARED").map(PathBuf::from);
    let beside = root.ancestors().skip(1).take(2).map(|folder| folder.join("shared"));
    let found = named.into_iter().chain(beside).map(|folder| folder.join(path)).find(|path| path.exists());
    if found.is_none() {
        println!("NOT RUN: {path} was not found (set EMBERWRIGHT_SHARED)");
    }
    found
}

fn show(path: &Path) -> String {
    path.display().to_string()
}

fn last_event(stdout: &str) -> Value {
    serde_json::from_str(stdout.lines().last().unwrap()).unwrap()
}

#[test]
fn a_really_trained_model_tells_its_authors_story() {
    let Some(model) = shared("realdata/models/stories260K-hf") else { return };
    let expected: Value =
        serde_json::from_slice(&std::fs::read(model.join("expected.json")).unwrap()).unwrap();
    let story = expected["greedy_from_bos"].as_array().unwrap();
    let first = story[0].to_string();
    let count = (story.len() - 1).to_string();
    let program = Program::new();
    let done = program.run(&[
        "generate",
        "--model",
        &show(&model),
        "--ids",
        &first,
        "--max-new-tokens",
        &count,
        "--temperature",
        "0",
        "--ignore-eos",
        "--json",
        "--device",
        "cpu",
    ]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert_eq!(last_event(&done.stdout)["ids"].as_array().unwrap(), &story[1..]);
}

/// Mean log-probability of held-out lines.
fn mean_logprob(program: &Program, model: &Path, adapter: Option<&Path>) -> f64 {
    let mut arguments = vec!["score".to_owned(), "--model".into(), show(model)];
    arguments.extend(
        ["--input", "held_out.jsonl", "--output", "scores.jsonl", "--json", "--device", "cpu"]
            .map(String::from),
    );
    if let Some(adapter) = adapter {
        arguments.extend(["--adapter".into(), show(adapter)]);
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = program.run(&arguments);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let event = last_event(&done.stdout);
    println!("perplexity {}", event["perplexity"]);
    event["mean_logprob"].as_f64().unwrap()
}

#[test]
fn a_lora_run_teaches_a_really_trained_model() {
    let (Some(model), Some(text)) =
        (shared("realdata/models/stories260K-hf"), shared("realdata/data/tiny_shakespeare.txt"))
    else {
        return;
    };
    let program = Program::new();
    let play = std::fs::read_to_string(text).unwrap();
    let speeches: Vec<&str> =
        play.split("\n\n").filter(|speech| (40..400).contains(&speech.len())).take(700).collect();
    let lines = |speeches: &[&str]| -> String {
        speeches.iter().map(|speech| format!("{}\n", json!({ "text": speech }))).collect()
    };
    program.write("train.jsonl", lines(&speeches[..600]));
    let held_out: String = speeches[600..]
        .iter()
        .map(|speech| format!("{}\n", json!({ "prompt": "", "completion": speech })))
        .collect();
    program.write("held_out.jsonl", held_out);
    program.write(
        "run.toml",
        format!(
            "[model]\npath = {:?}\n[data]\ntrain = [\"train.jsonl\"]\nformat = \"text\"\nmax_length = 128\n\
             [method]\ntargets = \"all-linear\"\nrank = 16\nalpha = 32\n\
             [train]\nmax_steps = 60\nbatch_size = 8\nlearning_rate = 5e-3\neval_every = 20\n",
            show(&model)
        ),
    );
    let before = mean_logprob(&program, &model, None);
    let done = program.run(&["train", "run.toml", "--out", "run", "--device", "cpu"]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let metrics = std::fs::read_to_string(program.path().join("run/metrics.jsonl")).unwrap();
    let evals: Vec<f64> = metrics
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter_map(|line| line["eval_loss"].as_f64())
        .collect();
    println!("validation loss {evals:?}");
    assert!(evals.len() == 3 && evals[2] < evals[0]);
    let after = mean_logprob(&program, &model, Some(&program.path().join("run/adapter")));
    assert!(after > before + 0.3, "mean log-probability {before} → {after}");
}

#[test]
fn the_starter_trains_on_data_that_people_use() {
    let files = [
        "realdata/data/llama-factory/alpaca_en_demo.json",
        "realdata/data/llama-factory/alpaca_zh_demo.json",
        "realdata/data/belle/eval_set.json",
        "realdata/data/llama-factory/glaive_toolcall_en_demo.json",
    ];
    let starter = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/starter/model");
    for file in files.into_iter().filter_map(shared) {
        let program = Program::new();
        program.write(
            "run.toml",
            format!(
                "[model]\npath = {:?}\n[data]\ntrain = [{:?}]\nmax_length = 128\nallow_unlabelled = true\nskip_bad_rows = true\n\
                 [method]\ntargets = \"all-linear\"\n[train]\nmax_steps = 6\nbatch_size = 4\nlearning_rate = 1e-3\neval_every = 0\n",
                show(&starter),
                show(&file)
            ),
        );
        let done = program.run(&["train", "run.toml", "--out", "run", "--device", "cpu"]);
        assert_eq!(done.code, Some(0), "{}: {}", file.display(), done.stderr);
        assert!(program.path().join("run/adapter/adapter_model.safetensors").exists());
    }
}
