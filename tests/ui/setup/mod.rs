//! The panels Model, Method and Settings.

#![expect(clippy::unwrap_used, reason = "helpers of tests may fail as tests do")]

mod budget;
mod devices;
mod fixture;
mod method;
mod model;
mod settings;
mod vocabulary;

use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;
use protocol::config::RunConfig;
use ui::App;
use ui::action::Action;
use ui::panels::PanelInfo;
use ui::testing::{FakeDesktop, FakeEngine};

use crate::support::Window;

/// The window on a project with a model, at a panel.
pub struct Setup {
    pub harness: Harness<'static, App>,
    pub engine: FakeEngine,
    pub desktop: FakeDesktop,
    now: f64,
}

impl Setup {
    pub fn new(window: &Window, engine: FakeEngine, panel: &PanelInfo, config: Option<RunConfig>) -> Self {
        let desktop = FakeDesktop::default();
        let harness = window.open(&engine, &desktop);
        engine.tell(fixture::ready(None));
        let mut setup = Self { harness, engine, desktop, now: 0.0 };
        setup.harness.run();
        if let Some(config) = config {
            setup.harness.state().push(Action::Edit(Box::new(config)));
        }
        setup.harness.state().push(Action::Open(panel.panel_id()));
        setup.settle();
        setup
    }

    /// Lets the window's clock run on until everything was asked and answered.
    pub fn settle(&mut self) {
        for _ in 0..4 {
            self.harness.run();
            self.now += 1.0;
            self.harness.state_mut().set_clock(self.now);
        }
        self.harness.run();
    }

    pub fn click(&mut self, label: &str) {
        // A name is often beside its widget, too: the widget comes first.
        self.harness.get_all_by_label(label).next().unwrap().click();
        self.settle();
    }

    /// Types into the field of that name, in place of what is there, and leaves it.
    pub fn write(&mut self, label: &str, text: &str) {
        self.harness.get_by_label(label).focus();
        self.harness.run();
        self.harness.key_press_modifiers(egui::Modifiers::COMMAND, egui::Key::A);
        self.harness.event(egui::Event::Text(text.into()));
        self.harness.run();
        self.harness.key_press(egui::Key::Enter);
        self.settle();
    }

    pub fn config(&self) -> &RunConfig {
        &self.harness.state().state().project.config
    }

    pub fn shows(&self, text: &str) -> bool {
        self.harness.query_all_by_label_contains(text).next().is_some()
    }
}

/// A project with a model and nothing else.
pub fn with_model() -> RunConfig {
    let mut config = RunConfig::default();
    config.model.path = "/models/Qwen2.5-0.5B-Instruct".into();
    config
}
