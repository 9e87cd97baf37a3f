//! Models and adapters for others.

#![expect(clippy::unwrap_used, reason = "helpers of tests may fail as tests do")]

use std::path::PathBuf;

use egui::accesskit::Role;
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;
use protocol::{
    Catalog, Command, Descriptor, Event, ExportReport, ExportRequest, Language, ParamKind, ParamSpec,
    RequestId, Text, UserError, VerifyReport, Wish,
};
use ui::App;
use ui::action::Action;
use ui::panels::{PANELS, StepState};
use ui::state::export::ExportAction;
use ui::testing::{FakeDesktop, FakeEngine};
use ui::{DesktopEvent, DesktopRequest, Purpose};

use crate::chat::finished_run;
use crate::support::{Window, busy, example, learned, ready};

fn catalog() -> Catalog {
    let target =
        |id: &str, name: Text, help: Text| Descriptor { id: id.into(), name, help, params: Vec::new() };
    let targets = vec![
        target(
            "merged",
            Text::fixed("Merged model", "合并后的模型"),
            Text::fixed(
                "A Hugging Face folder with the adapter merged in; tensors nobody changed stay as they are, byte for byte",
                "已合并适配器的 Hugging Face 文件夹；未改动的张量逐字节保持原样",
            ),
        ),
        target(
            "adapter",
            Text::fixed("Adapter", "适配器"),
            Text::fixed("A PEFT folder: small, needs the base model", "PEFT 文件夹：体积小，需配合基础模型"),
        ),
        Descriptor {
            params: vec![dtypes(&["keep", "bf16", "f16", "q8_0", "f32"])],
            ..target(
                "gguf",
                Text::fixed("GGUF", "GGUF"),
                Text::fixed("One file for llama.cpp", "供 llama.cpp 使用的单个文件"),
            )
        },
    ];
    Catalog { targets, ..Catalog::default() }
}

/// How a target can store numbers.
fn dtypes(words: &[&str]) -> ParamSpec {
    let choices: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    ParamSpec {
        key: "dtype".into(),
        name: Text::fixed("Stored as", "存储精度"),
        help: Text::fixed("", ""),
        kind: ParamKind::Choice { default: choices[0].clone(), choices },
        advanced: false,
    }
}

/// The panel with a run's result chosen.
pub fn chosen(window: &Window, engine: &FakeEngine, desktop: &FakeDesktop) -> Harness<'static, App> {
    let mut harness = opened(window, engine, desktop);
    let runs = vec![finished_run()];
    engine.tell(Event::Runs { request: RequestId(900), dir: "/runs".into(), runs });
    let run = Box::new(finished_run());
    push(&mut harness, ExportAction::UseRun { run, checkpoint: None });
    harness
}

fn opened(window: &Window, engine: &FakeEngine, desktop: &FakeDesktop) -> Harness<'static, App> {
    let mut harness = window.open(engine, desktop);
    harness.run();
    if let Event::Ready { device, .. } = ready() {
        engine.tell(Event::Ready { catalog: Box::new(catalog()), device, devices: Vec::new() });
    }
    harness.state().push(Action::Edit(Box::new(example())));
    harness.state().push(Action::Open(PANELS[5].panel_id()));
    harness.run();
    harness
}

fn push(harness: &mut Harness<'static, App>, action: ExportAction) {
    harness.state().push(Action::Export(action));
    harness.run();
}

/// The newest request of each kind: forecast, export.
pub fn forecast(engine: &FakeEngine) -> Option<(RequestId, ExportRequest)> {
    engine.traffic.borrow().commands.iter().rev().find_map(|command| match command {
        Command::ForecastExport { request, export } => Some((*request, export.clone())),
        _ => None,
    })
}

fn export(engine: &FakeEngine) -> Option<(RequestId, ExportRequest)> {
    engine.traffic.borrow().commands.iter().rev().find_map(|command| match command {
        Command::Export { request, export } => Some((*request, export.clone())),
        _ => None,
    })
}

fn size(harness: &mut Harness<'static, App>, engine: &FakeEngine, bytes: u64, free_bytes: u64) {
    let (request, _) = forecast(engine).unwrap();
    engine.tell(Event::ExportForecast { request, bytes, free_bytes });
    harness.run();
}

fn verified(passed: bool, equal: u64) -> VerifyReport {
    VerifyReport {
        rows: 8,
        tokens: 812,
        max_abs_logit_difference: if passed { 1.2e-5 } else { 0.73 },
        mean_abs_logit_difference: 3e-6,
        allowed_difference: 4e-4,
        greedy_equal: equal,
        greedy_total: 8,
        passed,
    }
}

