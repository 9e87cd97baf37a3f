//! A model against sets of questions.

#![expect(clippy::unwrap_used, reason = "helpers of tests may fail as tests do")]

use std::path::PathBuf;

use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;
use protocol::{
    Catalog, Command, Descriptor, Event, Language, Measured, ParamKind, ParamSpec, RequestId, SuiteLevel,
    SuiteMetric, SuiteReport, SuiteRequest, SuiteRow, Text, UserError, Wish,
};
use ui::App;
use ui::action::Action;
use ui::panels::{StepState, evaluate};
use ui::state::evaluate::EvaluateAction;
use ui::testing::{FakeDesktop, FakeEngine};
use ui::{DesktopEvent, DesktopRequest, Purpose};

use crate::chat::finished_run;
use crate::support::{Window, busy, example, learned, ready};

fn catalog() -> Catalog {
    let shots = ParamSpec {
        key: "shots".into(),
        name: Text::fixed("Examples before", "示例数"),
        help: Text::fixed("Questions with their answers before each", "每题之前的示例"),
        kind: ParamKind::Integer { default: 5, min: 0, max: 5 },
        advanced: false,
    };
    let suite = |id: &str, name: Text, help: Text, params| Descriptor { id: id.into(), name, help, params };
    let suites = vec![
        suite(
            "mmlu",
            Text::fixed("MMLU", "MMLU"),
            Text::fixed("57 subjects, four options each", "57 个科目，四选一"),
            vec![shots],
        ),
        suite(
            "perplexity",
            Text::fixed("Perplexity", "困惑度"),
            Text::fixed("Of any text", "任意文本"),
            Vec::new(),
        ),
    ];
    Catalog { suites, ..Catalog::default() }
}

const SUBJECTS: [&str; 12] = [
    "abstract_algebra",
    "anatomy",
    "astronomy",
    "business_ethics",
    "clinical_knowledge",
    "college_biology",
    "college_chemistry",
    "college_computer_science",
    "college_mathematics",
    "high_school_european_history",
    "international_law",
    "virology",
];

fn measured(value: f64, half: f64) -> Option<Measured> {
    Some(Measured { value, low: value - half, high: value + half })
}

fn row(level: SuiteLevel, name: &str, items: u64, base: f64, tuned: f64) -> SuiteRow {
    let half = 0.9 / (items as f64).sqrt();
    let metric = |name: &str, base: f64, tuned: f64| SuiteMetric {
        name: name.into(),
        higher_is_better: true,
        base: measured(base, half),
        tuned: measured(tuned, half),
        difference: measured(tuned - base, half * 0.8),
    };
    let metrics = vec![metric("acc", base, tuned), metric("acc_norm", base + 0.02, tuned + 0.01)];
    SuiteRow { level, name: name.into(), groups: Vec::new(), items, metrics }
}

pub fn rows() -> Vec<SuiteRow> {
    let mut rows = vec![row(SuiteLevel::Total, "mmlu", 14_042, 0.452, 0.487)];
    for (name, base, tuned) in
        [("STEM", 0.402, 0.421), ("Humanities", 0.431, 0.486), ("Social sciences", 0.512, 0.561)]
    {
        rows.push(row(SuiteLevel::Group, name, 3_100, base, tuned));
    }
    rows.extend(SUBJECTS.iter().enumerate().map(|(at, name)| {
        let base = 0.3 + 0.02 * at as f64;
        row(SuiteLevel::Subject, name, 100 + at as u64, base, base + 0.03 * (at as f64 - 4.0))
    }));
    rows
}

pub fn report(dir: &str, adapter: &str, by: f64) -> SuiteReport {
    let mut rows = rows();
    for metric in rows.iter_mut().flat_map(|row| &mut row.metrics) {
        for it in [&mut metric.tuned, &mut metric.difference].into_iter().flatten() {
            (it.value, it.low, it.high) = (it.value + by, it.low + by, it.high + by);
        }
    }
    SuiteReport {
        suite: "mmlu".into(),
        data: "/data/mmlu".into(),
        data_hash: "00".into(),
        model: "/models/qwen2.5-0.5b".into(),
        adapters: vec![format!("/runs/{adapter}/adapter").into()],
        settings: serde_json::json!({"shots": 5}).as_object().unwrap().clone(),
        limit: 0,
        // What cannot be read as a time is shown as it is: the same on every machine.
        when: "11-21 16:04".into(),
        dir: dir.into(),
        rows,
        seconds: 812.0,
        notes: Vec::new(),
    }
}

