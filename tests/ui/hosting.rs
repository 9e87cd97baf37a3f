//! Where the engine runs: the choice, the line to it, what is done when it dies, and the files of another machine.

use egui::Role;
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;
use protocol::{
    Command, EntryKind, Event, FolderEntry, FolderPlace, FolderReport, Language, RunCommand, RunReport,
    RunState, Text, UserError,
};
use ui::action::Action;
use ui::desktop::{DesktopRequest, Purpose};
use ui::hosting::{HostKind, Hosting};
use ui::panels::settings;
use ui::persisted::Preferences;
use ui::testing::{FakeDesktop, FakeEngine};
use ui::{App, LinkState};

use crate::support::{Window, busy, learned, ready, silent};

fn far() -> Hosting {
    Hosting { kind: HostKind::Ssh, host: "ada@gpu-1".into(), program: String::new() }
}

/// What is scrolled away cannot be clicked.
fn tall() -> Window {
    Window { size: [1280.0, 1500.0], ..Window::default() }
}

/// A window whose engine runs on another machine.
pub fn on_another_machine(
    window: &Window,
    engine: &FakeEngine,
    desktop: &FakeDesktop,
) -> Harness<'static, App> {
    let mut harness = window.open(engine, desktop);
    harness.run_steps(4);
    let preferences = Preferences { hosting: far(), ..harness.state().state().preferences.clone() };
    push(&mut harness, Action::Preferences(Box::new(preferences)));
    harness
}

fn push(harness: &mut Harness<'static, App>, action: Action) {
    harness.state().push(action);
    harness.run_steps(4);
}

pub fn lost() -> LinkState {
    let error =
        UserError::failure(Text::fixed("The connection to ada@gpu-1 was lost", "与 ada@gpu-1 的连接已断开"))
            .detail("client_loop: send disconnect: Broken pipe");
    LinkState::Lost { error: Box::new(error), seconds: 8 }
}

/// The panel with another machine chosen, not used yet.
pub fn chosen(window: &Window) -> (Harness<'static, App>, FakeEngine) {
    let engine = silent();
    let mut harness = window.open(&engine, &FakeDesktop::default());
    push(&mut harness, Action::Open(settings::PANEL.panel_id()));
    let ssh = ui::words::hosting::SSH.get(window.language);
    harness.get_by_label(ssh).click();
    harness.run_steps(4);
    (harness, engine)
}

#[test]
fn another_machine_is_chosen_in_settings_and_used_when_its_name_is_one() {
    let (mut harness, engine) = chosen(&tall());
    harness.get_by_label("Name the other machine");
    harness.get_by_label("Use this engine").click();
    harness.run_steps(2);
    assert!(engine.traffic.borrow().hosted.is_empty(), "there is no name yet");
    harness.get_by_role_and_label(Role::TextInput, "Machine").focus();
    harness.run_steps(2);
    harness.event(egui::Event::Text("-oProxyCommand=x".into()));
    harness.run_steps(2);
    assert!(harness.query_by_label_contains("A machine's name has no").is_some());
    assert!(engine.traffic.borrow().hosted.is_empty());
}

#[test]
fn going_over_forgets_what_the_other_engine_told() {
    let engine = learned();
    let mut harness = Window::default().open(&engine, &FakeDesktop::default());
    harness.run_steps(4);
    push(&mut harness, Action::Host { hosting: far(), keep_running: true });
    assert_eq!(engine.traffic.borrow().hosted, [(far(), true)]);
    let state = harness.state().state();
    assert_eq!(state.preferences.hosting, far());
    assert!(state.engine.device.is_none() && state.runs.dir.is_none());
    // Never with a name that is none.
    let hostile = Hosting { host: "-oX".into(), ..far() };
    push(&mut harness, Action::Host { hosting: hostile, keep_running: true });
    assert_eq!(engine.traffic.borrow().hosted.len(), 1);
}

#[test]
fn during_a_run_going_over_asks_what_becomes_of_it() {
    let engine = busy();
    let mut harness = tall().open(&engine, &FakeDesktop::default());
    harness.run_steps(4);
    push(&mut harness, Action::Open(settings::PANEL.panel_id()));
    harness.get_by_label("In this window").click();
    harness.run_steps(4);
    harness.get_by_label("Use this engine").click();
    harness.run_steps(4);
    assert!(engine.traffic.borrow().hosted.is_empty());
    harness.get_by_label("Keep training there").click();
    harness.run_steps(4);
    let thread = Hosting { kind: HostKind::Thread, ..Hosting::default() };
    assert_eq!(engine.traffic.borrow().hosted, [(thread, true)]);
    assert!(!harness.state().state().train.is_active());
}

