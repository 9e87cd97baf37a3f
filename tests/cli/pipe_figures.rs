//! What a pipe costs, for tests/bench/RESULTS.md. In turn and in one run, so that a busy machine is busy for all:
//!
//! `cargo test --release --workspace --test cli -- --ignored --nocapture figures_of_the_pipe`
//!
//! `EMBERWRIGHT_BENCH_INPUTS` names the folder of `tests/bench/make_inputs.py --shape llama-60m`, if it is to be measured, too.

#![expect(clippy::print_stdout, reason = "these print what they measure")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use emberwright::server::{LocalEngine, RemoteEngine};
use emberwright::window::starter;
use engine::EngineOptions;
use protocol::config::parse_run_file;
use protocol::{Command, Event, Outcome, RunCommand, RunEvent, StepMetrics};
use ui::EngineClient;

use crate::engine_client::{Window, options, processes, signal};
use crate::far_engine::Far;

/// How often each way takes its turn.
const ROUNDS: usize = 5;
/// Steps before the clock starts.
const WARM: usize = 5;

/// What is trained: a name, the run file, and the steps of a turn.
struct Task {
    name: &'static str,
    base: PathBuf,
    source: String,
}

fn tasks(home: &Path) -> Vec<Task> {
    let project = starter::unpack(&home.join("data")).unwrap().project;
    let base = project.parent().unwrap().to_path_buf();
    let run = |model: &str, data: &str, steps: u64, more: &str| {
        format!(
            "[model]\npath = \"{model}\"\n[data]\ntrain = [\"{data}\"]\nmax_length = 256\n{more}[method]\nkind = \"lora\"\n[train]\nmax_steps = {steps}\nbatch_size = 4\nsave_every = 0\neval_every = 0\n"
        )
    };
    let mut tasks = vec![Task {
        name: "starter",
        source: run("model", "data/ember_en.jsonl", 120, ""),
        base: base.clone(),
    }];
    if let Some(inputs) = std::env::var_os("EMBERWRIGHT_BENCH_INPUTS") {
        let source = run("model", "tokens.jsonl", 15, "format = \"tokens\"\n");
        tasks.push(Task { name: "llama-60m", source, base: inputs.into() });
    }
    tasks
}

/// Seconds a step by the engine's own clock, after the first ones.
fn turn(client: impl EngineClient, task: &Task, out: &Path) -> f64 {
    let mut window = Window::new(client);
    window.ready();
    let request = window.request();
    let config = Box::new(parse_run_file(&task.source, Path::new("run.toml")).unwrap());
    let (base, source, out) = (task.base.clone(), task.source.clone(), out.to_path_buf());
    window.client.send(Command::Run(RunCommand::Start { request, config, base, source, out: out.clone() }));
    let mut told: Vec<StepMetrics> = Vec::new();
    let began = Instant::now();
    let mut events = Vec::new();
    let outcome = loop {
        window.client.drain(&mut events);
        let mut ended = None;
        for event in events.drain(..) {
            match event {
                Event::Run { update: RunEvent::Stepped { steps, .. }, .. } => told.extend(steps),
                Event::Run { update: RunEvent::Ended { outcome }, .. } => ended = Some(outcome),
                Event::Failed { error, .. } => panic!("{error}"),
                _ => {}
            }
        }
        if let Some(outcome) = ended {
            break outcome;
        }
        assert!(began.elapsed() < Duration::from_secs(600));
        std::thread::sleep(Duration::from_millis(5));
    };
    assert!(matches!(outcome, Outcome::Finished { .. }), "{outcome:?}");
    window.client.detach(false);
    std::fs::remove_dir_all(&out).unwrap();
    let (first, last) = (&told[WARM], told.last().unwrap());
    (last.seconds - first.seconds) / (last.step - first.step) as f64
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

#[test]
#[ignore = "figures for tests/bench/RESULTS.md; minutes"]
fn figures_of_the_pipe() {
    let far = Far::new();
    let workshop = &far.workshop;
    let wake = || Arc::new(|| {});
    let local = || EngineOptions {
        device: "cpu".into(),
        runs_dir: workshop.path("runs"),
        log_dir: workshop.path("logs"),
    };
    let out = workshop.path("figures");
    for task in tasks(&workshop.path("")) {
        let mut figures = [Vec::new(), Vec::new(), Vec::new()];
        for _ in 0..ROUNDS {
            figures[0].push(turn(LocalEngine::new(local(), wake()), &task, &out));
            figures[1].push(turn(RemoteEngine::new(options(workshop), wake()), &task, &out));
            figures[2].push(turn(RemoteEngine::new(far.options(), wake()), &task, &out));
        }
        let ratios = |of: usize| median((0..ROUNDS).map(|n| figures[of][n] / figures[0][n]).collect());
        println!(
            "{}: thread {:.2} ms a step; process × {:.4}, ssh stand-in × {:.4} (medians of {ROUNDS} turns)",
            task.name,
            1e3 * median(figures[0].clone()),
            ratios(1),
            ratios(2)
        );
    }
    restart(&far);
}

/// From `kill -9` to the first step of the resumed run.
fn restart(far: &Far) {
    const SETTINGS: &str = "max_steps = 100000\nsave_every = 5\neval_every = 0\n";
    let workshop = &far.workshop;
    let measure = |client: RemoteEngine, engines: &dyn Fn() -> Vec<u32>| {
        let mut window = Window::new(client);
        window.ready();
        let out = window.start(workshop, SETTINGS);
        while window.steps().1[0].step < 12 {}
        let killed = Instant::now();
        signal("-9", &engines());
        window.failure();
        let said = killed.elapsed();
        window.last_event();
        window.client.restart();
        window.ready();
        let request = window.request();
        window.client.send(Command::Run(RunCommand::Resume { request, dir: out.clone() }));
        window.steps();
        let trained = killed.elapsed();
        window.client.detach(false);
        while !engines().is_empty() {
            std::thread::sleep(Duration::from_millis(20));
        }
        std::fs::remove_dir_all(&out).unwrap();
        (said, trained)
    };
    let here = measure(RemoteEngine::new(options(workshop), Arc::new(|| {})), &|| processes(workshop));
    let there = measure(RemoteEngine::new(far.options(), Arc::new(|| {})), &|| far.engines());
    println!(
        "kill -9: said after {:.2?}, training after {:.2?}; over the ssh stand-in {:.2?}, {:.2?}",
        here.0, here.1, there.0, there.1
    );
}
