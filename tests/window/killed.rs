//! The engine as a process that is killed and stopped while the window trains on it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;
use emberwright::server::{RemoteEngine, RemoteOptions, Sockets};
use protocol::{Language, Outcome};
use ui::App;
use ui::action::Action;
use ui::panels;
use ui::state::train::TrainAction;

use crate::journey::Journey;
use crate::processes::{running, signal};

const STEPS: u64 = 30;
const SAVE_EVERY: u64 = 5;

/// A window whose engine is a process.
fn begin() -> Journey {
    Journey::on(Language::English, |options, home| {
        let remote = RemoteOptions {
            program: env!("CARGO_BIN_EXE_emberwright").into(),
            sockets: Sockets::at(sockets(home)),
            device: options.device,
            runs_dir: options.runs_dir,
            log_dir: options.log_dir,
        };
        Box::new(RemoteEngine::new(remote, Arc::new(|| {})))
    })
}

fn sockets(home: &Path) -> PathBuf {
    home.join("sockets")
}

fn engines(home: &Path) -> Vec<u32> {
    running(&sockets(home).display().to_string())
}

/// The last step that the window has heard of.
fn step(harness: &Harness<'static, App>) -> u64 {
    harness.state().state().train.last_step().map_or(0, |step| step.step)
}

fn says(harness: &Harness<'static, App>, words: &str) -> bool {
    harness.query_all_by_label_contains(words).next().is_some()
}

/// A short run with checkpoints, begun.
fn train(journey: &mut Journey) {
    journey.until("the starter", |harness| harness.state().state().data.verdict.value.is_some());
    let mut config = journey.harness.state().state().project.config.clone();
    (config.train.max_steps, config.train.save_every, config.train.eval_every) = (STEPS, SAVE_EVERY, 0);
    journey.harness.state().push(Action::Edit(Box::new(config)));
    journey.until("its verdict", |harness| {
        let verdict = &harness.state().state().data.verdict;
        !verdict.is_pending() && verdict.value.as_ref().is_some_and(|verdict| verdict.steps == STEPS)
    });
    journey.open(&panels::train::PANEL);
    journey.harness.state().push(Action::Train(TrainAction::Start));
}

#[test]
fn a_killed_engine_is_said_started_again_and_its_run_finishes() {
    let mut journey = begin();
    train(&mut journey);
    journey.until("a step behind a checkpoint", |harness| step(harness) > 2 * SAVE_EVERY);
    let killed = engines(journey.home.path());
    assert_eq!(killed.len(), 1, "one engine serves the window");
    signal("-9", &killed);
    journey.until("what happened", |harness| says(harness, "The engine has died and is started again"));
    journey.until("what becomes of it", |harness| says(harness, "goes on from its checkpoint at step"));
    let again = engines(journey.home.path());
    assert!(again.len() == 1 && again != killed, "{killed:?}, then {again:?}");

    let heard = step(&journey.harness);
    journey.until("steps of the new engine", |harness| step(harness) > heard);
    signal("-STOP", &again);
    journey.until("that it is silent", |harness| says(harness, "No word from the engine for"));
    signal("-CONT", &again);
    journey.until("its voice", |harness| !says(harness, "No word from the engine for"));

    journey.until("the end", |harness| harness.state().state().train.outcome.is_some());
    let train = &journey.harness.state().state().train;
    let outcome = train.outcome.as_ref();
    assert!(matches!(outcome, Some(Outcome::Finished { step: STEPS, .. })), "{outcome:?}");
    let steps: Vec<u64> = train.history.steps.iter().map(|step| step.step).collect();
    assert_eq!(steps, (1..=STEPS).collect::<Vec<_>>(), "every step once");
    let Journey { harness, home, .. } = journey;
    drop(harness);
    ends(home.path());
}

/// An engine that nobody is attached to and that trains nothing ends by itself.
fn ends(home: &Path) {
    let began = Instant::now();
    while !engines(home).is_empty() {
        assert!(began.elapsed() < Duration::from_secs(60), "the engine stays");
        std::thread::sleep(Duration::from_millis(100));
    }
}