fn done(harness: &mut Harness<'static, App>, engine: &FakeEngine, verify: Option<VerifyReport>) {
    let (request, wanted) = export(engine).unwrap();
    let files = ["config.json", "model.safetensors", "tokenizer.json", "README.md"];
    let report = ExportReport {
        dir: wanted.out,
        files: files.map(String::from).to_vec(),
        bytes: 988 << 20,
        seconds: 14.2,
        merge: None,
        verify,
        notes: Vec::new(),
    };
    engine.tell(Event::Exported { request, report });
    harness.run();
}

fn step(harness: &Harness<'static, App>) -> StepState {
    (PANELS[5].progress)(harness.state().state())
}

#[test]
fn before_anything_is_trained_it_says_so_in_both_languages() {
    for (language, title, button) in [
        (Language::English, "Nothing to export yet", "Go to training"),
        (Language::Chinese, "暂无可导出的内容", "前往训练"),
    ] {
        let window = Window { language, ..Window::default() };
        let mut harness = opened(&window, &learned(), &FakeDesktop::default());
        harness.get_by_label(title);
        harness.get_by_label(button).click();
        harness.run();
        assert!(harness.state().is_open(PANELS[3]));
        assert_eq!(step(&harness), StepState::Open);
    }
}

#[test]
fn the_size_is_asked_whenever_it_changes_and_only_then() {
    let engine = learned();
    let mut harness = chosen(&Window::default(), &engine, &FakeDesktop::default());
    let (_, first) = forecast(&engine).unwrap();
    assert_eq!(first.out, PathBuf::from("/runs/my-assistant-2-merged"));
    assert_eq!(first.model.path, PathBuf::from("/models/qwen2.5-0.5b"));
    assert_eq!(first.model.adapters, [PathBuf::from("/runs/my-assistant-2/adapter")]);
    size(&mut harness, &engine, 777 << 20, 120 << 30);
    harness.get_by_label_contains("777.0 MB");
    harness.get_by_label_contains("120.0 GB free on the disk");
    harness.get_by_role_and_label(Role::Switch, "Check the result").click();
    harness.run();
    let count = || {
        let traffic = engine.traffic.borrow();
        traffic.commands.iter().filter(|command| matches!(command, Command::ForecastExport { .. })).count()
    };
    let before = count();
    harness.run();
    assert_eq!(count(), before, "a check costs no room");
    harness.get_by_label("32-bit").click();
    harness.run();
    let (_, wider) = forecast(&engine).unwrap();
    assert_eq!((wider.dtype.as_str(), wider.verify, count()), ("f32", false, before + 1));
    harness.get_by_role_and_label(Role::RadioButton, "Adapter").click();
    harness.run();
    let (_, adapter) = forecast(&engine).unwrap();
    assert_eq!((adapter.target.0.as_str(), adapter.dtype.as_str()), ("adapter", "keep"));
    assert!(harness.query_by_label("32-bit").is_none(), "an adapter is written as it is");
}

#[test]
fn a_target_offers_the_numbers_it_can_store() {
    let engine = learned();
    let mut harness = chosen(&Window::default(), &engine, &FakeDesktop::default());
    assert!(harness.query_by_label("8-bit").is_none(), "a folder has no such format");
    harness.get_by_role_and_label(Role::RadioButton, "GGUF").click();
    harness.run();
    harness.get_by_label("8-bit").click();
    harness.run();
    let (_, gguf) = forecast(&engine).unwrap();
    assert_eq!((gguf.target.0.as_str(), gguf.dtype.as_str()), ("gguf", "q8_0"));
    assert_eq!(gguf.out, PathBuf::from("/runs/my-assistant-2-gguf-q8_0"));
    harness.get_by_role_and_label(Role::RadioButton, "Merged model").click();
    harness.run();
    harness.run();
    let (_, merged) = forecast(&engine).unwrap();
    assert_eq!((merged.target.0.as_str(), merged.dtype.as_str()), ("merged", "keep"));
}

#[test]
fn what_is_to_know_about_a_result_is_said() {
    let engine = learned();
    let mut harness = chosen(&Window::default(), &engine, &FakeDesktop::default());
    harness.get_by_role_and_label(Role::RadioButton, "GGUF").click();
    harness.run();
    push(&mut harness, ExportAction::Start);
    harness.run();
    let (request, wanted) = export(&engine).unwrap();
    let report = ExportReport {
        dir: wanted.out,
        files: vec!["model-bf16.gguf".into(), "Modelfile".into()],
        bytes: 988 << 20,
        seconds: 14.2,
        merge: None,
        verify: None,
        notes: vec![Text::fixed("The chat template cannot be written for Ollama", "无法写出对话模板")],
    };
    engine.tell(Event::Exported { request, report });
    harness.run();
    harness.get_by_label_contains("cannot be written for Ollama");
    harness.get_by_label("How to run it with Ollama or llama.cpp");
}

