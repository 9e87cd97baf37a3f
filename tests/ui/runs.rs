//! Earlier runs.

use std::path::PathBuf;

use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;
use protocol::{CheckpointReport, Command, Event, Language, RunConfig, RunReport, RunState};
use ui::App;
use ui::action::Action;
use ui::testing::{FakeDesktop, FakeEngine};

use crate::support::Window;

pub fn report(number: u64, state: RunState) -> RunReport {
    let name = format!("assistant-{number}");
    let dir = PathBuf::from(format!("/home/ann/emberwright/runs/{name}"));
    let mut config = RunConfig::default();
    config.model.path = "models/Qwen2.5-0.5B-Instruct".into();
    config.data.train = vec!["data/assistant.jsonl".into()];
    config.train.learning_rate = 1e-4 * number as f64;
    config.method.params.insert("rank".into(), (4 * number).into());
    let checkpoints = [100, 200].map(|step| CheckpointReport {
        step,
        dir: dir.join(format!("checkpoints/step-{step:08}")),
        bytes: 25_400_000,
        eval_loss: Some(1.9 - step as f64 / 400.0),
        best: step == 200,
    });
    let curve = (0..64u64).map(|i| {
        let step = i * 18 + 1;
        (step, 1.1 + 1.9 * (-(step as f64) / (100.0 + 60.0 * number as f64)).exp() + (i % 3) as f64 * 0.05)
    });
    RunReport {
        result: (state == RunState::Finished).then(|| dir.join("adapter")),
        name,
        state,
        started: Some(format!("2026-11-{:02}T09:41:00+00:00", number + 8)),
        seconds: 311.0 * number as f64,
        step: if state == RunState::Finished { 1140 } else { 214 },
        total_steps: 1140,
        last_loss: Some(1.21 + number as f64 / 100.0),
        last_eval_loss: Some(1.4),
        best_eval_loss: Some(1.38 - number as f64 / 50.0),
        config: Box::new(config),
        base: PathBuf::from("/home/ann/emberwright"),
        curve: if state == RunState::Empty { Vec::new() } else { curve.collect() },
        checkpoints: if state == RunState::Empty { Vec::new() } else { checkpoints.to_vec() },
        bytes: 78_000_000 * number,
        dir,
    }
}

pub fn some_runs() -> Vec<RunReport> {
    let mut runs: Vec<_> = [
        RunState::Running,
        RunState::Finished,
        RunState::Unfinished,
        RunState::Empty,
        RunState::Finished,
        RunState::Finished,
    ]
    .into_iter()
    .zip((1..=6).rev())
    .map(|(state, number)| report(number, state))
    .collect();
    runs[3].last_loss = None;
    runs[3].best_eval_loss = None;
    runs[4].name = "客服助手-第一次".into();
    runs
}

/// An engine that knows these runs, and deletes what it is told to.
pub fn keeper(runs: Vec<RunReport>) -> FakeEngine {
    FakeEngine::new(move |command| match command {
        Command::ListRuns { request, .. } => {
            let dir = PathBuf::from("/home/ann/emberwright/runs");
            vec![Event::Runs { request: *request, dir, runs: runs.clone() }]
        }
        Command::DeleteRun { request, dir } => {
            vec![Event::Deleted { request: *request, dir: dir.clone() }]
        }
        Command::ReadRun { request, dir } => {
            let report = runs.iter().find(|run| run.dir == *dir).cloned().unwrap_or_else(|| RunReport {
                dir: dir.clone(),
                name: "elsewhere-1".into(),
                ..report(9, RunState::Finished)
            });
            let part = |range, report: Option<RunReport>| Event::RunRead {
                request: *request,
                dir: dir.clone(),
                steps: crate::train::steps(range),
                evals: vec![crate::train::eval(50)],
                samples: Vec::new(),
                report: report.map(Box::new),
            };
            vec![part(1..=120, None), part(121..=214, Some(report))]
        }
        _ => Vec::new(),
    })
}

pub fn open(window: &Window, engine: &FakeEngine, desktop: &FakeDesktop) -> Harness<'static, App> {
    let mut harness = window.open(engine, desktop);
    harness.run();
    harness.state_mut().push(Action::Open(ui::panels::runs::PANEL.panel_id()));
    harness.run();
    harness
}

#[test]
#[ignore = "for looking at"]
fn look() {
    for (dark, language, scale, name) in [
        (true, Language::English, 1.0, "dark-en"),
        (false, Language::Chinese, 1.0, "light-zh"),
        (false, Language::English, 2.0, "light-en-2x"),
    ] {
        let window = Window { dark, language, scale, ..Window::default() };
        let (engine, desktop) = (keeper(some_runs()), FakeDesktop::default());
        let mut harness = open(&window, &engine, &desktop);
        harness.render().unwrap().save(format!("/tmp/runs-{name}.png")).unwrap();
        harness.get_by_label("assistant-4").click();
        harness.run();
        harness.render().unwrap().save(format!("/tmp/runs-chosen-{name}.png")).unwrap();
        let delete = if language == Language::English { "Delete…" } else { "删除…" };
        harness.get_by_label(delete).click();
        harness.run();
        harness.render().unwrap().save(format!("/tmp/runs-delete-{name}.png")).unwrap();
        let engine = keeper(Vec::new());
        let mut harness = open(&window, &engine, &desktop);
        harness.run();
        harness.render().unwrap().save(format!("/tmp/runs-none-{name}.png")).unwrap();
    }
}
