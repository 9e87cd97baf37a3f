//! Handing a run to other machines, watching it there, and bringing it back.

use std::path::PathBuf;

use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT, Queryable};
use protocol::{
    Catalog, Command, Descriptor, Event, HandoffReport, HandoffRequest, ImportReport, Language, Launch,
    RequestId, RunState, Text, UserError,
};
use ui::App;
use ui::action::Action;
use ui::desktop::{DesktopEvent, DesktopRequest, Purpose};
use ui::testing::{FakeDesktop, FakeEngine};

use crate::runs::{keeper, open as open_runs, report as run_report};
use crate::support::{Window, example, learned, ready};

fn catalog() -> Catalog {
    let engine =
        |id: &str, name: Text, help: Text| Descriptor { id: id.into(), name, help, params: Vec::new() };
    Catalog {
        engines: vec![
            engine(
                "accelerate-fsdp",
                Text::fixed("Accelerate, FSDP", "Accelerate，FSDP"),
                Text::fixed(
                    "The model is spread over the cards: for one that fits no single card",
                    "模型分布在各卡上：适合单卡放不下的模型",
                ),
            ),
            engine(
                "torchrun",
                Text::fixed("torchrun (DDP)", "torchrun（DDP）"),
                Text::fixed("Whole", "完整"),
            ),
        ],
        handed_methods: ["lora", "dora", "ia3"].map(String::from).to_vec(),
        ..Catalog::default()
    }
}

fn opened(window: &Window, engine: &FakeEngine, desktop: &FakeDesktop) -> Harness<'static, App> {
    let mut harness = window.open(engine, desktop);
    harness.run();
    if let Event::Ready { device, .. } = ready() {
        engine.tell(Event::Ready { catalog: Box::new(catalog()), device, devices: Vec::new() });
    }
    let mut config = example();
    config.method.kind = "lora".into();
    harness.state().push(Action::Edit(Box::new(config)));
    harness.state().push(Action::Open(ui::panels::train::PANEL.panel_id()));
    harness.run();
    // The clock of tests rests: what waits for a pause of the user comes when it has passed.
    for seconds in [1.0, 2.0] {
        harness.state_mut().set_clock(seconds);
        harness.run();
    }
    harness
}

fn click(harness: &mut Harness<'static, App>, label: &str) {
    // A name is often beside its widget, too: the widget comes first.
    harness.get_all_by_label(label).next().unwrap().click();
    harness.run();
}

fn asked(engine: &FakeEngine) -> Option<(RequestId, HandoffRequest)> {
    engine.traffic.borrow().commands.iter().rev().find_map(|command| match command {
        Command::HandOff { request, handoff } => Some((*request, (**handoff).clone())),
        _ => None,
    })
}

fn written(dir: PathBuf) -> Box<HandoffReport> {
    let launch = |name: Text, line: &str| Launch { name, line: line.into() };
    Box::new(HandoffReport {
        dir,
        files: vec!["train.py".into()],
        bytes: 92 << 20,
        train_rows: 49_385,
        validation_rows: 2_600,
        tokens: 9_120_400,
        steps: 1_140,
        launches: vec![
            launch(
                Text::fixed("One machine", "单机"),
                "accelerate launch --config_file config/fsdp.yaml --num_machines 1 --num_processes 4 train.py",
            ),
            launch(Text::fixed("Slurm", "Slurm"), "sbatch launch/slurm.sbatch"),
        ],
        notes: vec![Text::fixed("There it computes in bf16", "集群上以 bf16 计算")],
    })
}

/// The dialog with what was written.
fn finished(window: &Window, engine: &FakeEngine, desktop: &FakeDesktop) -> Harness<'static, App> {
    let mut harness = opened(window, engine, desktop);
    let words =
        |en: &'static str, zh: &'static str| if window.language == Language::English { en } else { zh };
    click(&mut harness, words("Hand off…", "移交集群…"));
    click(&mut harness, words("Folder", "文件夹"));
    let picked = DesktopEvent::Picked { purpose: Purpose::HandoffFolder, paths: vec!["/shared".into()] };
    desktop.answers.borrow_mut().push(picked);
    harness.run();
    click(&mut harness, words("Write the folder", "写出文件夹"));
    let (request, wanted) = asked(engine).unwrap();
    engine.tell(Event::HandedOff { request, report: written(wanted.out) });
    harness.run();
    harness
}

