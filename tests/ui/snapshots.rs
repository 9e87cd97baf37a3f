//! A picture of every panel, in both themes, both languages and two scales, with what the real engine said on the new
//! user's path (tests/fixtures/window/session.jsonl, written by tests/window/record.rs).
//!
//! `UPDATE_SNAPSHOTS=1 cargo test --release --workspace --test ui snapshots` renews them.

use std::rc::Rc;

use egui_kittest::{Harness, SnapshotOptions, SnapshotResults};
use protocol::{Command, Event, Language, RequestId, RunEvent};
use ui::App;
use ui::DesktopEvent;
use ui::action::Action;
use ui::panels::{PANELS, PanelInfo};
use ui::testing::{FakeDesktop, FakeEngine};

use crate::support::Window;

/// What the engine said, in order.
struct Session {
    events: Vec<Event>,
}

impl Session {
    fn read() -> Self {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/window/session.jsonl");
        let text = std::fs::read_to_string(file).unwrap();
        Self { events: text.lines().map(|line| serde_json::from_str(line).unwrap()).collect() }
    }

    /// The last event that `pick` likes, as an answer to `request`.
    fn last(&self, request: RequestId, pick: impl Fn(&Event) -> bool) -> Vec<Event> {
        let mut found = self.events.iter().rev().find(|event| pick(event)).cloned();
        if let Some(place) = found.as_mut().and_then(Event::request_mut) {
            *place = request;
        }
        found.into_iter().collect()
    }

    fn answer(&self, command: &Command) -> Vec<Event> {
        match command {
            Command::Inspect { request, .. } => {
                self.last(*request, |event| matches!(event, Event::Inspected { .. }))
            }
            Command::Preview { request, .. } => {
                self.last(*request, |event| matches!(event, Event::Preview { .. }))
            }
            Command::Check { request, .. } => {
                self.last(*request, |event| matches!(event, Event::Checked { .. }))
            }
            Command::Estimate { request, config, .. } => {
                let full = config.method.kind == "full";
                let fits = |event: &Event| matches!(event, Event::Estimated { estimate, .. } if (estimate.trainable == estimate.parameters) == full);
                self.last(*request, fits)
            }
            Command::ListRuns { request, .. } => {
                self.last(*request, |event| matches!(event, Event::Runs { .. }))
            }
            Command::ReadProject { request, .. } => {
                self.last(*request, |event| matches!(event, Event::ProjectRead { .. }))
            }
            Command::ForecastExport { request, .. } => {
                self.last(*request, |event| matches!(event, Event::ExportForecast { .. }))
            }
            Command::Generate { request, generate } => self.spoken(*request, generate.adapter.is_some()),
            _ => Vec::new(),
        }
    }

    /// What was said: by the base first, then by the tuned model.
    fn spoken(&self, request: RequestId, tuned: bool) -> Vec<Event> {
        let said = self.events.iter().filter(|event| matches!(event, Event::Generated { .. }));
        let mut said = said;
        let mut answer = said.nth(usize::from(tuned)).cloned();
        if let Some(place) = answer.as_mut().and_then(Event::request_mut) {
            *place = request;
        }
        answer.into_iter().collect()
    }

    /// The run up to its end, or up to a step.
    fn run(&self, until: u64) -> impl Iterator<Item = Event> + '_ {
        let at = move |event: &Event| match event {
            Event::Run { update: RunEvent::Stepped { steps, .. }, .. } => {
                steps.last().is_some_and(|step| step.step > until)
            }
            _ => false,
        };
        let of_run = |event: &&Event| matches!(event, Event::Run { .. } | Event::Device { .. });
        self.events.iter().take_while(move |event| !at(event)).filter(of_run).cloned()
    }
}

#[test]
fn every_panel_in_both_themes_languages_and_scales() {
    let mut results = SnapshotResults::new();
    for dark in [true, false] {
        for language in [Language::English, Language::Chinese] {
            for scale in [1.0, 2.0] {
                let window = Window { dark, language, scale, ..Window::default() };
                pictures(&window, &mut results);
            }
        }
    }
}

/// The whole way up to the middle of the run; chat and export as they are after it.
fn pictures(window: &Window, results: &mut SnapshotResults) {
    let mut harness = open(window, MIDDLE);
    for info in PANELS.iter().filter(|info| !AFTER.contains(&info.id)) {
        picture(&mut harness, window, info, results);
    }
    let mut harness = open(window, u64::MAX);
    for info in PANELS.iter().filter(|info| AFTER.contains(&info.id)) {
        if info.id == "chat" {
            ask(&mut harness);
        }
        picture(&mut harness, window, info, results);
    }
}

/// A step in the middle of the recorded run.
const MIDDLE: u64 = 30;
/// Panels that show something once the run has ended.
const AFTER: [&str; 3] = ["chat", "export", "runs"];
/// Lines of text differ by a pixel here and there from one version of Mesa to another.
const FAILED_PIXELS: usize = 400;

fn picture(
    harness: &mut Harness<'static, App>,
    window: &Window,
    info: &PanelInfo,
    results: &mut SnapshotResults,
) {
    harness.state().push(Action::Open(info.panel_id()));
    harness.run_steps(8);
    results.add(harness.try_snapshot_options(name(info, window), &options()));
}

/// Where pictures lie, and how much they may differ.
pub fn options() -> SnapshotOptions {
    SnapshotOptions::new()
        .output_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/ui/snapshots"))
        .max_failed_pixels(FAILED_PIXELS)
}

/// `data-dark-zh-2x`
fn name(info: &PanelInfo, window: &Window) -> String {
    let theme = if window.dark { "dark" } else { "light" };
    let language = if window.language == Language::Chinese { "zh" } else { "en" };
    format!("{}-{theme}-{language}-{}x", info.id, window.scale)
}

/// The window with the starter open and the run told up to a step.
fn open(window: &Window, until: u64) -> Harness<'static, App> {
    let session = Rc::new(Session::read());
    let answers = session.clone();
    let engine = FakeEngine::new(move |command| answers.answer(command));
    let desktop = FakeDesktop::default();
    let project = std::path::PathBuf::from("/home/ada/data/starter/starter.toml");
    desktop
        .answers
        .borrow_mut()
        .push(DesktopEvent::Starter { project: project.clone(), project_zh: project });
    let mut harness = window.open(&engine, &desktop);
    let ready = session.events.iter().find(|event| matches!(event, Event::Ready { .. }));
    engine.tell(ready.cloned().unwrap());
    harness.run_steps(4);
    // Past the time that a check waits after a change.
    harness.state_mut().set_clock(10.0);
    harness.run_steps(6);
    for event in session.run(until) {
        engine.tell(event);
    }
    harness.run_steps(4);
    // Toasts have gone.
    harness.state_mut().set_clock(60.0);
    harness.run_steps(4);
    harness
}

/// What was asked in the recorded session, answered as it was.
fn ask(harness: &mut Harness<'static, App>) {
    use ui::state::chat::ChatAction;
    harness.state().push(Action::Chat(ChatAction::Send("Who are you?".into())));
    harness.run_steps(10);
}
