//! The new user's path with the real engine, by the labels that people and screen readers see: from the starter to a
//! merged model on disk, in both languages.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use egui::Key;
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT, Queryable};
use emberwright::server::LocalEngine;
use emberwright::window::starter;
use engine::EngineOptions;
use protocol::{Language, Outcome, Text};
use ui::action::Action;
use ui::command::UiCommand;
use ui::panels::{self, PanelInfo};
use ui::persisted::{Persisted, Preferences};
use ui::state::chat::Side;
use ui::state::train::RunPhase;
use ui::testing::FakeDesktop;
use ui::words;
use ui::{App, DesktopEvent, EngineClient, Services};

/// The machine may be busy with other tests.
const PATIENCE: Duration = Duration::from_secs(400);

pub struct Journey {
    pub harness: Harness<'static, App>,
    language: Language,
    pub home: tempfile::TempDir,
}

impl Journey {
    fn begin(language: Language) -> Self {
        Self::with(language, |engine| Box::new(engine))
    }

    /// `wrap` may listen to what passes between window and engine.
    pub fn with(language: Language, wrap: impl FnOnce(LocalEngine) -> Box<dyn EngineClient>) -> Self {
        Self::on(language, |options, _| wrap(LocalEngine::new(options, Arc::new(|| {}))))
    }

    /// With an engine that is started in this folder.
    pub fn on(
        language: Language,
        engine: impl FnOnce(EngineOptions, &Path) -> Box<dyn EngineClient>,
    ) -> Self {
        let home = tempfile::tempdir().unwrap();
        let paths = starter::unpack(&home.path().join("data")).unwrap();
        let desktop = FakeDesktop::default();
        desktop
            .answers
            .borrow_mut()
            .push(DesktopEvent::Starter { project: paths.project, project_zh: paths.project_zh });
        let options = EngineOptions {
            device: "cpu".into(),
            runs_dir: home.path().join("runs"),
            log_dir: home.path().join("logs"),
        };
        let services = Services {
            engine: engine(options, home.path()),
            desktop: Box::new(desktop),
            system_language: language,
        };
        let persisted = Persisted {
            preferences: Preferences { language: Some(language), ..Preferences::default() },
            ..Persisted::default()
        };
        let harness = Harness::builder()
            .with_size([1280.0, 800.0])
            .build_eframe(move |cc| App::new(&cc.egui_ctx, persisted, services));
        Self { harness, language, home }
    }

