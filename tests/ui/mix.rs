//! Several adapters at once, with weights: in Chat and in Export.

use std::path::{Path, PathBuf};

use egui::accesskit::Role;
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;
use protocol::{Event, RequestId, RunReport};
use ui::App;
use ui::testing::FakeDesktop;
use ui::{DesktopEvent, DesktopRequest, Purpose};

use crate::chat::{answer, finished_run, prompts, ready, say};
use crate::support::{Window, busy, learned};
use crate::{chat, export};

/// Another run with a result.
fn poems() -> RunReport {
    let dir = PathBuf::from("/runs/poems");
    RunReport {
        name: "poems".into(),
        checkpoints: Vec::new(),
        result: Some(dir.join("adapter")),
        dir,
        ..finished_run()
    }
}

fn two_runs() -> Event {
    Event::Runs { request: RequestId(901), dir: "/runs".into(), runs: vec![finished_run(), poems()] }
}

fn click(harness: &mut Harness<'static, App>, label: &str) {
    harness.get_all_by_label(label).next().unwrap().click();
    harness.run();
}

fn write(harness: &mut Harness<'static, App>, label: &str, text: &str) {
    harness.get_by_label(label).focus();
    harness.run();
    harness.key_press_modifiers(egui::Modifiers::COMMAND, egui::Key::A);
    harness.event(egui::Event::Text(text.into()));
    harness.run();
    harness.key_press(egui::Key::Enter);
    harness.run();
}

fn paths(adapters: &[PathBuf]) -> Vec<&str> {
    adapters.iter().filter_map(|path| path.to_str()).collect()
}

#[test]
fn alone_an_adapter_has_neither_weight_nor_switch() {
    let engine = learned();
    let mut harness = ready(&Window::default(), &engine);
    assert!(harness.query_by_label("Merged").is_none());
    assert!(harness.query_by_label("weight of my-assistant-2").is_none());
    say(&mut harness, "hi");
    answer(&mut harness, &engine, "base");
    let (_, tuned) = prompts(&engine).pop().unwrap();
    assert!(tuned.model.weights.is_empty() && !tuned.model.merged);
}

#[test]
fn another_joins_with_a_weight_and_they_speak_together() {
    let engine = learned();
    let mut harness = ready(&Window::default(), &engine);
    engine.tell(two_runs());
    harness.run();
    click(&mut harness, "Add an adapter");
    click(&mut harness, "poems · result");
    write(&mut harness, "weight of poems", "-0.5");
    harness.get_by_role_and_label(Role::Switch, "Merged").click();
    harness.run();
    say(&mut harness, "Who are you?");
    answer(&mut harness, &engine, "base");
    let asked = prompts(&engine);
    let [(_, base), (_, tuned)] = &asked[..] else { panic!("{}", asked.len()) };
    assert_eq!(base.model.path, tuned.model.path);
    assert_eq!((base.adapter, base.model.adapters.len(), base.model.merged), (None, 0, false));
    assert_eq!(paths(&tuned.model.adapters), ["/runs/my-assistant-2/adapter", "/runs/poems/adapter"]);
    assert_eq!((tuned.adapter, &tuned.model.weights), (Some(0), &vec![1.0, -0.5]));
    assert!(tuned.model.merged);
    answer(&mut harness, &engine, "both");
    harness.get_by_role_and_label(Role::Button, "2 adapters");
    assert_eq!(harness.state().state().chat.tuned.as_ref().unwrap().name().en, "my-assistant-2 + poems");
    // Who is left is alone again, and as it was.
    click(&mut harness, "leave my-assistant-2 out");
    assert!(harness.query_by_label("Merged").is_none());
    let tuned = harness.state().state().chat.tuned.clone().unwrap();
    assert_eq!((tuned.path(), tuned.mix.weight), (Some(Path::new("/runs/poems/adapter")), 1.0));
}

#[test]
fn a_folder_from_elsewhere_joins_too() {
    let engine = learned();
    let desktop = FakeDesktop::default();
    let mut harness = Window::default().open(&engine, &desktop);
    harness.state().push(ui::action::Action::Edit(Box::new(crate::support::example())));
    harness.state().push(ui::action::Action::Open(ui::panels::chat::PANEL.panel_id()));
    harness.run();
    chat::push(&mut harness, ui::state::chat::ChatAction::UseFolder("/a/lora".into()));
    click(&mut harness, "Add an adapter");
    click(&mut harness, "Choose an adapter folder…");
    let picks = |request: &DesktopRequest| {
        matches!(request, DesktopRequest::PickFolder { purpose: Purpose::JoinFolder, .. })
    };
    assert!(desktop.requests.borrow().iter().any(picks));
    let paths = vec![PathBuf::from("/b/lora-zh")];
    desktop.answers.borrow_mut().push(DesktopEvent::Picked { purpose: Purpose::JoinFolder, paths });
    harness.run();
    harness.get_by_label("weight of lora-zh");
    assert_eq!(harness.state().state().chat.tuned.as_ref().unwrap().adapters().len(), 2);
}

#[test]
fn the_model_as_it_trains_is_joined_by_nobody() {
    let engine = busy();
    let mut harness = ready(&Window::default(), &engine);
    harness.run();
    assert!(harness.query_by_label("Add an adapter").is_none());
}

#[test]
fn several_are_exported_as_one_model() {
    let engine = learned();
    let mut harness = export::chosen(&Window::default(), &engine, &FakeDesktop::default());
    engine.tell(two_runs());
    harness.run();
    harness.get_by_role_and_label(Role::RadioButton, "Adapter").click();
    harness.run();
    click(&mut harness, "Add an adapter");
    click(&mut harness, "poems · result");
    assert!(harness.query_by_role_and_label(Role::RadioButton, "Adapter").is_none(), "two are not one");
    write(&mut harness, "weight of my-assistant-2", "0.25");
    let (_, wanted) = export::forecast(&engine).unwrap();
    assert_eq!(paths(&wanted.model.adapters), ["/runs/my-assistant-2/adapter", "/runs/poems/adapter"]);
    assert_eq!((wanted.model.weights, wanted.target.0.as_str()), (vec![0.25, 1.0], "merged"));
    assert_eq!(wanted.out, PathBuf::from("/runs/my-assistant-2-poems-merged"));
    click(&mut harness, "leave poems out");
    let (_, wanted) = export::forecast(&engine).unwrap();
    assert_eq!((wanted.model.adapters.len(), wanted.model.weights.len()), (1, 0));
}

#[test]
fn a_long_name_leaves_room_for_others_to_join() {
    let engine = learned();
    let mut harness = ready(&Window::default(), &engine);
    let long = "/a/an-adapter-whose-name-says-at-length-what-it-was-trained-on-and-when";
    chat::push(&mut harness, ui::state::chat::ChatAction::UseFolder(long.into()));
    let right = |label: &str| harness.get_by_role_and_label(Role::Button, label).rect().right();
    assert!(right("Add an adapter") <= right("Send"), "{} > {}", right("Add an adapter"), right("Send"));
}
