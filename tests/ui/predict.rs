//! An answer for each row of a file.

#![expect(clippy::unwrap_used, reason = "helpers of tests may fail as tests do")]

use std::path::PathBuf;

use egui::accesskit::Role;
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;
use protocol::{
    Catalog, Command, Confusion, Descriptor, Event, Language, OutputColumn, ParamKind, ParamSpec,
    PredictPlan, PredictPrompt, PredictReport, PredictRequest, PredictedRow, Preset, RequestId, Score, Text,
    UserError, Wish,
};
use ui::App;
use ui::action::Action;
use ui::desktop::{DroppedKind, DroppedPath};
use ui::panels::{StepState, predict};
use ui::state::predict::PredictAction;
use ui::testing::{FakeDesktop, FakeEngine};
use ui::{DesktopEvent, DesktopRequest, Purpose};

use crate::chat::finished_run;
use crate::support::{Window, busy, example, learned, ready};

fn catalog() -> Catalog {
    let part = |key: &str| ParamSpec {
        key: key.into(),
        name: Text::new(key, key),
        help: Text::fixed("", ""),
        kind: ParamKind::Text { default: String::new() },
        advanced: false,
    };
    let columns = Descriptor {
        id: "columns".into(),
        name: Text::fixed("Columns", "列"),
        help: Text::fixed("", ""),
        params: vec![part("prompt"), part("system")],
    };
    let chatml = Preset {
        id: "chatml".into(),
        name: Text::fixed("ChatML", "ChatML"),
        help: Text::fixed("", ""),
        source: String::new(),
    };
    Catalog { formats: vec![columns], templates: vec![chatml], ..Catalog::default() }
}

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
    harness.state().push(Action::Open(predict::PANEL.panel_id()));
    harness.run();
    harness
}

/// The panel with a file of papers.
pub fn with_file(window: &Window, engine: &FakeEngine, desktop: &FakeDesktop) -> Harness<'static, App> {
    let mut harness = panel(window, engine, desktop);
    let dropped = DroppedPath { path: "/data/papers.csv".into(), kind: DroppedKind::Data };
    desktop.answers.borrow_mut().push(DesktopEvent::Classified(vec![dropped]));
    harness.run();
    harness
}

fn newest<T>(engine: &FakeEngine, pick: impl Fn(&Command) -> Option<T>) -> Option<T> {
    engine.traffic.borrow().commands.iter().rev().find_map(pick)
}

fn planned(engine: &FakeEngine) -> Option<(RequestId, PredictRequest)> {
    newest(engine, |command| match command {
        Command::PlanPredict { request, predict } => Some((*request, (**predict).clone())),
        _ => None,
    })
}

fn started(engine: &FakeEngine) -> Option<(RequestId, PredictRequest)> {
    newest(engine, |command| match command {
        Command::Predict { request, predict } => Some((*request, (**predict).clone())),
        _ => None,
    })
}

fn column(name: &str, value: &str) -> OutputColumn {
    OutputColumn { name: name.into(), value: value.into() }
}

/// What is planned for the papers.
pub fn plan(harness: &mut Harness<'static, App>, engine: &FakeEngine, done: u64) {
    let (request, wanted) = planned(engine).unwrap();
    let columns = ["uuid", "title", "abstract", "label"].map(String::from).to_vec();
    let chosen = wanted.output_columns.clone();
    let all = columns.iter().map(|name| column(name, name)).chain([column("answer", "answer")]).collect();
    let prompt = |row: u64, title: &str, error| PredictPrompt {
        row,
        text: format!(
            "<|im_start|>user\nIs this paper medical? Answer 1 or 0.\ntitle:{title}<|im_end|>\n<|im_start|>assistant\n"
        ),
        tokens: 40 + row,
        error,
    };
    let plan = PredictPlan {
        total: Some(2_000),
        done,
        columns,
        output_columns: if chosen.is_empty() { all } else { chosen },
        prompts: vec![
            prompt(1, "Deep learning for the detection of arrhythmia", None),
            prompt(2, "A survey of graph neural networks", None),
            prompt(3, "", Some(Text::fixed("the column title is empty", "列 title 为空"))),
        ],
        format: "columns".into(),
        template: Some("chatml".into()),
        warnings: vec![Text::fixed(
            "The prompt differs from the one in training: there it ended with “keywords:”",
            "提示与训练时不同：训练时以“关键词：”结尾",
        )],
    };
    engine.tell(Event::PredictPlanned { request, plan: Box::new(plan) });
    harness.run();
}