/// The panel with MMLU's folder chosen and two earlier evaluations.
pub fn panel(window: &Window, engine: &FakeEngine, desktop: &FakeDesktop) -> Harness<'static, App> {
    let mut harness = window.open(engine, desktop);
    harness.run();
    if let Event::Ready { device, .. } = ready() {
        engine.tell(Event::Ready { catalog: Box::new(catalog()), device, devices: Vec::new() });
    }
    harness.state().push(Action::Edit(Box::new(example())));
    harness.run();
    let runs = vec![finished_run()];
    engine.tell(Event::Runs { request: RequestId(900), dir: "/runs".into(), runs });
    harness.state().push(Action::Open(evaluate::PANEL.panel_id()));
    harness.run();
    harness
}

pub fn with_data(window: &Window, engine: &FakeEngine, desktop: &FakeDesktop) -> Harness<'static, App> {
    let mut harness = panel(window, engine, desktop);
    let paths = vec![PathBuf::from("/data/mmlu")];
    let picked = DesktopEvent::Picked { purpose: Purpose::EvaluationFolder, paths };
    desktop.answers.borrow_mut().push(picked);
    harness.run();
    listed(&mut harness, engine);
    harness
}

fn listed(harness: &mut Harness<'static, App>, engine: &FakeEngine) {
    let request = newest(engine, |command| match command {
        Command::ListEvaluations { request, .. } => Some(*request),
        _ => None,
    });
    let reports = vec![report("/runs/a", "my-assistant-1", -0.02), report("/runs/b", "poems", 0.03)];
    engine.tell(Event::Evaluations { request: request.unwrap(), dir: "/runs".into(), reports });
    harness.run();
}

fn newest<T>(engine: &FakeEngine, pick: impl Fn(&Command) -> Option<T>) -> Option<T> {
    engine.traffic.borrow().commands.iter().rev().find_map(pick)
}

pub fn started(engine: &FakeEngine) -> Option<(RequestId, SuiteRequest)> {
    newest(engine, |command| match command {
        Command::Evaluate { request, evaluate } => Some((*request, (**evaluate).clone())),
        _ => None,
    })
}

pub fn push(harness: &mut Harness<'static, App>, action: EvaluateAction) {
    harness.state().push(Action::Evaluate(action));
    harness.run();
}

fn step(harness: &Harness<'static, App>) -> StepState {
    (evaluate::PANEL.progress)(harness.state().state())
}

#[test]
fn without_data_it_says_what_is_missing_in_both_languages() {
    for (language, start, missing) in [
        (Language::English, "Evaluate", "Choose the suite's folder or file, or drop it here"),
        (Language::Chinese, "开始评估", "请选择评估集的文件夹或文件，或拖到此处"),
    ] {
        let (engine, desktop) = (learned(), FakeDesktop::default());
        let mut harness = panel(&Window { language, ..Window::default() }, &engine, &desktop);
        harness.get_by_label(missing);
        harness.get_all_by_label(start).last().unwrap().click();
        harness.run();
        assert_eq!(started(&engine), None);
    }
}

#[test]
fn base_and_tuned_are_asked_and_the_table_fills_in() {
    let (engine, desktop) = (learned(), FakeDesktop::default());
    let mut harness = with_data(&Window::default(), &engine, &desktop);
    harness.get_all_by_label("Evaluate").last().unwrap().click();
    harness.run();
    let (request, wanted) = started(&engine).unwrap();
    assert_eq!((wanted.suite.as_str(), wanted.data), ("mmlu", PathBuf::from("/data/mmlu")));
    assert!(wanted.compare && wanted.model.adapters == [PathBuf::from("/runs/my-assistant-2/adapter")]);
    assert_eq!(step(&harness), StepState::Busy);
    let stage = Text::fixed("asking", "提问");
    engine.tell(Event::Progress {
        request,
        stage,
        done: 30,
        total: 100,
        unit: protocol::Unit::Count,
        seconds_left: Some(9.0),
    });
    engine.tell(Event::Evaluating { request, rows: rows()[..2].to_vec(), done: 30, total: 100 });
    harness.run();
    harness.get_by_label("48.7 %");
    harness.get_by_label("+3.5 ± 0.6");
    engine.tell(Event::Evaluated { request, report: Box::new(report("/runs/c", "my-assistant-2", 0.0)) });
    harness.run();
    assert_eq!(step(&harness), StepState::Done);
    assert!(harness.query_by_label("virology").is_none());
    harness.get_by_label("12 subjects").click();
    harness.run();
    harness.get_by_label("abstract algebra");
    harness.get_by_label("By difference").click();
    harness.run();
    harness.get_by_label("virology");
    harness.get_by_label("acc_norm").click();
    harness.run();
    harness.get_by_label("49.7 %");
    assert_eq!(harness.state().state().evaluate.earlier.value.as_ref().unwrap().len(), 3);
}

