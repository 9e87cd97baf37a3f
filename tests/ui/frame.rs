//! Navigation, bars, summary, palette, questions.

use egui::{Key, Modifiers};
use egui_kittest::kittest::Queryable;
use protocol::{Command, Language, RunCommand, Text, UserError, Wish};
use ui::action::Action;
use ui::command::UiCommand;
use ui::panels::PANELS;
use ui::testing::FakeDesktop;
use ui::{DesktopRequest, Purpose};

use crate::support::{Window, busy, example, learned, silent};

#[test]
fn every_panel_opens_from_the_navigation_in_both_languages() {
    for language in [Language::English, Language::Chinese] {
        let window = Window { language, ..Window::default() };
        let mut harness = window.open(&silent(), &FakeDesktop::default());
        harness.run();
        for info in PANELS {
            harness.get_all_by_label(info.name.get(language)).next().unwrap().click();
            harness.run();
            assert!(harness.state().is_open(info), "{} opens", info.id);
        }
    }
}

#[test]
fn the_palette_finds_a_command_by_letters_of_either_language() {
    let desktop = FakeDesktop::default();
    let mut harness = Window::default().open(&silent(), &desktop);
    harness.run();
    harness.key_press_modifiers(Modifiers::COMMAND, Key::P);
    harness.run();
    harness.event(egui::Event::Text("打开项目".into()));
    harness.run();
    harness.key_press(Key::Enter);
    harness.run();
    let asked = desktop.requests.borrow();
    let opens = |request: &DesktopRequest| {
        matches!(request, DesktopRequest::PickFiles { purpose: Purpose::OpenProject, .. })
    };
    assert!(asked.iter().any(opens), "{asked:?}");
}

#[test]
fn the_big_button_says_why_it_cannot_and_leads_to_the_mend() {
    let mut harness = Window::default().open(&silent(), &FakeDesktop::default());
    harness.run();
    harness.get_by_label("Choose a model first");
    harness.push_and_run(Action::Open(PANELS[4].panel_id()));
    harness.get_by_label("Look").click();
    harness.run();
    assert!(harness.state().is_open(PANELS[0]));
}

trait Push {
    fn push_and_run(&mut self, action: Action);
}

impl Push for egui_kittest::Harness<'_, ui::App> {
    fn push_and_run(&mut self, action: Action) {
        self.state().push(action);
        self.run();
    }
}

#[test]
fn the_big_button_starts_what_the_settings_say() {
    let engine = learned();
    let mut harness = Window::default().open(&engine, &FakeDesktop::default());
    harness.run();
    harness.push_and_run(Action::Edit(Box::new(example())));
    harness.state_mut().set_clock(5.0);
    harness.run();
    harness.get_by_label("Start training").click();
    harness.run();
    let traffic = engine.traffic.borrow();
    let started = traffic.commands.iter().find_map(|command| match command {
        Command::Run(RunCommand::Start { config, out, source, .. }) => Some((config, out, source)),
        _ => None,
    });
    let (config, out, source) = started.unwrap();
    assert_eq!(**config, example());
    assert!(out.starts_with("/runs"));
    assert_eq!(protocol::config::parse_run_file(source, out).unwrap(), example());
}

#[test]
fn settings_are_undone_and_redone_by_keys() {
    let mut harness = Window::default().open(&learned(), &FakeDesktop::default());
    harness.run();
    harness.push_and_run(Action::Edit(Box::new(example())));
    harness.key_press_modifiers(Modifiers::COMMAND, Key::Z);
    harness.run();
    assert_eq!(harness.state().state().project.config, protocol::RunConfig::default());
    harness.key_press_modifiers(Modifiers::COMMAND | Modifiers::SHIFT, Key::Z);
    harness.run();
    assert_eq!(harness.state().state().project.config, example());
}

#[test]
fn language_and_theme_change_at_once() {
    let mut harness = Window::default().open(&silent(), &FakeDesktop::default());
    harness.run();
    harness.get_by_label("中文").click();
    harness.run();
    harness.get_by_label("开始训练");
    harness.get_by_label("EN").click();
    harness.run();
    harness.get_by_label("Start training");
    assert_eq!(harness.ctx.theme(), egui::Theme::Dark);
    harness.push_and_run(Action::Command(UiCommand::ToggleTheme));
    harness.run();
    assert_eq!(harness.ctx.theme(), egui::Theme::Light);
}

#[test]
fn a_run_can_be_paused_and_stopped_from_the_summary() {
    let engine = busy();
    let mut harness = Window::default().open(&engine, &FakeDesktop::default());
    harness.run_steps(4);
    harness.get_by_label("Pause").click();
    harness.run_steps(4);
    assert!(engine.traffic.borrow().wishes.contains(&Wish::Pause));
    harness.get_by_label("Pausing…");
}

#[test]
fn an_error_without_a_request_is_a_toast_with_its_mend() {
    let engine = silent();
    let mut harness = Window::default().open(&engine, &FakeDesktop::default());
    let error = UserError::failure(Text::fixed("The disk is full", "磁盘已满"))
        .mend(Text::fixed("free some space", "请释放空间"))
        .in_file("/runs/a");
    engine.tell(protocol::Event::Failed { request: None, error: Box::new(error) });
    harness.run();
    harness.get_by_label("The disk is full");
    harness.get_by_label_contains("free some space");
    harness.get_by_label("Close").click();
    harness.run();
    assert!(harness.query_by_label("The disk is full").is_none());
}

#[test]
fn an_engine_that_ended_is_restarted_by_the_button_that_says_so() {
    let engine = silent();
    let mut harness = Window::default().open(&engine, &FakeDesktop::default());
    harness.run();
    engine.tell(protocol::Event::Stopped);
    harness.run();
    harness.get_by_label("Restart the engine").click();
    harness.run();
    assert_eq!(engine.traffic.borrow().restarts, 1);
}

/// Closing the window during a run asks; the answer reaches the engine.
#[test]
fn closing_during_a_run_asks_what_becomes_of_it() {
    for (label, keeps) in [("Keep training in the background", true), ("Save and stop", false)] {
        let engine = busy();
        let mut harness = Window::default().open(&engine, &FakeDesktop::default());
        harness.run_steps(4);
        close(&mut harness);
        assert_eq!(engine.traffic.borrow().detached, None);
        harness.get_by_label(label).click();
        harness.run_steps(4);
        close(&mut harness);
        assert_eq!(engine.traffic.borrow().detached, Some(keeps), "{label}");
    }
}

/// The window manager asks the window to close.
fn close(harness: &mut egui_kittest::Harness<'_, ui::App>) {
    let root = egui::ViewportId::ROOT;
    harness.input_mut().viewports.entry(root).or_default().events.push(egui::ViewportEvent::Close);
    harness.run_steps(3);
}