#[test]
fn a_run_is_handed_over_and_joins_the_list() {
    let (engine, desktop) = (learned(), FakeDesktop::default());
    let mut harness = opened(&Window::default(), &engine, &desktop);
    click(&mut harness, "Hand off…");
    assert!(harness.get_by_label("Write the folder").accesskit_node().is_disabled(), "no folder yet");
    click(&mut harness, "Folder");
    let asks = |it: &DesktopRequest| {
        matches!(it, DesktopRequest::PickFolder { purpose: Purpose::HandoffFolder, .. })
    };
    assert!(desktop.requests.borrow().iter().any(asks));
    drop(harness);

    let (engine, desktop) = (learned(), FakeDesktop::default());
    let mut harness = finished(&Window::default(), &engine, &desktop);
    let (_, wanted) = asked(&engine).unwrap();
    assert_eq!((wanted.engine.as_str(), wanted.nodes, wanted.cards), ("accelerate-fsdp", 1, 4));
    assert!(wanted.out.starts_with("/shared") && wanted.config.method.kind == "lora");
    assert!(harness.query_by_label("sbatch launch/slurm.sbatch").is_some());
    // Its run folder is read, so that it is listed.
    let run = wanted.out.join("run");
    let reads = |command: &Command| matches!(command, Command::ReadRun { dir, .. } if *dir == run);
    assert_eq!(engine.traffic.borrow().commands.iter().filter(|it| reads(it)).count(), 1);
    click(&mut harness, "Copy: Slurm");
    click(&mut harness, "Open the folder");
    let shown = DesktopRequest::Open(wanted.out.display().to_string());
    assert!(desktop.requests.borrow().contains(&shown));
    click(&mut harness, "Close");
    assert!(harness.query_by_label("Write the folder").is_none());
}

#[test]
fn what_cannot_be_handed_over_says_why() {
    let (engine, desktop) = (learned(), FakeDesktop::default());
    let mut harness = opened(&Window::default(), &engine, &desktop);
    assert!(!harness.get_by_label("Hand off…").accesskit_node().is_disabled());
    let mut config = example();
    config.method.kind = "bitfit".into();
    harness.state().push(Action::Edit(Box::new(config)));
    harness.run();
    let button = harness.get_by_label("Hand off…");
    assert!(button.accesskit_node().is_disabled());
    button.hover();
    harness.run();
    assert!(harness.query_by_label_contains("PEFT has nothing that trains like bitfit").is_some());
}

#[test]
fn an_error_is_told_where_it_was_asked() {
    let (engine, desktop) = (learned(), FakeDesktop::default());
    let mut harness = finished(&Window::default(), &engine, &desktop);
    click(&mut harness, "Write the folder");
    let (request, _) = asked(&engine).unwrap();
    let error =
        UserError::bad_input(Text::fixed("The output folder exists and is not empty", "输出文件夹不为空"));
    engine.tell(Event::Failed { request: Some(request), error: Box::new(error) });
    harness.run();
    assert!(harness.query_by_label_contains("exists and is not empty").is_some());
}

#[test]
fn a_run_elsewhere_is_watched_and_brought_back() {
    let mut runs = vec![run_report(1, RunState::Elsewhere), run_report(2, RunState::Finished)];
    runs[0].result = Some(runs[0].dir.join("adapter"));
    let (engine, desktop) = (keeper(runs.clone()), FakeDesktop::default());
    let mut harness = open_runs(&Window::default(), &engine, &desktop);
    harness.state().push(Action::Edit(Box::new(example())));
    harness.get_all_by_label("assistant-1").next().unwrap().click();
    harness.run();
    assert!(harness.query_all_by_label("elsewhere").next().is_some());
    let looks = |engine: &FakeEngine| {
        let of_it =
            |command: &&Command| matches!(command, Command::ReadRun { dir, .. } if *dir == runs[0].dir);
        engine.traffic.borrow().commands.iter().filter(of_it).count()
    };
    let before = looks(&engine);
    harness.state_mut().set_clock(20.0);
    harness.run();
    assert_eq!(looks(&engine), before + 1, "a look every few seconds");
    assert!(harness.query_by_label("Talk to it").is_none(), "it is no run of this machine");
    click(&mut harness, "Bring it here");
    let found = engine.traffic.borrow().commands.iter().rev().find_map(|command| match command {
        Command::ImportRun { request, dir, model, origin, .. } => {
            Some((*request, dir.clone(), model.clone(), origin.clone()))
        }
        _ => None,
    });
    let (request, dir, model, origin) = found.unwrap();
    assert_eq!((dir, model), (runs[0].dir.clone(), Some(example().model.path)));
    let origin = origin.unwrap();
    assert!(origin.guessed && *origin.config == example(), "with the project's run file it can go on here");
    let lists = |engine: &FakeEngine| {
        let list = |command: &&Command| matches!(command, Command::ListRuns { .. });
        engine.traffic.borrow().commands.iter().filter(list).count()
    };
    let before = lists(&engine);
    engine.tell(Event::RunImported { request, report: Box::new(ImportReport::default()) });
    harness.run();
    assert_eq!(lists(&engine), before + 1, "the list is read again");
}

#[test]
fn the_dialog_in_both_languages() {
    let mut results = egui_kittest::SnapshotResults::new();
    for (language, name) in [(Language::English, "handoff-en"), (Language::Chinese, "handoff-zh")] {
        let (engine, desktop) = (learned(), FakeDesktop::default());
        let window = Window { language, dark: language == Language::English, ..Window::default() };
        let mut harness = finished(&window, &engine, &desktop);
        results.add(harness.try_snapshot_options(name, &crate::snapshots::options()));
    }
}
