//! Earlier runs.

use std::path::PathBuf;

use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT, Queryable};
use protocol::{
    CheckpointReport, Command, Event, RunCommand, RunConfig, RunMemory, RunReport, RunState, Text, UserError,
};
use ui::App;
use ui::action::Action;
use ui::desktop::{DesktopEvent, DesktopRequest, Purpose};
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
        memory: (state == RunState::Finished)
            .then_some(RunMemory { forecast: 1_000_000_000, peak: 960_000_000 }),
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
            let worse = runs.iter().position(|run| run.dir == *dir).map_or(0.0, |place| place as f64 / 9.0);
            let part = |range, report: Option<RunReport>| Event::RunRead {
                request: *request,
                dir: dir.clone(),
                steps: crate::train::steps(range)
                    .into_iter()
                    .map(|mut step| {
                        step.loss *= 1.0 + worse;
                        step.grad_norm += worse;
                        step
                    })
                    .collect(),
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

fn click(harness: &mut Harness<'static, App>, label: &str) {
    harness.get_by_label(label).click();
    harness.run();
}

fn names(harness: &Harness<'static, App>) -> Vec<String> {
    let mut rows: Vec<(f32, String)> = some_runs()
        .into_iter()
        .filter_map(|run| {
            Some((harness.query_all_by_label(&run.name).next()?.rect().top(), run.name.clone()))
        })
        .collect();
    rows.sort_by(|a, b| a.0.total_cmp(&b.0));
    rows.into_iter().map(|row| row.1).collect()
}

fn commands(engine: &FakeEngine) -> Vec<Command> {
    engine.traffic.borrow().commands.clone()
}

#[test]
fn runs_are_searched_and_sorted() {
    let (engine, desktop) = (keeper(some_runs()), FakeDesktop::default());
    let mut harness = open(&Window::default(), &engine, &desktop);
    let all = ["assistant-6", "assistant-5", "assistant-4", "assistant-3", "客服助手-第一次", "assistant-1"];
    assert_eq!(names(&harness), all, "the newest first");
    click(&mut harness, "Best eval");
    assert_eq!(names(&harness)[0], "assistant-3", "what is not known, then the greatest");
    click(&mut harness, "Best eval");
    assert_eq!(names(&harness)[0], "assistant-6", "the least");
    click(&mut harness, "Name");
    assert_eq!(names(&harness)[..2], ["assistant-1", "assistant-3"]);
    harness.get_by_role(egui::accesskit::Role::TextInput).focus();
    harness.run();
    harness.get_by_role(egui::accesskit::Role::TextInput).type_text("客服 LORA");
    harness.run();
    assert_eq!(names(&harness), ["客服助手-第一次"]);
    harness.get_by_role(egui::accesskit::Role::TextInput).type_text("zzz");
    harness.run();
    assert!(harness.query_by_label("No run matches").is_some());
}

#[test]
fn what_can_be_done_depends_on_how_a_run_ended() {
    let (engine, desktop) = (keeper(some_runs()), FakeDesktop::default());
    let mut harness = open(&Window::default(), &engine, &desktop);
    let able = |harness: &Harness<'static, App>, label: &str| {
        !harness.get_by_label(label).accesskit_node().is_disabled()
    };
    for (run, resume, talk, delete) in [
        ("assistant-6", false, true, false),
        ("assistant-5", false, true, true),
        ("assistant-4", true, true, true),
        ("assistant-3", false, false, true),
    ] {
        harness.get_all_by_label(run).next().unwrap().click();
        harness.run();
        let found = ["Resume", "Talk to it", "Delete…"].map(|label| able(&harness, label));
        assert_eq!(found, [resume, talk, delete], "{run}");
    }
    harness.get_all_by_label("assistant-4").next().unwrap().click();
    harness.run();
    assert!(harness.query_by_label("step 200").is_some() && harness.query_by_label("best").is_some());
    assert!(harness.query_by_label("method.rank").is_some());
    click(&mut harness, "Open folder");
    let dir = "/home/ann/emberwright/runs/assistant-4";
    assert!(desktop.requests.borrow().contains(&DesktopRequest::Open(dir.into())));
    click(&mut harness, "Resume");
    let resumed = commands(&engine)
        .into_iter()
        .any(|command| matches!(command, Command::Run(RunCommand::Resume { dir: at, .. }) if *at == *dir));
    assert!(resumed);
    let train = ui::panels::train::PANEL.panel_id();
    assert!(harness.state().workspace().is_visible(&train));
}