/// Answers of some rows: one in five is wrong, row 7 has none.
pub fn answered(engine: &FakeEngine, rows: std::ops::RangeInclusive<u64>) {
    let (request, wanted) = started(engine).unwrap();
    let row = |row: u64| {
        let label = (row % 2).to_string();
        let answer = if row.is_multiple_of(5) { ((row + 1) % 2).to_string() } else { label.clone() };
        let error = (row == 7)
            .then(|| Text::fixed("longer than the context of 512 tokens", "超过 512 个词元的上下文"));
        let title = format!("Paper {row}: learning rates and the heart");
        let values = if error.is_some() {
            Vec::new()
        } else {
            vec![format!("id-{row}"), title, "An abstract".into(), label.clone(), answer.clone()]
        };
        PredictedRow {
            row,
            values,
            answer: if error.is_some() { String::new() } else { answer },
            label: Some(label).filter(|_| !wanted.label.is_empty()),
            choices: if wanted.choices.is_empty() { Vec::new() } else { vec![-0.2, -1.8] },
            finish: "choice".into(),
            error,
        }
    };
    engine.tell(Event::Predicted { request, rows: rows.map(row).collect() });
}

pub fn ended(engine: &FakeEngine, rows: u64, complete: bool) {
    let (request, wanted) = started(engine).unwrap();
    let scores = [
        ("accuracy", 0.8),
        ("macro-precision", 0.798),
        ("macro-recall", 0.8),
        ("macro-f1", 0.797),
        ("micro-precision", 0.8),
        ("micro-recall", 0.799),
        ("micro-f1", 0.8),
    ];
    let scores = scores.map(|(name, value)| Score { name: name.into(), value });
    let labels = ["0", "1"].map(String::from).to_vec();
    let labelled = !wanted.label.is_empty();
    let report = PredictReport {
        output: wanted.output,
        rows,
        resumed: 0,
        failed: 1,
        seconds: 131.0,
        tokens: 86_400,
        scores: if labelled { scores.to_vec() } else { Vec::new() },
        confusion: labelled.then(|| Confusion { labels, counts: vec![vec![812, 188, 0], vec![211, 788, 1]] }),
        notes: Vec::new(),
        complete,
    };
    engine.tell(Event::PredictionEnded { request, report: Box::new(report) });
}

/// The form filled in: one of two choices, with labels, and begun.
pub fn begun(window: &Window, engine: &FakeEngine, desktop: &FakeDesktop) -> Harness<'static, App> {
    let mut harness = with_file(window, engine, desktop);
    plan(&mut harness, engine, 0);
    let mut choices = harness.state().state().predict.choices.clone();
    choices.choices = vec!["0".into(), "1".into()];
    choices.label = "label".into();
    harness.state().push(Action::Predict(PredictAction::Choose(Box::new(choices))));
    harness.run();
    plan(&mut harness, engine, 0);
    harness.state().push(Action::Predict(PredictAction::Start));
    harness.run();
    harness
}

fn step(harness: &Harness<'static, App>) -> StepState {
    (predict::PANEL.progress)(harness.state().state())
}

#[test]
fn before_there_is_a_file_it_asks_for_one_in_both_languages() {
    for (language, button) in [(Language::English, "Choose a file…"), (Language::Chinese, "选择文件…")]
    {
        let (engine, desktop) = (learned(), FakeDesktop::default());
        let mut harness = panel(&Window { language, ..Window::default() }, &engine, &desktop);
        harness.get_by_label(button).click();
        harness.run();
        let asked = |request: &DesktopRequest| matches!(request, DesktopRequest::PickFiles { purpose, .. } if *purpose == Purpose::PredictInput);
        assert!(desktop.requests.borrow().iter().any(asked));
        assert_eq!(planned(&engine), None);
    }
}