#[test]
fn without_room_it_cannot_begin() {
    let engine = learned();
    let mut harness = chosen(&Window::default(), &engine, &FakeDesktop::default());
    size(&mut harness, &engine, 988 << 20, 100 << 20);
    harness.get_by_label_contains("no room");
    harness.get_all_by_role_and_label(Role::Button, "Export").last().unwrap().click();
    harness.run();
    assert!(export(&engine).is_none());
}

fn begin(harness: &mut Harness<'static, App>) {
    harness.get_all_by_role_and_label(Role::Button, "Export").last().unwrap().click();
    harness.run();
}

#[test]
fn a_checked_export_says_what_was_found() {
    let engine = learned();
    let desktop = FakeDesktop::default();
    let mut harness = chosen(&Window::default(), &engine, &desktop);
    size(&mut harness, &engine, 988 << 20, 120 << 30);
    begin(&mut harness);
    let (request, wanted) = export(&engine).unwrap();
    assert!(wanted.verify && wanted.target.0 == "merged" && wanted.shard_bytes == 5 << 30);
    assert_eq!(step(&harness), StepState::Busy);
    let stage = Text::fixed("writing tensors", "写入张量");
    engine.tell(Event::Progress {
        request,
        stage,
        done: 120,
        total: 290,
        unit: protocol::Unit::Count,
        seconds_left: Some(4.0),
    });
    harness.run();
    harness.get_by_label_contains("writing tensors");
    done(&mut harness, &engine, Some(verified(true, 8)));
    assert_eq!(step(&harness), StepState::Done);
    harness.get_by_label("The exported model gives the same answers as the one you tested");
    harness.get_by_label_contains(
        "8 of 8 greedy answers equal · largest logit difference 1.2e-5 (allowed 4e-4)",
    );
    harness.get_by_label("Open the folder").click();
    harness.run();
    let opened = DesktopRequest::Open("/runs/my-assistant-2-merged".into());
    assert!(desktop.requests.borrow().contains(&opened));
    harness.get_by_label("Copy the path").click();
    harness.step();
    let copies = |command: &egui::OutputCommand| matches!(command, egui::OutputCommand::CopyText(text) if text == "/runs/my-assistant-2-merged");
    assert!(harness.output().platform_output.commands.iter().any(copies));
    harness.run();
    harness.get_by_label("Files (4)").click();
    harness.run();
    harness.get_by_label("model.safetensors");
    harness.get_by_label("How to load it in Python").click_accesskit();
    harness.run();
    harness.get_by_label_contains("AutoModelForCausalLM.from_pretrained(\"/runs/my-assistant-2-merged\")");
    let (_, next) = forecast(&engine).unwrap();
    assert_eq!(next.out, PathBuf::from("/runs/my-assistant-2-merged"), "the name alone asks nothing anew");
    harness.get_by_label("Export something else").click();
    harness.run();
    assert!(harness.query_by_label("Open the folder").is_none());
    begin(&mut harness);
    assert_eq!(export(&engine).unwrap().1.out, PathBuf::from("/runs/my-assistant-2-merged-2"));
}

#[test]
fn rounding_that_changes_an_answer_is_not_hidden() {
    let engine = learned();
    let mut harness = chosen(&Window::default(), &engine, &FakeDesktop::default());
    begin(&mut harness);
    done(&mut harness, &engine, Some(verified(true, 7)));
    harness.get_by_label("The exported model is the one you tested, up to rounding");
    harness.get_by_label_contains("7 of 8 greedy answers equal");
}

#[test]
fn a_failed_check_is_a_problem_with_a_mend() {
    let engine = learned();
    let mut harness = chosen(&Window::default(), &engine, &FakeDesktop::default());
    begin(&mut harness);
    done(&mut harness, &engine, Some(verified(false, 2)));
    harness.get_by_label("The exported model is not the one you tested: do not use it");
    harness.get_by_label("Export again with 32-bit numbers; if that differs too, report it");
    assert_eq!(step(&harness), StepState::Problem);
}