#[test]
fn a_run_is_deleted_only_after_it_was_named_and_confirmed() {
    let (engine, desktop) = (keeper(some_runs()), FakeDesktop::default());
    let mut harness = open(&Window::default(), &engine, &desktop);
    click(&mut harness, "assistant-4");
    click(&mut harness, "Delete…");
    let told = harness.query_all_by_label_contains("297.5 MB").count();
    assert!(told > 0 && harness.query_by_label("Delete assistant-4?").is_some());
    click(&mut harness, "Cancel");
    let deletes = |engine: &FakeEngine| {
        commands(engine).into_iter().filter(|command| matches!(command, Command::DeleteRun { .. })).count()
    };
    assert_eq!(deletes(&engine), 0);
    click(&mut harness, "Delete…");
    click(&mut harness, "Delete assistant-4");
    assert_eq!(deletes(&engine), 1);
    assert!(!names(&harness).contains(&"assistant-4".to_owned()));
}

#[test]
fn the_settings_of_a_run_become_the_project() {
    let (engine, desktop) = (keeper(some_runs()), FakeDesktop::default());
    let mut harness = open(&Window::default(), &engine, &desktop);
    click(&mut harness, "assistant-5");
    click(&mut harness, "Use its settings");
    let project = |harness: &Harness<'static, App>| {
        let project = &harness.state().state().project;
        (project.name.clone(), project.config.train.learning_rate, project.base.clone())
    };
    assert_eq!(project(&harness), ("assistant-5".into(), 5e-4, PathBuf::from("/home/ann/emberwright")));
    // With changes at stake it asks.
    let mut config = harness.state().state().project.config.clone();
    config.train.epochs = 9.0;
    harness.state_mut().push(Action::Edit(Box::new(config)));
    harness.state_mut().push(Action::Open(ui::panels::runs::PANEL.panel_id()));
    harness.run();
    harness.get_all_by_label("assistant-4").next().unwrap().click();
    harness.run();
    click(&mut harness, "Use its settings");
    assert_eq!(project(&harness).0, "assistant-5");
    click(&mut harness, "Drop the changes");
    assert_eq!(project(&harness).0, "assistant-4");
}

#[test]
fn a_run_from_elsewhere_joins_the_list() {
    let (engine, desktop) = (keeper(some_runs()), FakeDesktop::default());
    let mut harness = open(&Window::default(), &engine, &desktop);
    click(&mut harness, "Add a run folder…");
    let asked = desktop.requests.borrow_mut().pop();
    assert!(matches!(asked, Some(DesktopRequest::PickFolder { purpose: Purpose::ImportRun, .. })));
    let paths = vec![PathBuf::from("/mnt/usb/elsewhere-1")];
    desktop.answers.borrow_mut().push(DesktopEvent::Picked { purpose: Purpose::ImportRun, paths });
    // The engine's answer comes after the request.
    harness.run_steps(4);
    assert!(harness.query_by_label("elsewhere-1").is_some());
    click(&mut harness, "Read the list again");
    harness.run_steps(4);
    assert!(harness.query_by_label("elsewhere-1").is_some(), "a new list does not take it away");
    let kept = harness.state().persist().panels;
    assert_eq!(kept["runs"]["imported"][0], "/mnt/usb/elsewhere-1");
}

#[test]
fn comparing_opens_the_plots_with_both() {
    let (engine, desktop) = (keeper(some_runs()), FakeDesktop::default());
    let mut harness = open(&Window::default(), &engine, &desktop);
    click(&mut harness, "assistant-5");
    click(&mut harness, "Compare");
    let state = harness.state().state();
    assert_eq!(state.runs.recorded.values().next().unwrap().history.saved, [100, 200]);
    assert!(harness.query_by_label("Show or hide: assistant-5").is_some());
}

#[test]
fn a_list_that_cannot_be_read_says_why() {
    let engine = FakeEngine::new(|command| match command {
        Command::ListRuns { request, .. } => {
            let what = Text::fixed("Could not read the folder", "无法读取文件夹");
            let error = Box::new(UserError::failure(what));
            vec![Event::Failed { request: Some(*request), error }]
        }
        _ => Vec::new(),
    });
    let harness = open(&Window::default(), &engine, &FakeDesktop::default());
    assert!(harness.query_by_label("Could not read the folder").is_some());
}
