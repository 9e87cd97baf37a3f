//! The Settings panel.

use protocol::{Language, Text};
use ui::command::COMMANDS;
use ui::desktop::{DesktopEvent, DesktopRequest, Purpose};
use ui::panels::{PANELS, settings};
use ui::persisted::ThemeChoice;

use super::{Setup, fixture};
use crate::support::Window;

fn open() -> Setup {
    // Tall enough for everything: what is scrolled away cannot be clicked.
    let window = Window { size: [1280.0, 1900.0], ..Window::default() };
    Setup::new(&window, fixture::engine(2), &settings::PANEL, None)
}

#[test]
fn language_theme_and_switches_hold_at_once() {
    let mut setup = open();
    setup.click("Light");
    setup.click("Show all settings in the forms");
    setup.click("Notify when a run ends");
    setup.click("Keep the machine awake while training");
    let preferences = setup.harness.state().state().preferences.clone();
    assert_eq!(preferences.theme, ThemeChoice::Light);
    assert!(preferences.expert && !preferences.notify && !preferences.keep_awake);
    setup.click("System");
    assert!(setup.harness.state().state().preferences.language.is_none());
}

#[test]
fn another_language_is_another_window() {
    let mut setup = open();
    let chinese: Vec<_> = {
        use egui_kittest::kittest::Queryable;
        setup.harness.get_all_by_label("中文").collect()
    };
    chinese.last().unwrap().click();
    drop(chinese);
    setup.settle();
    assert_eq!(setup.harness.state().state().preferences.language, Some(Language::Chinese));
    for text in ["语言与外观", "键盘快捷键", "重启引擎"] {
        assert!(setup.shows(text), "{text}");
    }
}

#[test]
fn runs_are_kept_where_the_user_says() {
    let mut setup = open();
    setup.click("Choose…");
    let asked = setup.desktop.requests.borrow().clone();
    assert!(
        asked.iter().any(|it| matches!(it, DesktopRequest::PickFolder { purpose: Purpose::RunsFolder, .. }))
    );
    let paths = vec!["/data/runs".into()];
    setup.desktop.answers.borrow_mut().push(DesktopEvent::Picked { purpose: Purpose::RunsFolder, paths });
    setup.settle();
    assert!(setup.shows("/data/runs"));
    setup.click("Use the default");
    assert_eq!(setup.harness.state().state().preferences.runs_dir, None);
}

#[test]
fn the_command_that_brings_the_gpu_is_copied() {
    let mut setup = open();
    let note = Text::fixed(
        "No CUDA compiler (to use the GPU: run `pip install nvidia-cuda-nvrtc-cu12`)",
        "缺少 CUDA 编译器（若要使用显卡：运行 `pip install nvidia-cuda-nvrtc-cu12`）",
    );
    setup.engine.tell(fixture::ready(Some(note)));
    setup.settle();
    assert!(setup.shows("No CUDA compiler"));
    use egui_kittest::kittest::Queryable;
    setup.harness.get_by_label("Copy the command").click();
    setup.harness.step();
    let copied = setup.harness.output().platform_output.commands.iter().any(|command| {
        matches!(command, egui::OutputCommand::CopyText(text) if text == "pip install nvidia-cuda-nvrtc-cu12")
    });
    assert!(copied);
}

#[test]
fn the_engine_restarts() {
    let mut setup = open();
    setup.click("Restart the engine");
    assert_eq!(setup.engine.traffic.borrow().restarts, 1);
}

#[test]
fn during_a_run_a_restart_is_asked_first() {
    let mut setup = open();
    setup.harness.state().push(ui::action::Action::Train(ui::state::train::TrainAction::Start));
    setup.harness.state().push(ui::action::Action::Open(settings::PANEL.panel_id()));
    setup.settle();
    assert!(setup.harness.state().state().train.is_active());
    setup.click("Restart the engine");
    assert_eq!(setup.engine.traffic.borrow().restarts, 0);
    assert!(setup.shows("Restart the engine during a run?"));
    use egui_kittest::kittest::Queryable;
    setup.harness.get_all_by_label("Restart the engine").last().unwrap().click();
    setup.settle();
    assert_eq!(setup.engine.traffic.borrow().restarts, 1);
}

#[test]
fn every_shortcut_is_listed_and_the_licences_are_there() {
    let setup = open();
    for info in PANELS {
        assert!(setup.shows(&info.name.en), "{}", info.id);
    }
    for info in COMMANDS.iter().filter(|info| info.shortcut.is_some()) {
        assert!(setup.shows(&info.text.en), "{:?}", info.command);
    }
    for text in ["Inter", "JetBrains Mono", "Noto Sans SC", "Lucide"] {
        assert!(setup.shows(text), "{text}");
    }
}