#[test]
fn the_line_says_when_it_is_silent_broken_and_found_again() {
    let engine = busy();
    let mut harness = on_another_machine(&Window::default(), &engine, &FakeDesktop::default());
    let mut link = |state: LinkState| {
        engine.traffic.borrow_mut().link = state;
        harness.run_steps(4);
        let has = |text: &str| harness.query_all_by_label_contains(text).next().is_some();
        (has("No word from the engine for 12 s"), has("again in 8 s"), has("Connected to ada@gpu-1 again"))
    };
    assert_eq!(link(LinkState::Silent { seconds: 12 }), (true, false, false));
    assert_eq!(link(LinkState::Attached), (false, false, false));
    assert_eq!(link(lost()), (false, true, false));
    assert_eq!(link(LinkState::Connecting { said: None }), (false, false, false));
    assert_eq!(link(lost()), (false, true, false));
    assert_eq!(link(LinkState::Attached), (false, false, true));
    assert!(harness.state().state().train.is_active(), "the run is not given up");
    let broken = harness.state().state().toasts.all.iter().filter(|shown| shown.toast.error.is_some());
    assert_eq!(broken.count(), 1, "said once");
    // What happened meanwhile is read from the run's folder.
    engine.tell(ready());
    harness.run_steps(4);
    let traffic = engine.traffic.borrow();
    let reads = |command: &&Command| matches!(command, Command::ReadRun { dir, .. } if dir.ends_with("my-assistant-3"));
    assert!(traffic.commands.iter().rfind(reads).is_some());
}

/// The engine is dead, and said so.
fn dies(engine: &FakeEngine, harness: &mut Harness<'static, App>) {
    let error =
        UserError::failure(Text::fixed("The engine's process has ended unexpectedly", "引擎进程意外退出"));
    engine.tell(Event::Failed { request: None, error: Box::new(error) });
    engine.tell(Event::Stopped);
    engine.traffic.borrow_mut().link = LinkState::Ended;
    harness.run_steps(4);
}

fn rises(engine: &FakeEngine, harness: &mut Harness<'static, App>) {
    engine.traffic.borrow_mut().link = LinkState::Attached;
    engine.tell(ready());
    harness.run_steps(4);
}

/// The folder of the run says this when it is asked for the last time.
fn reports(engine: &FakeEngine, harness: &mut Harness<'static, App>, state: RunState) {
    let asked = engine.traffic.borrow().commands.iter().rev().find_map(|command| match command {
        Command::ReadRun { request, dir } => Some((*request, dir.clone())),
        _ => None,
    });
    let (request, dir) = asked.unwrap();
    let report = RunReport { dir: dir.clone(), ..crate::runs::report(3, state) };
    let (steps, evals, samples, report) = (Vec::new(), Vec::new(), Vec::new(), Some(Box::new(report)));
    engine.tell(Event::RunRead { request, dir, steps, evals, samples, report });
    harness.run_steps(6);
}

fn resumed(engine: &FakeEngine) -> usize {
    let commands = &engine.traffic.borrow().commands;
    commands.iter().filter(|command| matches!(command, Command::Run(RunCommand::Resume { .. }))).count()
}

#[test]
fn an_engine_that_died_is_started_again_and_its_run_goes_on() {
    let engine = busy();
    let mut harness = Window::default().open(&engine, &FakeDesktop::default());
    harness.run_steps(4);
    dies(&engine, &mut harness);
    assert_eq!(engine.traffic.borrow().restarts, 1);
    harness.get_by_label("The engine has died and is started again");
    rises(&engine, &mut harness);
    assert_eq!(resumed(&engine), 0, "its folder is looked into first");
    reports(&engine, &mut harness, RunState::Unfinished);
    assert_eq!(resumed(&engine), 1);
    harness.get_by_label("assistant-3 goes on from its checkpoint at step 200");
}

#[test]
fn what_kills_the_engine_again_and_again_is_not_repeated_for_ever() {
    let engine = busy();
    let mut harness = Window::default().open(&engine, &FakeDesktop::default());
    harness.run_steps(4);
    for _ in 0..5 {
        dies(&engine, &mut harness);
        rises(&engine, &mut harness);
    }
    assert_eq!(engine.traffic.borrow().restarts, 3);
    assert_eq!(
        harness.query_all_by_label_contains("not started any more by itself").count(),
        2,
        "at the top and at once"
    );
}

#[test]
fn a_run_without_a_checkpoint_and_one_that_finished_are_left() {
    for (state, told) in [(RunState::Empty, "had no checkpoint yet"), (RunState::Finished, "had finished")] {
        let engine = busy();
        let mut harness = Window::default().open(&engine, &FakeDesktop::default());
        harness.run_steps(4);
        dies(&engine, &mut harness);
        rises(&engine, &mut harness);
        reports(&engine, &mut harness, state);
        assert_eq!(resumed(&engine), 0);
        harness.get_by_label_contains(told);
    }
}

/// A run in the window's own process cannot outlive it, and nobody is told that it could.
#[test]
fn closing_offers_no_run_without_the_window_where_there_can_be_none() {
    let engine = busy();
    let mut harness = Window::default().open(&engine, &FakeDesktop::default());
    harness.run_steps(4);
    let hosting = Hosting { kind: HostKind::Thread, ..Hosting::default() };
    let preferences = Preferences { hosting, ..harness.state().state().preferences.clone() };
    push(&mut harness, Action::Preferences(Box::new(preferences)));
    let root = egui::ViewportId::ROOT;
    harness.input_mut().viewports.entry(root).or_default().events.push(egui::ViewportEvent::Close);
    harness.run_steps(3);
    harness.get_by_label("Save and stop");
    assert!(harness.query_by_label("Keep training in the background").is_none());
}