#[test]
fn an_error_is_said_once_and_in_full() {
    let engine = learned();
    let mut harness = chosen(&Window::default(), &engine, &FakeDesktop::default());
    begin(&mut harness);
    let (request, _) = export(&engine).unwrap();
    let error = UserError::bad_input(Text::fixed("The folder is not empty", "文件夹不为空"))
        .in_file("/runs/my-assistant-2-merged")
        .mend(Text::fixed("choose another name", "请换一个名称"));
    engine.tell(Event::Failed { request: Some(request), error: Box::new(error) });
    harness.run();
    harness.get_by_label("The export failed; nothing was written");
    harness.get_by_label("The folder is not empty");
    harness.get_by_label_contains("choose another name");
    assert!(harness.state().state().toasts.all.is_empty());
    assert_eq!(step(&harness), StepState::Problem);
    begin(&mut harness);
    assert!(harness.query_by_label("The folder is not empty").is_none());
}

#[test]
fn it_can_be_stopped() {
    let engine = learned();
    let mut harness = chosen(&Window::default(), &engine, &FakeDesktop::default());
    begin(&mut harness);
    harness.get_by_label("Stop the export").click();
    harness.run();
    assert_eq!(engine.traffic.borrow().wishes.last(), Some(&Wish::Stop));
    harness.get_by_label("Stopping…");
    let (request, _) = export(&engine).unwrap();
    let error = UserError::failure(Text::fixed("The export was stopped", "导出已中止"));
    engine.tell(Event::Failed { request: Some(request), error: Box::new(error) });
    harness.run();
    harness.get_by_label("The export was stopped; nothing was written");
    assert_eq!(step(&harness), StepState::Open);
}

#[test]
fn during_a_run_it_waits_and_the_run_is_not_stopped() {
    let engine = busy();
    let mut harness = chosen(&Window::default(), &engine, &FakeDesktop::default());
    harness.get_by_label("A run is under way: an export begins when it ends");
    begin(&mut harness);
    harness.get_by_label_contains("The export waits for the run to end");
    assert!(harness.query_by_label("Stop the export").is_none());
    push(&mut harness, ExportAction::Stop);
    assert!(!engine.traffic.borrow().wishes.contains(&Wish::Stop));
}

#[test]
fn folder_and_name_are_chosen() {
    let engine = learned();
    let desktop = FakeDesktop::default();
    let mut harness = chosen(&Window::default(), &engine, &desktop);
    harness.get_by_role_and_label(Role::Button, "In").click();
    harness.run();
    let start = Some(PathBuf::from("/runs"));
    let picks = DesktopRequest::PickFolder { purpose: Purpose::ExportFolder, start };
    assert!(desktop.requests.borrow().contains(&picks), "{:?}", desktop.requests.borrow());
    let paths = vec![PathBuf::from("/big/disk")];
    desktop.answers.borrow_mut().push(DesktopEvent::Picked { purpose: Purpose::ExportFolder, paths });
    harness.run();
    let name = harness.get_by_role_and_label(Role::TextInput, "Name");
    name.focus();
    harness.run();
    harness.key_press_modifiers(egui::Modifiers::COMMAND, egui::Key::A);
    harness.event(egui::Event::Text("../my/model".into()));
    harness.run();
    begin(&mut harness);
    assert_eq!(export(&engine).unwrap().1.out, PathBuf::from("/big/disk/..mymodel"));
}

#[test]
fn a_full_fine_tune_offers_no_adapter() {
    let engine = learned();
    let mut harness = chosen(&Window::default(), &engine, &FakeDesktop::default());
    harness.get_by_role_and_label(Role::RadioButton, "Adapter").click();
    harness.run();
    let mut run = finished_run();
    run.config.method.kind = "full".into();
    run.result = Some("/runs/my-assistant-2/model".into());
    push(&mut harness, ExportAction::UseRun { run: Box::new(run), checkpoint: None });
    assert!(harness.query_by_role_and_label(Role::RadioButton, "Adapter").is_none());
    begin(&mut harness);
    let (_, wanted) = export(&engine).unwrap();
    assert_eq!((wanted.target.0.as_str(), wanted.model.adapters.len()), ("merged", 0));
    assert_eq!(wanted.model.path, PathBuf::from("/runs/my-assistant-2/model"));
}

#[test]
fn what_is_exported_is_chosen_from_a_menu() {
    let engine = learned();
    let mut harness = opened(&Window::default(), &engine, &FakeDesktop::default());
    let runs = vec![finished_run()];
    engine.tell(Event::Runs { request: RequestId(900), dir: "/runs".into(), runs });
    harness.run();
    harness.get_by_label("Choose a run's result").click();
    harness.run();
    harness.get_by_label("my-assistant-2 · step 900  (best)").click();
    harness.run();
    let (_, wanted) = forecast(&engine).unwrap();
    let adapter = PathBuf::from("/runs/my-assistant-2/checkpoints/step-00000900/adapter");
    assert_eq!(wanted.model.adapters, [adapter]);
    assert_eq!(wanted.out, PathBuf::from("/runs/my-assistant-2-step-900-merged"));
}