#[test]
fn earlier_ones_stand_side_by_side_and_are_written_as_a_table() {
    let (engine, desktop) = (learned(), FakeDesktop::default());
    let mut harness = with_data(&Window::default(), &engine, &desktop);
    harness.get_by_label("Compare MMLU my-assistant-1 11-21 16:04").click();
    harness.run();
    harness.get_by_label("MMLU · my-assistant-1");
    harness.get_by_label("Compare MMLU poems 11-21 16:04").click();
    harness.run();
    harness.get_by_label("Side by side");
    harness.get_by_label("46.7 %");
    harness.get_by_label("51.7 %");
    harness.get_by_label("Export the table…").click();
    harness.run();
    let asked = |request: &DesktopRequest| matches!(request, DesktopRequest::PickSave { purpose, .. } if *purpose == Purpose::EvaluationTable);
    assert!(desktop.requests.borrow().iter().any(asked));
    let paths = vec![PathBuf::from("/out/table.md")];
    desktop.answers.borrow_mut().push(DesktopEvent::Picked { purpose: Purpose::EvaluationTable, paths });
    harness.run();
    let written = newest(&engine, |command| match command {
        Command::WriteEvaluations { dirs, out, .. } => Some((dirs.clone(), out.clone())),
        _ => None,
    });
    assert_eq!(written.unwrap(), (vec!["/runs/a".into(), "/runs/b".into()], "/out/table.md".into()));
    harness.get_by_label("Back to the newest").click();
    harness.run();
    assert!(harness.query_by_label("Side by side").is_none());
}

#[test]
fn settings_of_a_suite_go_with_it() {
    let (engine, desktop) = (learned(), FakeDesktop::default());
    let mut harness = with_data(&Window::default(), &engine, &desktop);
    let mut choices = harness.state().state().evaluate.choices.clone();
    choices.settings.entry("mmlu".into()).or_default().insert("shots".into(), 0.into());
    choices.limit = 20;
    push(&mut harness, EvaluateAction::Choose(Box::new(choices)));
    harness.get_all_by_label("Compare with untuned").next().unwrap().click();
    harness.run();
    push(&mut harness, EvaluateAction::Start);
    let (_, wanted) = started(&engine).unwrap();
    assert_eq!((wanted.settings["shots"].as_u64(), wanted.limit, wanted.compare), (Some(0), 20, false));
}

#[test]
fn it_can_be_stopped_and_an_error_is_said_once() {
    let (engine, desktop) = (learned(), FakeDesktop::default());
    let mut harness = with_data(&Window::default(), &engine, &desktop);
    push(&mut harness, EvaluateAction::Start);
    harness.get_by_label("Stop").click();
    harness.run();
    assert_eq!(engine.traffic.borrow().wishes.last(), Some(&Wish::Stop));
    let fail = |request| Event::Failed {
        request: Some(request),
        error: Box::new(UserError::bad_input(Text::fixed("There is no test folder", "没有 test 文件夹"))),
    };
    engine.tell(fail(started(&engine).unwrap().0));
    harness.run();
    harness.get_by_label_contains("asked again, it goes on where it was");
    push(&mut harness, EvaluateAction::Start);
    engine.tell(fail(started(&engine).unwrap().0));
    harness.run();
    harness.get_by_label("There is no test folder");
    assert!(harness.state().state().toasts.all.is_empty());
    assert_eq!(step(&harness), StepState::Problem);
}

#[test]
fn during_a_run_it_waits_and_the_run_is_not_stopped() {
    let (engine, desktop) = (busy(), FakeDesktop::default());
    let mut harness = with_data(&Window::default(), &engine, &desktop);
    harness.get_by_label("A run is under way: an evaluation begins when it ends");
    push(&mut harness, EvaluateAction::Start);
    harness.get_by_label_contains("The evaluation waits for the run to end");
    push(&mut harness, EvaluateAction::Stop);
    assert!(!engine.traffic.borrow().wishes.contains(&Wish::Stop));
}