#[test]
fn the_newest_result_answers_and_the_plan_is_asked_when_something_changes() {
    let (engine, desktop) = (learned(), FakeDesktop::default());
    let mut harness = with_file(&Window::default(), &engine, &desktop);
    let (_, wanted) = planned(&engine).unwrap();
    assert_eq!(wanted.model.adapters, [PathBuf::from("/runs/my-assistant-2/adapter")]);
    assert_eq!(wanted.output, PathBuf::from("/data/papers-predicted.csv"));
    assert!(wanted.format.is_empty(), "as in training");
    plan(&mut harness, &engine, 0);
    harness.get_by_label_contains("The prompt differs from the one in training");
    harness.get_by_label_contains("the column title is empty");
    harness.get_by_label_contains("2\u{2009}000 rows");
    let plans = || {
        let traffic = engine.traffic.borrow();
        traffic.commands.iter().filter(|command| matches!(command, Command::PlanPredict { .. })).count()
    };
    let before = plans();
    harness.run();
    assert_eq!(plans(), before);
    harness.get_by_label("Own").click();
    harness.run();
    assert_eq!((plans(), planned(&engine).unwrap().1.format.as_str()), (before + 1, "columns"));
    harness.get_by_label("prompt");
}

#[test]
fn it_begins_with_what_is_chosen_and_fills_the_table() {
    let (engine, desktop) = (learned(), FakeDesktop::default());
    let mut harness = begun(&Window::default(), &engine, &desktop);
    let (request, wanted) = started(&engine).unwrap();
    assert_eq!((wanted.choices.len(), wanted.label.as_str()), (2, "label"));
    assert_eq!(step(&harness), StepState::Busy);
    let stage = Text::fixed("answering rows", "生成回答");
    engine.tell(Event::Progress {
        request,
        stage,
        done: 40,
        total: 2_000,
        unit: protocol::Unit::Count,
        seconds_left: Some(94.0),
    });
    answered(&engine, 1..=40);
    harness.run();
    harness.get_by_label_contains("answering rows  40 / 2\u{2009}000  ·  1 min 34 s");
    harness.get_by_label_contains("31 of 40 right");
    harness.get_by_label("No answer 1").click();
    harness.run();
    harness.get_by_label_contains("longer than the context of 512 tokens");
    harness.get_by_label("Wrong 9").click();
    harness.run();
    harness.get_by_label("row 5").click();
    harness.run();
    harness.get_by_label("Row 5");
    harness.get_by_label_contains("83.2 %");
    harness.get_by_label("Stop").click();
    harness.run();
    assert_eq!(engine.traffic.borrow().wishes.last(), Some(&Wish::Stop));
    ended(&engine, 40, false);
    harness.run();
    assert_eq!(step(&harness), StepState::Warning);
    harness.get_by_label("Stopped before the last row");
    harness.get_by_label("Go on").click();
    harness.run();
    let (_, again) = started(&engine).unwrap();
    assert!(again.resume && again.output == wanted.output);
    answered(&engine, 30..=60);
    harness.run();
    assert_eq!(harness.state().state().predict.answers.count, 60);
    ended(&engine, 60, true);
    harness.run();
    harness.get_by_label("1 answered as 0: 211");
    harness.get_by_label("Open the folder").click();
    harness.run();
    assert!(desktop.requests.borrow().contains(&DesktopRequest::Open("/data".into())));
    harness.get_by_label("Another prediction").click();
    harness.run();
    harness.get_by_label("What the model will see");
}