    fn t(&self, text: &'static Text) -> &'static str {
        text.get(self.language)
    }

    /// Draws until something holds; the engine works meanwhile.
    #[track_caller]
    pub fn until(&mut self, what: &str, holds: impl FnMut(&Harness<'static, App>) -> bool) {
        self.until_within(what, Duration::from_millis(20), holds);
    }

    /// Looks again every `pause`.
    #[track_caller]
    pub fn until_within(
        &mut self,
        what: &str,
        pause: Duration,
        mut holds: impl FnMut(&Harness<'static, App>) -> bool,
    ) {
        let began = Instant::now();
        while !holds(&self.harness) {
            assert!(
                began.elapsed() < PATIENCE,
                "waited in vain for {what}: {:?}",
                self.harness.state().state().toasts
            );
            std::thread::sleep(pause);
            self.harness.step();
        }
        self.harness.run_steps(3);
    }

    #[track_caller]
    fn click(&mut self, label: &str) {
        let exact = |node: &egui_kittest::Node<'_>| !node.accesskit_node().is_disabled();
        let node = self.harness.query_all_by_label(label).rfind(exact);
        node.unwrap_or_else(|| panic!("nothing to click is called {label}")).click();
        self.harness.run_steps(4);
    }

    pub fn open(&mut self, panel: &PanelInfo) {
        self.harness.state().push(Action::Open(panel.panel_id()));
        self.harness.run_steps(4);
        assert!(self.harness.state().is_open(panel));
    }

    fn runs(&self) -> PathBuf {
        self.home.path().join("runs")
    }
}

fn state(harness: &Harness<'static, App>) -> &'static str {
    match harness.state().state().train.phase {
        RunPhase::Ended => "ended",
        RunPhase::Training => "training",
        _ => "other",
    }
}

/// The folder below `dir` that holds `name`.
fn folder_with(dir: &Path, name: &str) -> Option<PathBuf> {
    let entries: Vec<_> = std::fs::read_dir(dir).ok()?.flatten().map(|entry| entry.path()).collect();
    if entries.iter().any(|path| path.ends_with(name)) {
        return Some(dir.to_path_buf());
    }
    entries.iter().filter(|path| path.is_dir()).find_map(|path| folder_with(path, name))
}

/// Every step of the way, as somebody does it who has never seen the program.
pub fn travel(mut journey: Journey, question: &str) -> Journey {
    let start = journey.t(&words::frame::START);
    journey.until("the starter", |harness| {
        let state = harness.state().state();
        state.model.value.is_some() && state.data.verdict.value.is_some() && state.estimate.value.is_some()
    });
    journey.until("the start button", |harness| harness.query_by_label(start).is_some());
    shortened(&mut journey);
    journey.click(start);
    journey.until("the run's end", |harness| state(harness) == "ended");
    let train = &journey.harness.state().state().train;
    assert!(matches!(train.outcome, Some(Outcome::Finished { .. })), "{:?}", train.outcome);
    let losses: Vec<f64> = train.history.steps.iter().map(|step| step.loss).collect();
    assert!(losses[losses.len() - 1] < losses[0] * 0.8, "the loss falls: {losses:?}");
    journey.harness.get_by_label(journey.t(&words::train::FINISHED));
    talk(&mut journey, question);
    export(&mut journey);
    journey
}

/// Forty steps show the same as two hundred.
fn shortened(journey: &mut Journey) {
    let mut config = journey.harness.state().state().project.config.clone();
    config.train.max_steps = 40;
    config.train.eval_every = 20;
    journey.harness.state().push(Action::Edit(Box::new(config)));
    journey.until("the shorter run's verdict", |harness| {
        harness.state().state().data.verdict.value.as_ref().is_some_and(|verdict| verdict.steps == 40)
    });
}

fn talk(journey: &mut Journey, question: &str) {
    journey.open(&panels::chat::PANEL);
    let message = journey.t(&words::chat::MESSAGE);
    journey.harness.get_by_label(message).focus();
    journey.harness.run_steps(2);
    journey.harness.get_by_label(message).type_text(question);
    journey.harness.run_steps(2);
    journey.harness.key_press(Key::Enter);
    journey.harness.run_steps(2);
    journey.until("both answers", |harness| {
        let conversation = &harness.state().state().chat.conversation;
        !conversation.turns.is_empty() && !conversation.is_busy()
    });
    let turn = &journey.harness.state().state().chat.conversation.turns[0];
    let said = |side| turn.answer(side).and_then(|answer| answer.said()).map(str::to_owned);
    let (base, tuned) = (said(Side::Base).unwrap(), said(Side::Tuned).unwrap());
    assert_eq!(turn.user, question);
    assert_ne!(base, tuned, "the tuned model answers differently");
}

fn export(journey: &mut Journey) {
    journey.open(&panels::export::PANEL);
    let merged =
        journey.harness.state().state().engine.catalog.targets.iter().find(|target| target.id == "merged");
    let merged = merged.unwrap().name.get(journey.language).to_owned();
    journey.click(&merged);
    let export = journey.t(&words::export::EXPORT);
    journey.until("the forecast", |harness| {
        harness.query_all_by_label(export).any(|node| !node.accesskit_node().is_disabled())
    });
    journey.click(export);
    let (done, failed) = (journey.t(&words::export::DONE), journey.t(&words::export::FAILED));
    journey.until("the export", |harness| {
        assert!(harness.query_by_label_contains(failed).is_none(), "the export failed");
        harness.query_by_label_contains(done).is_some()
    });
    let folder = folder_with(&journey.runs(), "config.json").expect("a merged model lies on the disk");
    assert!(
        folder.join("model.safetensors").is_file() && folder.join("tokenizer.json").is_file(),
        "{folder:?}"
    );
    assert!(journey.harness.query_by_label_contains(journey.t(&words::export::SAME)).is_some());
}

#[test]
fn a_new_user_reaches_a_merged_model() {
    travel(Journey::begin(Language::English), "Who are you?");
}

#[test]
fn a_new_user_reaches_a_merged_model_in_chinese() {
    travel(Journey::begin(Language::Chinese), "你是谁？");
}

#[test]
fn the_palette_does_what_it_says_with_the_real_engine() {
    let mut journey = Journey::begin(Language::English);
    journey.until("the starter", |harness| harness.state().state().model.value.is_some());
    journey.harness.state().push(Action::Command(UiCommand::ToggleLanguage));
    journey.harness.run_steps(3);
    journey.harness.get_by_label(words::frame::START.get(Language::Chinese));
}