/// A folder of the other machine.
fn folder() -> FolderReport {
    let entry = |name: &str, kind, bytes| FolderEntry { name: name.into(), kind, bytes, modified: None };
    let place = |en, zh, dir: &str| FolderPlace { name: Text::fixed(en, zh), dir: dir.into() };
    FolderReport {
        dir: "/home/ada".into(),
        parent: Some("/home".into()),
        entries: vec![
            entry("data", EntryKind::Folder, 0),
            entry("llama-3.2-1b", EntryKind::ModelFolder, 0),
            entry("my-adapter", EntryKind::AdapterFolder, 0),
            entry("notes.bin", EntryKind::File, 12 << 20),
            entry("train.jsonl", EntryKind::File, 3 << 20),
        ],
        left_out: 1_204,
        places: vec![place("Home", "主目录", "/home/ada"), place("/", "/", "/")],
    }
}

/// An engine that tells its folder.
fn telling() -> FakeEngine {
    FakeEngine::new(|command| match command {
        Command::ListFolder { request, .. } => {
            vec![Event::Folder { request: *request, report: Box::new(folder()) }]
        }
        _ => Vec::new(),
    })
}

pub fn browsing(window: &Window) -> (Harness<'static, App>, FakeEngine, FakeDesktop) {
    let (engine, desktop) = (telling(), FakeDesktop::default());
    let mut harness = on_another_machine(window, &engine, &desktop);
    let request = DesktopRequest::PickFolder { purpose: Purpose::Model, start: None };
    push(&mut harness, Action::Desktop(request));
    harness.run_steps(4);
    (harness, engine, desktop)
}

#[test]
fn files_of_another_machine_are_picked_in_a_dialog_of_our_own() {
    let (mut harness, engine, desktop) = browsing(&Window::default());
    assert!(desktop.requests.borrow().is_empty(), "the system's dialog shows other files");
    harness.get_by_label("Files on ada@gpu-1");
    harness.get_by_role_and_label(Role::ListItem, "llama-3.2-1b").click();
    harness.run_steps(4);
    harness.get_by_label("Choose").click();
    harness.run_steps(4);
    let state = harness.state().state();
    assert!(state.browse.is_none());
    assert_eq!(state.project.config.model.path, std::path::PathBuf::from("/home/ada/llama-3.2-1b"));

    let extensions = vec!["jsonl".into()];
    let request = DesktopRequest::PickFiles { purpose: Purpose::TrainFiles, extensions, many: true };
    push(&mut harness, Action::Desktop(request));
    harness.run_steps(4);
    assert!(harness.query_by_label("notes.bin").is_none(), "no data");
    harness.get_by_role_and_label(Role::ListItem, "data").click();
    harness.run_steps(4);
    let asked = engine.traffic.borrow().commands.iter().rev().find_map(|command| match command {
        Command::ListFolder { dir, .. } => Some(dir.clone()),
        _ => None,
    });
    assert_eq!(asked, Some(Some("/home/ada/data".into())), "a folder is gone into");
    harness.key_press(egui::Key::Escape);
    harness.run_steps(4);
    assert!(harness.state().state().browse.is_none());
}

#[test]
fn what_is_dropped_or_opened_says_where_it_lies() {
    let (engine, desktop) = (silent(), FakeDesktop::default());
    let mut harness = on_another_machine(&Window::default(), &engine, &desktop);
    push(&mut harness, Action::Desktop(DesktopRequest::Classify(vec!["/here/a.jsonl".into()])));
    harness.get_by_label_contains("a file of this machine cannot be used there");
    push(&mut harness, Action::Desktop(DesktopRequest::Open("/runs/a".into())));
    harness.get_by_label("/runs/a lies on ada@gpu-1");
    assert!(desktop.requests.borrow().is_empty());
    push(&mut harness, Action::Desktop(DesktopRequest::Open("https://example.org".into())));
    assert_eq!(desktop.requests.borrow().len(), 1, "pages open here");
}

#[test]
fn the_choice_outlives_the_window() {
    let (engine, desktop) = (silent(), FakeDesktop::default());
    let harness =
        on_another_machine(&Window { language: Language::Chinese, ..Window::default() }, &engine, &desktop);
    let kept = serde_json::to_string(&harness.state().persist()).unwrap();
    let read: ui::persisted::Persisted = serde_json::from_str(&kept).unwrap();
    assert_eq!(read.preferences.hosting, far());
    // A file of an earlier version has none.
    let older: ui::persisted::Preferences = serde_json::from_str("{}").unwrap();
    assert_eq!(older.hosting.kind, HostKind::Process);
}