#[test]
fn rows_that_are_there_are_not_asked_again() {
    let (engine, desktop) = (learned(), FakeDesktop::default());
    let mut harness = with_file(&Window::default(), &engine, &desktop);
    plan(&mut harness, &engine, 312);
    harness.get_by_label("The file has 312 rows already");
    harness.get_by_label("Go on");
    let dialog = DesktopEvent::Picked { purpose: Purpose::PredictOutput, paths: vec!["/out/new.csv".into()] };
    desktop.answers.borrow_mut().push(dialog);
    harness.run();
    assert_eq!(planned(&engine).unwrap().1.output, PathBuf::from("/out/new.csv"));
    plan(&mut harness, &engine, 2_000);
    let start = harness.get_by_label("Go on");
    start.click();
    harness.run();
    assert_eq!(started(&engine), None, "nothing is left to do");
    harness.get_by_label_contains("choose another name");
}

#[test]
fn columns_are_named_moved_and_left_out() {
    let (engine, desktop) = (learned(), FakeDesktop::default());
    let mut harness = with_file(&Window { size: [1280.0, 1400.0], ..Window::default() }, &engine, &desktop);
    plan(&mut harness, &engine, 0);
    for label in ["Remove title", "Remove abstract", "Remove label"] {
        harness.get_by_label(label).click();
        harness.run();
        plan(&mut harness, &engine, 0);
    }
    harness.get_by_label("Up answer").click();
    harness.run();
    let wanted = planned(&engine).unwrap().1.output_columns;
    assert_eq!(wanted, [column("answer", "answer"), column("uuid", "uuid")]);
    plan(&mut harness, &engine, 0);
    let name = harness.get_by_role_and_label(Role::TextInput, "Name of column 1");
    name.focus();
    harness.run();
    harness.key_press_modifiers(egui::Modifiers::COMMAND, egui::Key::A);
    harness.event(egui::Event::Text("Keywords".into()));
    harness.run();
    assert_eq!(planned(&engine).unwrap().1.output_columns[0], column("Keywords", "answer"));
    harness.get_by_label("All columns").click();
    harness.run();
    assert!(planned(&engine).unwrap().1.output_columns.is_empty());
}

#[test]
fn an_error_of_the_plan_stands_where_the_prompts_do() {
    let (engine, desktop) = (learned(), FakeDesktop::default());
    let mut harness = with_file(&Window::default(), &engine, &desktop);
    let (request, _) = planned(&engine).unwrap();
    let error = UserError::bad_input(Text::fixed("There is no column title", "没有列 title"))
        .in_file("/data/papers.csv")
        .mend(Text::fixed("choose a column of the file", "请选择文件中的列"));
    engine.tell(Event::Failed { request: Some(request), error: Box::new(error) });
    harness.run();
    harness.get_by_label("There is no column title");
    assert!(harness.state().state().toasts.all.is_empty());
    harness.get_by_label("Start").click();
    harness.run();
    assert_eq!(started(&engine), None);
}

#[test]
fn during_a_run_it_waits_and_the_run_is_not_stopped() {
    let (engine, desktop) = (busy(), FakeDesktop::default());
    let mut harness = with_file(&Window::default(), &engine, &desktop);
    plan(&mut harness, &engine, 0);
    harness.get_by_label("A run is under way: a prediction begins when it ends");
    harness.state().push(Action::Predict(PredictAction::Start));
    harness.run();
    harness.get_by_label_contains("The prediction waits for the run to end");
    harness.state().push(Action::Predict(PredictAction::Stop));
    harness.run();
    assert!(!engine.traffic.borrow().wishes.contains(&Wish::Stop));
}

#[test]
fn thousands_of_rows_are_drawn_in_no_time() {
    let (engine, desktop) = (learned(), FakeDesktop::default());
    let mut harness = begun(&Window::default(), &engine, &desktop);
    answered(&engine, 1..=50_000);
    harness.run();
    harness.state_mut().frame_times().clear();
    harness.run_steps(20);
    let slowest = harness.state_mut().frame_times().quantile(0.9);
    assert!(slowest < 50.0, "{slowest} ms a frame with 50 000 rows");
}
